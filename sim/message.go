package sim

import (
	"bytes"
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/chance"
)

// MessageKind is what a message between hosts is.
type MessageKind uint8

// Kinds of messages. A unary call is one request and one response, each with its whole body.
const (
	KindRequest      MessageKind = iota + 1 // a request's head, with its body unless it is streamed
	KindRequestData                         // a piece of a streamed request body
	KindResponse                            // a response's head, with its body unless it is streamed
	KindResponseData                        // a piece of a streamed response body; the last has the trailers
	KindCancel                              // the caller has given up
	KindReset                               // the connection was refused or reset

	// Of connections, beside KindReset. A procedure of theirs is tcp: and the listener's port.
	KindConnect // a host wants a connection
	KindAccept  // there is one
	KindBytes   // what was written at one instant; the last one says that nothing follows

	// What software says to the simulator comes the same way.
	kindExit
	kindControl
	kindWindow
	kindTimer
	kindFault
	kindTurn
	kindProbe
)

var kindNames = [...]string{
	KindRequest: "request", KindRequestData: "request-data", KindResponse: "response", KindResponseData: "response-data",
	KindCancel: "cancel", KindReset: "reset", KindConnect: "connect", KindAccept: "accept", KindBytes: "bytes", kindExit: "exit", kindControl: "control", kindWindow: "window", kindTimer: "timer",
	kindFault: "fault", kindTurn: "turn", kindProbe: "probe",
}

// String returns the kind as the trace has it.
func (k MessageKind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}

// isUp says whether it travels from the caller to the handler.
func (k MessageKind) isUp() bool { return k == KindRequest || k == KindRequestData || k == KindCancel }

// Message is what a Judge is asked about. It is valid until Judge returns, and nothing in it may be
// changed.
type Message struct {
	Kind MessageKind
	// Names of hosts.
	From, To string
	// Path of the request's URL: of an RPC, "/package.Service/Method".
	Procedure string
	// Which message of its kind, hosts and procedure this is, from 1.
	Ordinal uint64
	// Which call or connection of the run it belongs to, from 1.
	Call uint64
	// When it leaves: virtual time since the start.
	Time time.Duration
	// Of the request.
	RequestHeader http.Header
	// Of a KindResponse.
	Header http.Header
	Status int
	// What it carries.
	Body []byte
	// Nothing of the same call and direction follows.
	Last bool
}

// packet is a message on its way, or something that software has to say to the simulator.
type packet struct {
	kind     MessageKind
	from, to *node
	// Whose it is. A dead incarnation's are dropped. Nil: the host's kernel's, which outlives its
	// software.
	sender *incarnation
	call   *call // nil: none
	segment
	body  []byte
	last  bool
	err   error  // of a reset, an exit
	fault string // what was done to it
	cut   bool   // truncated
	delay time.Duration
	reply *responder // in place of the handler's
	fn    func()     // of a control
	done  chan struct{}

	procedure string
	flow      *flow
	ordinal   uint64
	digest    uint64
	at        int64 // when it arrives, in nanoseconds since the start
	seq       uint64
}

// flow is the sequence of messages of one kind, pair of hosts and procedure.
type flow struct {
	entity uint64
	last   uint64 // ordinal
}

type flowKey struct {
	kind      MessageKind
	from, to  int
	procedure string
}

// number gives a message its place in its flow.
func (s *Sim) number(p *packet) {
	key := flowKey{p.kind, p.from.index, p.to.index, p.procedure}
	f := s.flows[key]
	if f == nil {
		// From names, so that another host more or less changes nothing.
		entity := chance.Mix(hashString(p.from.name)) ^ hashString(p.to.name)
		f = &flow{entity: chance.Mix(chance.Mix(entity)^hashString(p.procedure)) + uint64(p.kind)}
		s.flows[key] = f
	}
	f.last++
	p.flow, p.ordinal = f, f.last
}

// arrange sorts what was parked at one instant into an order that does not depend on which
// goroutine came first. Requests of one flow that are equal in all they carry are interchangeable.
func arrange(batch []*packet) {
	if len(batch) < 2 {
		return
	}
	for _, p := range batch {
		if p.kind == KindRequest || p.kind == kindTurn {
			p.digest = digest(p.body)
		}
	}
	slices.SortStableFunc(batch, func(a, b *packet) int {
		if c := cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.from.place(), b.from.place())); c != 0 {
			return c
		}
		if a.socket != nil && b.socket != nil {
			return cmp.Or(compareSockets(a.socket, b.socket), cmp.Compare(a.to.place(), b.to.place()), cmp.Compare(a.port, b.port))
		}
		if a.call == nil || b.call == nil {
			return cmp.Or(cmp.Compare(a.to.place(), b.to.place()), strings.Compare(a.procedure, b.procedure), strings.Compare(a.fault, b.fault))
		}
		if a.kind != KindRequest && a.kind != kindTurn {
			return cmp.Compare(a.call.id, b.call.id)
		}
		return cmp.Or(
			cmp.Compare(a.to.place(), b.to.place()),
			strings.Compare(a.procedure, b.procedure),
			cmp.Compare(len(a.body), len(b.body)),
			cmp.Compare(a.digest, b.digest),
			compareHeaders(a.call.header, b.call.header),
			bytes.Compare(a.body, b.body),
			cmp.Compare(a.call.id, b.call.id),
		)
	})
}

// place is a host's place in the order of hosts.
func (n *node) place() int {
	if n == nil {
		return -1
	}
	return n.index
}

func compareHeaders(a, b http.Header) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	keys := slices.Sorted(maps.Keys(a))
	if c := slices.Compare(keys, slices.Sorted(maps.Keys(b))); c != 0 {
		return c
	}
	for _, key := range keys {
		if c := slices.Compare(a[key], b[key]); c != 0 {
			return c
		}
	}
	return 0
}
