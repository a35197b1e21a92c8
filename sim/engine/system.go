package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/scenario"
)

// A Subject is a system that scenarios are run of.
type Subject struct {
	// Format is what its files are.
	Format *scenario.Subject
	// Begin returns the system of one run, which takes place later.
	Begin func(r *Run) (System, error)
	// Tell returns what a report tells of a run's facts. Nil: all of them, a line for each
	// variable.
	Tell func(facts Facts) []Line
	// Sum returns what tells of many runs. Nil: only what the engine counts is told.
	Sum func() Sum
	// Reach returns what finds in the history of one run which points it came to, besides those that
	// its trace has. Nil: what followed upon what about one thing.
	Reach func() Reacher
	// NotLive says why its scenarios cannot run against a cluster that somebody else has started.
	// "": they can.
	NotLive string
}

// A Line is one of a report: what it is about, in a word, and what there is to say.
type Line struct{ What, Text string }

// A Sum adds up results.
type Sum interface {
	Add(r *Result)
	Lines() []Line
}

// A Reacher finds in the history of a run which points it came to, as package reach has them.
type Reacher interface {
	// Compare orders two events, each as [Run.Observed] was given it: by their time, and those of one
	// instant, which may come in another order when the run is repeated, by what they are.
	Compare(a, b any) int
	// Take takes the next event in that order, and tells which points it comes to: the kind of the
	// point, in a word, and the point, which has no ids, tokens and times.
	Take(event any, reached func(kind, point string))
}

// Work is the software of a client. It ends when its work is done, or ctx is.
type Work func(ctx context.Context, m Machine) error

// A System is what a subject has for one run: its software, what comes of it, and what is to be
// true of that. Its methods are called by the goroutine of RunUntil, and what it returns runs
// wherever it likes. [Blank] has most of them for those who have nothing special to say.
type System interface {
	// Software returns what a host of the scenario runs in a simulation, at each of its starts.
	Software(h scenario.Host) sim.Software
	// Client returns what a host of role client does, wherever the run takes place.
	Client(h scenario.Host) Work

	// Begun says whether clients have begun all that they are to do. Times of what is expected
	// eventually do not count before.
	Begun() bool
	// Facts returns a pointer to a copy of the facts, which is of the type of the format's, and
	// Changes how often they changed.
	Facts(now time.Duration) any
	Changes() uint64
	// Happened returns how often an event has that faults can wait for.
	Happened(event string) int
	// Does says whether a host does what a target asks for.
	Does(host, state string) bool

	// Leaving tells that a host is told to leave.
	Leaving(host string)
	// Crashed, Ended, Paused, Injected and Healed tell what happens to hosts, how often a fault has
	// acted since it was told last, and that everything was put right. A host has ended by itself:
	// because it was to leave, or with an error, as its disk failed.
	Crashed(host string)
	Ended(host string, failed bool)
	Paused(host string)
	Injected(fault string, times int)
	Healed()
	// Look has an operator look at a host for so long, Backup has one make a backup of it, and Drain
	// has one drain it.
	Look(host string, lasts time.Duration)
	Drain(host string, grace time.Duration)
	Backup(host string)

	// Finish ends a run that came to its end: it stops the hosts, and asks how things stand. It may
	// use what Run has for that.
	Finish() error
	// End closes the books: nothing that happens from now on counts.
	End()
	// Judge has what can be judged at the end only judged. The run came to its end. A leak is what
	// outlived it, or nil.
	Judge(elapsed time.Duration, leak error)
	// Event returns an event of the history, as [Run.Observed] was given it, as any system has it.
	Event(event any) Event
	// Broken returns what is known to be wrong, Counts what was looked at, and Last the last events
	// that the system knows of.
	Broken() []Violation
	Counts() []Count
	Last(n int) []Event
}

// Disks are what of a host's disk a system knows better than the simulation, because it does not
// use the simulated files. A [System] may have them.
type Disks interface {
	// Fill leaves the disk of a host no room, or gives it back.
	Fill(host string, full bool)
	// Tear says whether the next power loss leaves a part of what was being written.
	Tear(host string, torn bool)
	// Fail and Slow are FailDisk and SlowDisk of scenario.Verbs.
	Fail(host, on string, first int)
	Slow(host string, by time.Duration)
}

// Standbys are what a system has of hosts that others stand by for. A [System] of which hosts have
// standbys has them.
type Standbys interface {
	// Failover has the standby of a host take over, in its name. Some of its callers may reach what was
	// replaced until Rejoin.
	Failover(host string, lingers bool)
	Rejoin(host string)
}

// An Event is something that hosts saw.
type Event struct {
	Seq  uint64        `json:"seq"`
	At   time.Duration `json:"at_ns"`
	Host string        `json:"host,omitempty"`
	// Kind is what happened, in a word, and Text the rest.
	Kind string `json:"kind"`
	Text string `json:"text,omitempty"`
	// From and To are who told whom, of a message; Host is one of them.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Procedure is how the name of the procedure begins that is called, if that is known.
	Procedure string `json:"procedure,omitempty"`
	// Asked is when the call of a reply was made.
	Asked time.Duration `json:"asked_ns,omitempty"`
	// Tasks are the things that it is about, by the ids that the subject gives them. All: it is
	// about all that there are.
	Tasks []string `json:"tasks,omitempty"`
	All   bool     `json:"all,omitempty"`
	// Missing are those of Tasks of which it was to tell, and does not.
	Missing []string `json:"missing,omitempty"`
	// Aside: that it was seen says nothing of how things went, such as a look at how they stand.
	Aside bool `json:"aside,omitempty"`
	// Gist is what of Kind and Text is the same in each run in which the same happens: it has no
	// tokens and no times. "": the Kind.
	Gist string `json:"gist,omitempty"`
	// Record is all that the system knows of it.
	Record json.RawMessage `json:"record,omitempty"`
}

// About says whether the event is about a thing.
func (e *Event) About(thing string) bool { return slices.Contains(e.Tasks, thing) }

// String returns the event for a message.
func (e *Event) String() string {
	text := fmt.Sprintf("#%d %v %s", e.Seq, e.At, e.Kind)
	if e.Host != "" {
		text += " host=" + e.Host
	}
	if e.Text != "" {
		text += " " + e.Text
	}
	return text
}

// A Violation is a claim that does not hold.
type Violation struct {
	Oracle string `json:"oracle"`
	// Task is what it is about, if it is about one thing.
	Task string `json:"task,omitempty"`
	Text string `json:"text"`
	// Events prove it, in order.
	Events []Event `json:"events,omitempty"`
	// Undecided is set if nobody knows whether it holds.
	Undecided bool `json:"undecided,omitempty"`
}

// String returns the violation with its proof.
func (v *Violation) String() string {
	var b strings.Builder
	b.WriteString(v.Oracle + ": ")
	if v.Task != "" {
		fmt.Fprintf(&b, "task %s: ", v.Task)
	}
	b.WriteString(v.Text)
	for i := range v.Events {
		b.WriteString("\n\t" + v.Events[i].String())
	}
	return b.String()
}

// A Count is how often a claim was looked at, and did not hold. One that was never looked at is not
// judged, which is not the same as true. Its JSON says so with "not_judged".
type Count struct {
	Oracle     string `json:"oracle"`
	Claim      string `json:"claim"`
	Checks     uint64 `json:"checks"`
	Violations uint64 `json:"violations"`
}

// Judged says whether the claim was looked at.
func (c Count) Judged() bool { return c.Checks > 0 || c.Violations > 0 }

// MarshalJSON implements json.Marshaler.
func (c Count) MarshalJSON() ([]byte, error) {
	type plain Count
	return json.Marshal(struct {
		plain
		NotJudged bool `json:"not_judged,omitempty"`
	}{plain(c), !c.Judged()})
}

// Facts are those of a run: an object in JSON, with what the subject's facts and those that all
// runs have come to. Empty: there was no run.
type Facts json.RawMessage

// MarshalJSON implements json.Marshaler.
func (f Facts) MarshalJSON() ([]byte, error) {
	if len(f) == 0 {
		return []byte("null"), nil
	}
	return f, nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Facts) UnmarshalJSON(text []byte) error {
	*f = nil
	if string(text) != "null" {
		*f = append(Facts(nil), text...)
	}
	return nil
}

// Read reads the facts into a subject's, or into a [scenario.Common].
func (f Facts) Read(into any) error {
	if err := json.Unmarshal(f, into); err != nil {
		return fmt.Errorf("read facts: %w", err)
	}
	return nil
}

// newFacts returns facts as JSON: the fields of the subject's, then those of common that it lacks.
func newFacts(own any, common *scenario.Common) (Facts, error) {
	object := []byte{'{'}
	taken := map[string]bool{}
	for _, part := range []any{own, common} {
		if part == nil {
			continue
		}
		v := reflect.ValueOf(part).Elem()
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if name == "" {
				name = v.Type().Field(i).Tag.Get("cel")
			}
			if name == "" || taken[name] {
				continue
			}
			taken[name] = true
			value, err := json.Marshal(v.Field(i).Interface())
			if err != nil {
				return nil, fmt.Errorf("write facts: %w", err)
			}
			if len(object) > 1 {
				object = append(object, ',')
			}
			object = append(append(fmt.Appendf(object, "%q", name), ':'), value...)
		}
	}
	return append(object, '}'), nil
}
