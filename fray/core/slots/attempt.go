package slots

import (
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/internal/enum"
)

// Phase is how far a worker is with an attempt.
type Phase uint8

// An attempt goes through these in order, and may leave out any but Finished.
const (
	// Queued waits for a slot.
	Queued Phase = iota + 1
	// Running has a function that runs.
	Running
	// Abandoned was stopped and reported, and its function still runs.
	Abandoned
	// Finished waits for its report to be acknowledged.
	Finished
	phaseCount
)

var phaseNames = [phaseCount]string{"none", "queued", "running", "abandoned", "finished"}

func (p Phase) String() string { return enum.Name(phaseNames[:], p) }

// place is what a running or abandoned attempt has of its slot.
type place uint8

const (
	placeNone place = iota
	placeSlot
	// placeLent waits for other tasks, and another attempt may have the slot.
	placeLent
	// placeWaiting has waited enough, and wants a slot again.
	placeWaiting
	placeCount
)

// attempt is one attempt that the worker holds.
type attempt struct {
	Grant
	order uint64 // of its grant

	phase    Phase
	place    place
	blocked  bool // between Block and Unblock
	lentOnce bool // it waited for other tasks, so that its run time tells nothing
	told     bool // the controller was told that it runs
	unacked  bool // its terminal report is in the outbox
	kept     bool // scratch of Registered
	bytes    int  // of its terminal report
	stop     Cause

	queuedAt  core.Time
	started   core.Time
	deadline  core.Time
	stoppedAt core.Time
	stalled   time.Duration // since started: the process stood still

	due      core.Time
	dueIndex int // in the heap; -1: nothing is due
	links    [linkCount]link
}

// dueAt returns when something is to be done about a of itself.
func (a *attempt) dueAt(cfg *Config) core.Time {
	switch {
	case a.phase == Queued:
		return a.queuedAt.Add(cfg.QueueWait)
	case a.phase != Running:
		return core.Never
	case a.stop != 0:
		return a.stoppedAt.Add(cfg.StopGrace)
	case !a.told:
		return min(a.deadline, a.started.Add(cfg.StartedAfter))
	default:
		return a.deadline
	}
}

// ran returns how long a's function has run: at least a microsecond, for on the wire 0 says that it
// never started. An attempt that was never started ran for 0.
func (a *attempt) ran(now core.Time) time.Duration {
	if a.started == 0 {
		return 0
	}
	return max(now.Sub(a.started)-a.stalled, time.Microsecond)
}

// The lists that an attempt may be in at the same time.
const (
	linkAll = iota
	linkQueue
	linkWaiters
	linkCount
)

type link struct{ prev, next *attempt }

// list is a doubly linked list through one of the links of its attempts.
type list struct {
	head, tail *attempt
	n          int
	link       int
}

func (l *list) push(a *attempt) {
	a.links[l.link] = link{prev: l.tail}
	if l.tail == nil {
		l.head = a
	} else {
		l.tail.links[l.link].next = a
	}
	l.tail = a
	l.n++
}

func (l *list) remove(a *attempt) {
	at := a.links[l.link]
	if at.prev == nil {
		l.head = at.next
	} else {
		at.prev.links[l.link].next = at.next
	}
	if at.next == nil {
		l.tail = at.prev
	} else {
		at.next.links[l.link].prev = at.prev
	}
	a.links[l.link] = link{}
	l.n--
}
