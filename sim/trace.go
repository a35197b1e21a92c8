package sim

import (
	"encoding/binary"
	"io"
	"strconv"
	"time"

	"github.com/frayrpc/fray/internal/chance"
)

// EventKind says what happened.
type EventKind string

// What happens in a run.
const (
	EventStart     EventKind = "start"     // an incarnation's software starts
	EventExit      EventKind = "exit"      // it returns
	EventCrash     EventKind = "crash"     // Code says how: killed, wiped, power-loss or closed
	EventStop      EventKind = "stop"      // its context ends
	EventPause     EventKind = "pause"     // of a host
	EventSuspend   EventKind = "suspend"   // of a host
	EventResume    EventKind = "resume"    // of a host
	EventClock     EventKind = "clock"     // a host's wall clock is set; Code says by how much
	EventPartition EventKind = "partition" // from From to To
	EventRepair    EventKind = "repair"    // both ways
	EventHold      EventKind = "hold"      // both ways
	EventRelease   EventKind = "release"   // both ways
	EventSever     EventKind = "sever"     // of the connections between two hosts
	EventSend      EventKind = "send"      // a message leaves
	EventDeliver   EventKind = "deliver"   // a message arrives
	EventDrop      EventKind = "drop"      // a message is gone; Code says why
	EventPanic     EventKind = "panic"     // of a handler
	EventFault     EventKind = "fault"     // of the Injector, in a call from From to To, or at what From sends To on a connection; Code is its kind
	EventMark      EventKind = "mark"      // what Sim.Mark was given, in Procedure
)

// Event is one line of the trace. Its JSON has the names in the comments, and leaves out what is
// empty. The hash of a run is not made of it, but of the values in binary.
type Event struct {
	Time      time.Duration // "at_ns": nanoseconds since the start
	Kind      EventKind     // "kind"
	Message   MessageKind   // "message": of a fault in a call, whether it is in the way of the request or of the response
	From, To  string        // "from", "to"; To is empty for what happens to one host
	Procedure string        // "procedure"
	Code      string        // "code": HTTP status or Connect code of a response, or a reason
	Attempt   int           // "attempt": incarnation of the host it happens at
	Call      uint64        // "call": number of the call in the run
	Size      int           // "size": bytes
	Digest    uint64        // "digest": of those bytes, whatever their order; see doc.go
	Fault     string        // "fault": id of the fault
	Match     uint64        // of a fault by a rule: which of the rule's matches; in no trace
}

// AppendJSON appends the event as a JSON object, without a newline.
func (e Event) AppendJSON(b []byte) []byte {
	b = append(b, `{"at_ns":`...)
	b = strconv.AppendInt(b, int64(e.Time), 10)
	b = appendText(b, "kind", string(e.Kind))
	if e.Message != 0 {
		b = appendText(b, "message", e.Message.String())
	}
	b = appendText(b, "from", e.From)
	b = appendText(b, "to", e.To)
	b = appendText(b, "procedure", e.Procedure)
	b = appendText(b, "code", e.Code)
	b = appendNumber(b, "attempt", uint64(e.Attempt)) //nolint:gosec // Counts from 1.
	b = appendNumber(b, "call", e.Call)
	b = appendNumber(b, "size", uint64(e.Size)) //nolint:gosec // A length.
	if e.Digest != 0 {
		b = append(b, `,"digest":"`...)
		b = strconv.AppendUint(b, e.Digest, 16)
		b = append(b, '"')
	}
	b = appendText(b, "fault", e.Fault)
	return append(b, '}')
}

// String returns the event's JSON.
func (e Event) String() string { return string(e.AppendJSON(nil)) }

func appendText(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, `,"`...)
	b = append(b, key...)
	b = append(b, `":"`...)
	for i := range len(value) {
		switch c := value[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			const digits = "0123456789abcdef"
			b = append(b, `\u00`...)
			b = append(b, digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendNumber(b []byte, key string, value uint64) []byte {
	if value == 0 {
		return b
	}
	b = append(b, `,"`...)
	b = append(b, key...)
	b = append(b, `":`...)
	return strconv.AppendUint(b, value, 10)
}

// tracer hashes and writes events.
type tracer struct {
	hash    uint64 // chance.Hash of all canonical events so far
	count   uint64
	scratch []byte
	out     io.Writer // nil: nobody reads it
	err     error     // of out
}

// add takes an event in and returns the rolling hash after it.
func (t *tracer) add(e *Event) {
	b := t.scratch[:0]
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Time)) //nolint:gosec // Never negative.
	b = binary.LittleEndian.AppendUint64(b, e.Call)
	b = binary.LittleEndian.AppendUint64(b, e.Digest)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Size))    //nolint:gosec // A length.
	b = binary.LittleEndian.AppendUint32(b, uint32(e.Attempt)) //nolint:gosec // Counts from 1.
	b = append(b, byte(e.Message))
	for _, text := range [...]string{string(e.Kind), e.From, e.To, e.Procedure, e.Code, e.Fault} {
		b = append(b, text...)
		b = append(b, 0)
	}
	t.hash = chance.Hash(t.hash, b)
	t.count++
	t.scratch = b
	if t.out != nil && t.err == nil {
		t.scratch = append(e.AppendJSON(b[:0]), '\n')
		_, t.err = t.out.Write(t.scratch)
	}
}

// Trace has each event from now on written to w as one line of JSON, by the goroutine that steps,
// so w had better be buffered. Close returns the first error of w.
func (s *Sim) Trace(w io.Writer) { s.trace.out = w }

// Hash returns the hash of all events so far. Runs of one scenario and seed that differ in it are
// not deterministic.
func (s *Sim) Hash() uint64 { return s.trace.hash }

// Mark puts a text of the scenario's own into the trace, such as a checkpoint. Like the verbs it is
// for the goroutine that steps.
func (s *Sim) Mark(text string) {
	s.control("mark")
	s.emit(&Event{Kind: EventMark, Procedure: text})
}

// emit completes an event and records it.
func (s *Sim) emit(e *Event) {
	e.Time = s.Elapsed()
	s.trace.add(e)
	if s.cfg.OnEvent != nil {
		s.cfg.OnEvent(*e)
	}
}

// note records what a verb did.
func (s *Sim) note(kind EventKind, from, to string) { s.emit(&Event{Kind: kind, From: from, To: to}) }

// weights has a random weight for each byte.
var weights = func() (w [256]uint64) {
	for i := range w {
		w[i] = chance.Mix(uint64(i))
	}
	return w
}()

// digest hashes bytes without regard to their order: protobuf writes the entries of a map in any.
func digest(body []byte) uint64 {
	sum := uint64(len(body))
	for _, c := range body {
		sum += weights[c]
	}
	return sum
}
