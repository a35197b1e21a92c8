package engine

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/sim/scenario"
)

// EventHeal is the kind of the event that everything was put right.
const EventHeal = "heal"

// maxViolations is how many violations of one invariant are kept.
const maxViolations = 16

// A Blank has what most systems have: facts, invariants, events, and an end at which clients stop
// before servers. A [System] embeds a pointer to one, and adds Software and Client. What a Blank
// has besides the methods of System may be called by any goroutine, such as those of hosts.
type Blank struct {
	run *Run

	// Audit asks in the end how things stand, when the clients have ended and before the servers
	// do, over a network that loses nothing. It says so by Claim; an error means that it got no
	// answer, and that the system is not alive. Nil: nobody asks.
	Audit Work

	mu      latch
	facts   any // a pointer to a struct
	changes uint64
	ended   bool
	events  map[string]int
	seq     uint64
	last    []Event
	counts  []Count
	broken  []Violation
}

// A latch is a lock that is no place at which another goroutine goes on, and a killed one stays: with
// a mutex, a host that is killed while it notes something would hold it for ever. What it guards
// waits for nothing.
type latch struct{ held uint32 }

// Lock takes the latch.
func (l *latch) Lock() {
	for !atomic.CompareAndSwapUint32(&l.held, 0, 1) {
		runtime.Gosched()
	}
}

// Unlock gives it back.
func (l *latch) Unlock() { atomic.StoreUint32(&l.held, 0) }

// NewBlank returns one for a run, with a pointer to the facts of the run, which are of the type of
// the format's. Nil: there are none.
func NewBlank(r *Run, facts any) *Blank {
	b := &Blank{run: r, facts: facts, events: map[string]int{}}
	for _, i := range r.About().Invariants {
		b.counts = append(b.counts, Count{Oracle: i.Name, Claim: i.Claim})
	}
	return b
}

// Change has the facts changed by f, which must neither wait nor lock anything.
func (b *Blank) Change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.changes++
		f()
	}
}

// Claim notes that an invariant of the format was looked at, and if it does not hold, how. It
// panics if there is no such invariant.
func (b *Blank) Claim(invariant string, holds bool, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.counts, func(c Count) bool { return c.Oracle == invariant })
	if i < 0 {
		panic(fmt.Sprintf("engine: the subject %s has no invariant %q", b.run.About().Name, invariant))
	}
	if b.ended {
		return
	}
	c := &b.counts[i]
	c.Checks++
	if holds {
		return
	}
	if c.Violations++; c.Violations > maxViolations {
		return
	}
	v := Violation{Oracle: invariant, Text: fmt.Sprintf(format, args...)}
	v.Events = slices.Clone(b.last[max(0, len(b.last)-maxProof):])
	b.broken = append(b.broken, v)
	b.changes++
}

// maxProof is how many events before a violation are told with it.
const maxProof = 5

// Note adds an event to what a report tells of a run that failed: the host that saw it, what
// happened in a word, and the rest.
func (b *Blank) Note(host, kind, format string, args ...any) {
	b.note(Event{Host: host, Kind: kind, Text: fmt.Sprintf(format, args...)}, func() {})
}

// NoteOf is Note of an event about a thing, by its id: an order, an account. What is noted of one
// thing is told together.
func (b *Blank) NoteOf(thing, host, kind, format string, args ...any) {
	b.note(Event{Host: host, Kind: kind, Text: fmt.Sprintf(format, args...), Tasks: []string{thing}}, func() {})
}

// note adds an event, and has f done with it.
func (b *Blank) note(event Event, f func()) {
	if e := b.add(event, f); e != nil {
		b.run.Observed(e)
	}
}

func (b *Blank) add(e Event, f func()) *Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil
	}
	f()
	b.seq++
	if len(b.last) >= 2*maxLast {
		b.last = slices.Delete(b.last, 0, maxLast)
	}
	e.Seq, e.At = b.seq, b.run.Elapsed()
	b.last = append(b.last, e)
	return &e
}

// Happen notes an event that faults can wait for, as seen by a host. A simulation takes notice when
// next something happens in it, such as a message.
func (b *Blank) Happen(host, event string) {
	b.note(Event{Host: host, Kind: event}, func() { b.events[event]++ })
}

// Begun implements System: clients have ended.
func (b *Blank) Begun() bool { return b.run.Worked() }

// Facts implements System.
func (b *Blank) Facts(time.Duration) any {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.facts == nil {
		return nil
	}
	from := reflect.ValueOf(b.facts).Elem()
	to := reflect.New(from.Type())
	to.Elem().Set(from)
	for i := range from.NumField() {
		if f := from.Field(i); f.Kind() == reflect.Map && !f.IsNil() {
			clone := reflect.MakeMapWithSize(f.Type(), f.Len())
			for it := f.MapRange(); it.Next(); {
				clone.SetMapIndex(it.Key(), it.Value())
			}
			to.Elem().Field(i).Set(clone)
		}
	}
	return to.Interface()
}

// Changes implements System.
func (b *Blank) Changes() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changes
}

// Happened implements System.
func (b *Blank) Happened(event string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events[event]
}

// Does implements System: hosts do nothing that a target could ask for.
func (b *Blank) Does(string, string) bool { return true }

// Crashed implements System.
func (b *Blank) Crashed(host string) { b.mark(host, "crash") }

// mark notes what is about all things.
func (b *Blank) mark(host, kind string) {
	b.note(Event{Host: host, Kind: kind, All: true}, func() {})
}

// Leaving implements System.
func (b *Blank) Leaving(host string) { b.Note(host, "leave", "") }

// Ended implements System.
func (b *Blank) Ended(host string, failed bool) {
	kind := "stop"
	if failed {
		kind = "failure"
	}
	b.Note(host, kind, "")
}

// Paused implements System.
func (b *Blank) Paused(host string) { b.mark(host, "pause") }

// Injected implements System.
func (b *Blank) Injected(fault string, _ int) { b.Note("", "fault", "%s", fault) }

// Healed implements System.
func (b *Blank) Healed() { b.mark("", EventHeal) }

// Look implements System: nobody does.
func (b *Blank) Look(string, time.Duration) {}

// Drain implements System: nobody does.
func (b *Blank) Drain(string, time.Duration) {}

// Backup implements System: nobody makes one.
func (b *Blank) Backup(string) {}

// Finish implements System.
func (b *Blank) Finish() error {
	clients := b.run.HostsOf(scenario.RoleClient)
	var servers []scenario.Host
	for _, h := range b.run.Hosts() {
		if h.Role == scenario.RoleClient {
			continue
		}
		servers = append(servers, h)
		if !b.run.Backend().Running(h.Name) {
			b.run.Backend().Bounce(h.Name)
		}
	}
	if err := b.run.Stop(clients); err != nil {
		return err
	}
	if b.Audit != nil {
		if err := b.audit(); err != nil {
			return err
		}
	}
	return b.run.Stop(servers)
}

func (b *Blank) audit() error {
	var auditErr error
	over := false
	b.run.Backend().Client("auditor", func(ctx context.Context, m Machine) error {
		defer m.Do(func() { over = true })
		ctx, cancel := context.WithTimeout(ctx, MaxAudit)
		defer cancel()
		auditErr = b.Audit(ctx, m)
		return nil
	})
	err := b.run.Backend().RunUntil(func() bool { return over })
	if auditErr != nil {
		b.run.Flaw(scenario.VerdictLiveness, BrokenLiveness, "ask in the end how things stand: "+auditErr.Error())
	}
	return err
}

// End implements System.
func (b *Blank) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// Judge implements System.
func (b *Blank) Judge(time.Duration, error) {}

// Broken implements System.
func (b *Blank) Broken() []Violation {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.broken)
}

// Counts implements System.
func (b *Blank) Counts() []Count {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.counts)
}

// Event implements System.
func (*Blank) Event(event any) Event { return *event.(*Event) } //nolint:errcheck // It is one of its own.

// Last implements System.
func (b *Blank) Last(n int) []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.last[max(0, len(b.last)-n):])
}
