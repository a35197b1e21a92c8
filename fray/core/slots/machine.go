// Package slots is the worker's half of a lease, as a state machine. See [Machine], and package
// core for the terms.
package slots

import (
	"fmt"
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

// MaxSlots is the most attempts that a worker may run at once.
const MaxSlots = 65536

// maxLent is how many attempts may lend their slots at a time, so that a task that waits for a task
// that waits for a task, and so on without end, stops at a bound. Past it a waiting attempt keeps
// its slot.
const maxLent = 16384

// Config sizes a [Machine].
type Config struct {
	// Slots is how many attempts run at once, 1 to [MaxSlots].
	Slots int
	// Resources are what the attempts that run share, by name, such as {"cpu", 8000}.
	Resources []core.Resource
	// MaxPrefetch is the most attempts beyond the free slots that wait here. 0: none.
	MaxPrefetch int
	// MaxOutbox stops the polling once so many reports are held or will be.
	MaxOutbox int
	// MaxOutboxBytes is how many bytes of terminal reports may wait for the controller before
	// nothing more is started or asked for. What runs then adds its own. 0: no bound.
	MaxOutboxBytes int
	// PrefetchFor is how much work, in time of all slots, is fetched ahead.
	PrefetchFor time.Duration
	// PrefetchBytes is how much of inputs is fetched ahead, judged by the latest ones. 0: no bound.
	PrefetchBytes int
	// QueueWait is how long an attempt waits for a slot before it is given back.
	QueueWait time.Duration
	// StartedAfter is how long an attempt runs before the controller is told that it does.
	StartedAfter time.Duration
	// StopGrace is how long a stopped attempt may take to return before it is abandoned.
	StopGrace time.Duration
	// StallTick is how often the machine wants to be told the time while something is due, and
	// StallTolerance how much later it may be told: after that the process must have stood still,
	// and its functions with it. 0: that is not watched.
	StallTick, StallTolerance time.Duration
}

// Grant is one leased attempt, as a poll's answer brings it.
type Grant struct {
	// Lease is the attempt's lease token, never 0.
	Lease core.Token
	// Priority is the task's: of those that wait for a slot, the highest starts first.
	Priority int32
	// Resources are what it occupies besides a slot.
	Resources []core.Resource
	// Keeps says that it lends its slot alone, and not its resources, when it waits for other tasks.
	Keeps bool
	// Timeout is how long it may run. 0: no bound.
	Timeout time.Duration
	// Bytes is the size of its input.
	Bytes int
	// Value comes back in the attempt's effects. The machine never looks at it.
	Value any
}

// Counts is how the attempts of a worker stand.
type Counts struct {
	// Free counts the slots that nobody occupies.
	Free int
	// Queued counts the attempts that wait for a slot.
	Queued int
	// Running counts the attempts whose functions run in a slot.
	Running int
	// Blocked counts those that wait for other tasks and have lent their slots.
	Blocked int
	// Abandoned counts those that were stopped, did not return, and are reported.
	Abandoned int
	// Outbox counts the terminal reports that nobody has acknowledged.
	Outbox int
}

// Machine is the worker's half of a lease, as a state machine: which attempts wait, run, were
// stopped, or have ended without the controller knowing it yet; who runs next; how many to ask for;
// and what a heartbeat says.
//
// Every method but the readers is an event. It takes the present time, which must not fall from one
// event to the next, and appends what is to be done to the effects that [Machine.Effects] hands
// out. The order of the events determines the effects wholly. Nothing here blocks, and nothing is
// safe for concurrent use.
//
// An attempt is queued, then running, then finished; a finished one stays until its report is
// acknowledged. One that was stopped and does not return is abandoned: it is reported, but occupies
// its slot and resources until its function returns. A running attempt that waits for other tasks
// lends its slot, and its resources with it, unless its Grant says that it keeps these. Those that want
// theirs back go before those that are to start.
//
// What the controller says may be late, repeated or unknown, and is then ignored. What the worker
// says of its own functions may not: an impossible event panics.
type Machine struct {
	cfg     Config
	effects []Effect
	spare   []Effect

	attempts map[core.Token]*attempt
	all      list // in the order of their grants
	queue    queue
	waiters  list // wait to get their lent slots back
	due      dueHeap
	granted  uint64 // how many grants there were, to tell attempts' age apart

	tally     [phaseCount][placeCount]int // attempts; kept by move
	outbox    int
	bytes     int             // of the reports in the outbox
	resources []core.Resource // what is left of cfg.Resources
	wanted    []core.Resource // what those want back that are in waiters

	seen      core.Time // the time as of the last Pass
	connected bool
	draining  bool
	lostBy    core.Time // when a lost session's attempts are given up; Never: not
	drainBy   core.Time // when draining turns into stopping; Never: not

	pollSeq      uint64 // of the poll to send
	pollSent     bool   // it was sent, and not answered
	pollFree     int    // how many slots it says are free
	pollLent     []core.Token
	lenderCount  int // attempts that have lent resources
	receivedPoll uint64

	meanBytes int           // of inputs; rises at once, falls slowly
	meanRun   time.Duration // moving average of run times; 0: none known
	runs      struct {      // those that are not part of it yet
		at  core.Time
		n   int
		sum time.Duration
	}
}

// New returns a machine without attempts that has no session yet.
func New(cfg Config) *Machine {
	if cfg.Slots < 1 || cfg.Slots > MaxSlots {
		panic(fmt.Sprintf("core: %d slots, want 1 to %d", cfg.Slots, MaxSlots))
	}
	s := &Machine{
		cfg:      cfg,
		attempts: make(map[core.Token]*attempt),
		all:      list{link: linkAll},
		waiters:  list{link: linkWaiters},
		lostBy:   core.Never,
		drainBy:  core.Never,
		pollSeq:  1,
	}
	s.cfg.Resources = append([]core.Resource(nil), cfg.Resources...)
	s.resources = append([]core.Resource(nil), cfg.Resources...)
	s.wanted = noneOf(cfg.Resources)
	return s
}

// noneOf returns amounts of 0.
func noneOf(of []core.Resource) []core.Resource {
	none := append([]core.Resource(nil), of...)
	for i := range none {
		none[i].Amount = 0
	}
	return none
}

// Effects returns what is to be done since the last call, in order. The slice is valid until the
// call after the next.
func (s *Machine) Effects() []Effect {
	out := s.effects
	s.effects, s.spare = reuse.Emptied(s.spare), out
	return out
}

// Counts returns how the attempts stand.
func (s *Machine) Counts() Counts {
	running, abandoned := &s.tally[Running], &s.tally[Abandoned]
	return Counts{
		Free:      s.free(),
		Queued:    s.queue.n,
		Running:   running[placeSlot],
		Blocked:   running[placeLent] + running[placeWaiting],
		Abandoned: abandoned[placeSlot] + abandoned[placeLent] + abandoned[placeWaiting],
		Outbox:    s.outbox,
	}
}

// Connected says whether there is a session.
func (s *Machine) Connected() bool { return s.connected }

// Draining says whether no new work is taken.
func (s *Machine) Draining() bool { return s.draining }

// Drained says whether a draining machine has nothing left to run. Abandoned attempts do not count.
func (s *Machine) Drained() bool {
	return s.draining && s.live() == 0
}

// free returns how many slots nobody occupies.
func (s *Machine) free() int {
	return s.cfg.Slots - s.tally[Running][placeSlot] - s.tally[Abandoned][placeSlot]
}

// live returns how many attempts have not ended.
func (s *Machine) live() int {
	n := s.queue.n
	for _, running := range s.tally[Running] {
		n += running
	}
	return n
}

// lent returns how many attempts run without a slot.
func (s *Machine) lent() int {
	running, abandoned := &s.tally[Running], &s.tally[Abandoned]
	return running[placeLent] + running[placeWaiting] + abandoned[placeLent] + abandoned[placeWaiting]
}

// move changes the phase and the place of a, and counts it there.
func (s *Machine) move(a *attempt, phase Phase, place place) {
	s.tally[a.phase][a.place]--
	s.tally[phase][place]++
	a.phase, a.place = phase, place
}

// Deadline returns when [Machine.Tick] is next due; [core.Never] if nothing waits for a time.
func (s *Machine) Deadline() core.Time {
	next := min(s.lostBy, s.drainBy)
	if len(s.due) > 0 {
		next = min(next, s.due[0].due)
		if s.cfg.StallTick > 0 && s.seen != 0 {
			next = min(next, s.seen.Add(s.cfg.StallTick))
		}
	}
	return next
}

// dispatch hands free slots to those that want theirs back, then to the queue. A queued attempt
// whose resources are taken lets others pass; QueueWait bounds for how long.
func (s *Machine) dispatch(now core.Time) {
	for a := s.waiters.head; a != nil && s.free() > 0; {
		next := a.links[linkWaiters].next
		if s.fitsBack(a) {
			s.stopWaiting(a)
			s.take(a)
			s.move(a, a.phase, placeSlot)
			s.emit(Effect{Kind: Resume, Lease: a.Lease, Value: a.Value})
		}
		a = next
	}
	if !s.connected || s.draining || s.full() {
		return
	}
	for a := s.queue.head(); a != nil && s.free() > 0; {
		next := s.queue.after(a)
		if s.fits(a) {
			s.start(now, a)
		}
		a = next
	}
}

// full says whether so much waits to be reported that nothing more is started.
func (s *Machine) full() bool { return s.cfg.MaxOutboxBytes > 0 && s.bytes >= s.cfg.MaxOutboxBytes }

func (s *Machine) start(now core.Time, a *attempt) {
	s.queue.remove(a)
	s.occupy(a)
	s.move(a, Running, placeSlot)
	a.started = now
	a.deadline = core.Never
	if a.Timeout > 0 {
		a.deadline = now.Add(a.Timeout)
	}
	s.schedule(a)
	s.emit(Effect{Kind: Start, Lease: a.Lease, Value: a.Value, Deadline: a.deadline})
}

// release takes back what a's function occupied, because it returned.
func (s *Machine) release(a *attempt) {
	switch a.place {
	case placeWaiting:
		s.stopWaiting(a)
	case placeLent:
		s.countLender(a, -1)
	default:
	}
	if a.place == placeSlot || a.Keeps {
		add(s.resources, a.Resources, 1)
	}
	s.move(a, Finished, placeNone)
}

// lends returns the resources that an attempt lends with its slot.
func (a *attempt) lends() []core.Resource {
	if a.Keeps {
		return nil
	}
	return a.Resources
}

// occupy takes the resources of an attempt that starts.
func (s *Machine) occupy(a *attempt) { add(s.resources, a.Resources, -1) }

// lend has an attempt lend what it has.
func (s *Machine) lend(a *attempt) {
	add(s.resources, a.lends(), 1)
	s.countLender(a, 1)
}

// countLender counts an attempt among those that have lent resources, if it has some, or with -1 off.
func (s *Machine) countLender(a *attempt, sign int) {
	if len(a.lends()) > 0 {
		s.lenderCount += sign
	}
}

// take takes what an attempt had lent, and wanted back.
func (s *Machine) take(a *attempt) { add(s.resources, a.lends(), -1) }

// wait has an attempt want back what it has lent.
func (s *Machine) wait(a *attempt) {
	s.countLender(a, -1)
	add(s.wanted, a.lends(), 1)
	s.waiters.push(a)
}

// stopWaiting ends that.
func (s *Machine) stopWaiting(a *attempt) {
	add(s.wanted, a.lends(), -1)
	s.waiters.remove(a)
}

func add(to, of []core.Resource, sign int64) {
	for _, r := range of {
		*resource(to, r.Name) += sign * r.Amount
	}
}

// fits says whether a's resources are free, besides those that others want back.
func (s *Machine) fits(a *attempt) bool {
	for _, want := range a.Resources {
		if left := resource(s.resources, want.Name); left == nil || *left-*resource(s.wanted, want.Name) < want.Amount {
			return false
		}
	}
	return true
}

// fitsBack says whether the resources are free that a wants back.
func (s *Machine) fitsBack(a *attempt) bool {
	for _, want := range a.lends() {
		if *resource(s.resources, want.Name) < want.Amount {
			return false
		}
	}
	return true
}

// possible says whether a could ever run here.
func (s *Machine) possible(a *attempt) bool {
	for _, want := range a.Resources {
		if amountOf(s.cfg.Resources, want.Name) < want.Amount {
			return false
		}
	}
	return true
}

func resource(of []core.Resource, name string) *int64 {
	for i := range of {
		if of[i].Name == name {
			return &of[i].Amount
		}
	}
	return nil
}

func amountOf(from []core.Resource, name string) int64 {
	for _, r := range from {
		if r.Name == name {
			return r.Amount
		}
	}
	return 0
}

func (s *Machine) emit(e Effect) { s.effects = append(s.effects, e) }
