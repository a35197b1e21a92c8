package slots_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/slots"
)

// model plays controller and functions against a machine, and holds it to what both may expect of
// it: one terminal report for each grant, no more functions in slots than there are, resources
// never oversubscribed, and after the last acknowledgement nothing left.
type model struct {
	slots *slots.Machine
	cfg   slots.Config
	now   core.Time
	poll  slots.Poll

	next     core.Token
	attempts map[core.Token]*modelAttempt
	running  []core.Token // functions that have not returned, in the order of their starts
}

type modelAttempt struct {
	grant            slots.Grant
	started, ended   bool // of the function
	cancelled        bool
	blocked, waiting bool
	lends            bool          // its slot may be another attempt's, and its resources unless it keeps them
	reports          int           // terminal ones
	awake            time.Duration // since it started, but for stalls
}

func newModel(count int, cpu int64, prefetch int) *model {
	m := &model{
		cfg: slots.Config{
			Slots: count, Resources: []core.Resource{{Name: "cpu", Amount: cpu}}, MaxPrefetch: prefetch, MaxOutbox: 64, MaxOutboxBytes: 100,
			PrefetchFor: 50 * time.Millisecond, QueueWait: time.Second, StartedAfter: 20 * time.Millisecond, StopGrace: 5 * time.Second,
			StallTick: time.Second, StallTolerance: time.Second,
		},
		now:      core.Time(time.Hour),
		attempts: make(map[core.Token]*modelAttempt),
	}
	m.slots = slots.New(m.cfg)
	m.slots.Pass(m.now)
	return m
}

// modelSteps are what may happen; n is an arbitrary number that says to whom or how long.
var modelSteps = []struct {
	name string
	step func(m *model, n int)
}{
	{"poll", func(m *model, _ int) { m.poll, _ = m.slots.NextPoll(m.now) }},
	{"grant", func(m *model, n int) {
		var grants []slots.Grant
		for i := range n % (m.poll.Max + 1) {
			m.next++
			g := slots.Grant{Lease: m.next, Timeout: []time.Duration{0, 0, time.Second}[(n+i)%3], Priority: int32((n * i) % 3), Keeps: (n+i)%7 == 0}
			if cpu := int64((n + i) % 4); cpu > 0 {
				g.Resources = []core.Resource{{Name: "cpu", Amount: cpu}}
			}
			grants = append(grants, g)
		}
		before := m.slots.Held().ReceivedPoll
		m.slots.Grant(m.now, m.poll.Seq, grants)
		if m.slots.Held().ReceivedPoll != before {
			for _, g := range grants {
				m.attempts[g.Lease] = &modelAttempt{grant: g}
			}
		}
	}},
	{"finish", func(m *model, n int) {
		if len(m.running) == 0 {
			return
		}
		i := n % len(m.running)
		lease := m.running[i]
		m.running = slices.Delete(m.running, i, i+1)
		m.attempts[lease].ended = true
		outcomes := []core.Outcome{core.Succeeded, core.FailedOutcome, core.TimedOut, core.Stopped, core.UndecodableOutcome}
		m.slots.Finish(m.now, lease, outcomes[n%len(outcomes)], n%30)
	}},
	{"block", func(m *model, n int) {
		if lease, a := m.pick(n); a != nil && !a.blocked {
			a.blocked, a.lends = true, true
			m.slots.Block(m.now, lease)
		}
	}},
	{"unblock", func(m *model, n int) {
		if lease, a := m.pick(n); a != nil && a.blocked {
			a.blocked, a.waiting = false, true
			m.slots.Unblock(m.now, lease)
		}
	}},
	{"stop", func(m *model, n int) { m.slots.Stop(m.now, []core.Token{core.Token(n) % (m.next + 2)}) }},
	{"ack", func(m *model, n int) {
		if unacked := m.slots.Held().Finished; len(unacked) > 0 {
			m.slots.Ack(m.now, unacked[n%len(unacked)])
		}
	}},
	{"ack-unknown", func(m *model, n int) {
		if lease := core.Token(n) % (m.next + 2); m.attempts[lease] == nil || m.attempts[lease].reports == 0 {
			m.slots.Ack(m.now, lease)
		}
	}},
	{"lost", func(m *model, n int) { m.slots.SessionLost(m.now, time.Duration(n)*time.Millisecond) }},
	{"registered", func(m *model, n int) {
		held := m.slots.Held()
		kept := append(held.Queued, held.Running...)
		m.slots.Registered(m.now, kept[:n%(len(kept)+1)])
	}},
	{"drain", func(m *model, n int) { m.slots.Drain(m.now, m.now.Add(time.Duration(n)*time.Second)) }},
	{"advance", func(m *model, n int) {
		d := time.Duration(n%100) * 10 * time.Millisecond
		for _, lease := range m.running {
			m.attempts[lease].awake += d
		}
		m.now = m.now.Add(d)
		m.slots.Pass(m.now)
		m.slots.Tick(m.now)
	}},
	{"stall", func(m *model, n int) {
		m.now = m.now.Add(2*time.Second + time.Duration(n+1)*100*time.Millisecond)
		m.slots.Pass(m.now)
		m.slots.Tick(m.now)
	}},
}

func (m *model) pick(n int) (core.Token, *modelAttempt) {
	if len(m.running) == 0 {
		return 0, nil
	}
	lease := m.running[n%len(m.running)]
	return lease, m.attempts[lease]
}

// settle applies the effects of a step and says what is wrong with them.
func (m *model) settle() error {
	for _, e := range m.slots.Effects() {
		if err := m.apply(e); err != nil {
			return fmt.Errorf("%v of attempt %d: %w", e.Kind, e.Lease, err)
		}
	}
	inSlots, cpu := 0, int64(0)
	for _, lease := range m.running {
		a := m.attempts[lease]
		if !a.lends {
			inSlots++
		}
		for _, r := range a.grant.Resources {
			if !a.lends || a.grant.Keeps {
				cpu += r.Amount
			}
		}
	}
	if inSlots > m.cfg.Slots {
		return fmt.Errorf("%d functions in %d slots", inSlots, m.cfg.Slots)
	}
	if cpu > m.cfg.Resources[0].Amount {
		return fmt.Errorf("%d cpu in use of %d", cpu, m.cfg.Resources[0].Amount)
	}
	if d := m.slots.Deadline(); d < m.now {
		return fmt.Errorf("due %v ago", m.now.Sub(d))
	}
	return m.slots.Check()
}

func (m *model) apply(e slots.Effect) error {
	a := m.attempts[e.Lease]
	if a == nil {
		return fmt.Errorf("was never granted")
	}
	switch e.Kind {
	case slots.Start:
		if a.started || a.reports > 0 || !m.slots.Connected() || m.slots.Draining() {
			return fmt.Errorf("started %t, reports %d", a.started, a.reports)
		}
		a.started = true
		m.running = append(m.running, e.Lease)
	case slots.Cancel:
		if !a.started || a.ended || a.cancelled {
			return fmt.Errorf("started %t, ended %t, cancelled %t", a.started, a.ended, a.cancelled)
		}
		a.cancelled = true
		if e.Cause == slots.TimedOut && a.awake < a.grant.Timeout {
			return fmt.Errorf("timed out after %v of %v", a.awake, a.grant.Timeout)
		}
	case slots.Resume:
		if !a.waiting {
			return fmt.Errorf("does not wait")
		}
		a.waiting, a.lends = false, a.blocked
	case slots.Report:
		if e.Outcome == core.Started {
			if a.reports > 0 || !a.started || a.ended {
				return fmt.Errorf("STARTED with started %t, ended %t, reports %d", a.started, a.ended, a.reports)
			}
			return nil
		}
		a.reports++
		if a.reports > 1 {
			return fmt.Errorf("terminal report %d", a.reports)
		}
		if (e.Ran > 0) != a.started {
			return fmt.Errorf("ran %v, started %t", e.Ran, a.started)
		}
	}
	return nil
}

// finish lets every function return and every report be acknowledged, and expects all capacity
// back.
func (m *model) finish() error {
	for len(m.running) > 0 {
		modelSteps[2].step(m, 0)
		if err := m.settle(); err != nil {
			return err
		}
	}
	m.slots.Drain(m.now, m.now)
	if err := m.settle(); err != nil {
		return err
	}
	for _, lease := range m.slots.Held().Finished {
		m.slots.Ack(m.now, lease)
	}
	if d := m.slots.Deadline(); d != core.Never { // a lost session's attempts are not given up yet
		m.now = d
		m.slots.Tick(m.now)
	}
	for lease, a := range m.attempts {
		if a.reports != 1 {
			return fmt.Errorf("attempt %d has %d terminal reports", lease, a.reports)
		}
	}
	if got, want := m.slots.Counts(), (slots.Counts{Free: m.cfg.Slots}); got != want || !m.slots.Drained() {
		return fmt.Errorf("at the end: %+v, drained %t", got, m.slots.Drained())
	}
	if d := m.slots.Deadline(); d != core.Never {
		return fmt.Errorf("at the end something is due")
	}
	return m.slots.Check()
}

func TestPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(rapid.IntRange(1, 4).Draw(t, "slots"), rapid.Int64Range(0, 6).Draw(t, "cpu"), rapid.IntRange(0, 4).Draw(t, "prefetch"))
		m.slots.Registered(m.now, nil)
		actions := make(map[string]func(*rapid.T))
		for _, s := range modelSteps {
			actions[s.name] = func(t *rapid.T) { s.step(m, rapid.IntRange(0, 250).Draw(t, "n")) }
		}
		actions[""] = func(t *rapid.T) {
			if err := m.settle(); err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(actions)
		if err := m.finish(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzMachine reads two bytes a step: what happens, and to whom.
func FuzzMachine(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte) {
		m := newModel(2, 4, 3)
		m.slots.Registered(m.now, nil)
		for len(script) >= 2 {
			s := modelSteps[int(script[0])%len(modelSteps)]
			s.step(m, int(script[1]))
			if err := m.settle(); err != nil {
				t.Fatalf("after %s %d: %v", s.name, script[1], err)
			}
			script = script[2:]
		}
		if err := m.finish(); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkNoop(b *testing.B) {
	s := slots.New(slots.Config{
		Slots: 4, MaxPrefetch: 4096, MaxOutbox: 65536,
		PrefetchFor: 50 * time.Millisecond, QueueWait: time.Second, StartedAfter: 20 * time.Millisecond, StopGrace: 5 * time.Second,
	})
	now := core.Time(time.Hour)
	s.Registered(now, nil)
	b.ReportAllocs()
	var lease core.Token
	var run []core.Token
	grants := make([]slots.Grant, 0, 4100)
	for b.Loop() {
		if poll, ok := s.NextPoll(now); ok {
			grants = grants[:0]
			for range poll.Max {
				lease++
				grants = append(grants, slots.Grant{Lease: lease})
			}
			s.Grant(now, poll.Seq, grants)
		}
		for _, e := range s.Effects() {
			if e.Kind == slots.Start {
				run = append(run, e.Lease)
			}
		}
		now += 1000
		s.Finish(now, run[0], core.Succeeded, 1)
		s.Ack(now, run[0])
		run = run[:copy(run, run[1:])]
	}
}
