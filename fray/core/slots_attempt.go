package core

import "time"

// SlotPhase is how far a worker is with an attempt.
type SlotPhase uint8

// An attempt goes through these in order, and may leave out any but SlotFinished.
const (
	// SlotQueued waits for a slot.
	SlotQueued SlotPhase = iota + 1
	// SlotRunning has a function that runs.
	SlotRunning
	// SlotAbandoned was stopped and reported, and its function still runs.
	SlotAbandoned
	// SlotFinished waits for its report to be acknowledged.
	SlotFinished
	slotPhaseCount
)

var slotPhaseNames = [slotPhaseCount]string{"none", "queued", "running", "abandoned", "finished"}

func (p SlotPhase) String() string { return name(slotPhaseNames[:], p) }

// slotPlace is what a running or abandoned attempt has of its slot.
type slotPlace uint8

const (
	slotPlaceNone slotPlace = iota
	slotPlaceSlot
	// slotPlaceLent waits for other tasks, and somebody else may have the slot.
	slotPlaceLent
	// slotPlaceWaiting has waited enough, and wants a slot again.
	slotPlaceWaiting
	slotPlaceCount
)

// slotAttempt is one attempt that the worker holds.
type slotAttempt struct {
	SlotGrant
	order uint64 // of its grant

	phase    SlotPhase
	place    slotPlace
	blocked  bool // between Block and Unblock
	lentOnce bool // it waited for other tasks, so that its run time tells nothing
	told     bool // the controller was told that it runs
	unacked  bool // its terminal report is in the outbox
	kept     bool // scratch of Registered
	bytes    int  // of its terminal report
	stop     SlotCause

	queuedAt  Time
	started   Time
	deadline  Time
	stoppedAt Time
	stalled   time.Duration // since started: the process stood still

	due      Time
	dueIndex int // in the heap; -1: nothing is due
	links    [slotLinkCount]slotLink
}

// dueAt returns when something is to be done about a of itself.
func (a *slotAttempt) dueAt(cfg *SlotsConfig) Time {
	switch {
	case a.phase == SlotQueued:
		return a.queuedAt.Add(cfg.QueueWait)
	case a.phase != SlotRunning:
		return Never
	case a.stop != 0:
		return a.stoppedAt.Add(cfg.StopGrace)
	case !a.told:
		return min(a.deadline, a.started.Add(cfg.StartedAfter))
	default:
		return a.deadline
	}
}

// ran returns how long a's function has run: at least a microsecond, for on the wire 0 says that it never
// started. An attempt that was never started ran for 0.
func (a *slotAttempt) ran(now Time) time.Duration {
	if a.started == 0 {
		return 0
	}
	return max(now.Sub(a.started)-a.stalled, time.Microsecond)
}

// The lists that an attempt may be in at the same time.
const (
	slotLinkAll = iota
	slotLinkQueue
	slotLinkWaiters
	slotLinkCount
)

type slotLink struct{ prev, next *slotAttempt }

// slotList is a doubly linked list through one of the links of its attempts.
type slotList struct {
	head, tail *slotAttempt
	n          int
	link       int
}

func (l *slotList) push(a *slotAttempt) {
	a.links[l.link] = slotLink{prev: l.tail}
	if l.tail == nil {
		l.head = a
	} else {
		l.tail.links[l.link].next = a
	}
	l.tail = a
	l.n++
}

func (l *slotList) remove(a *slotAttempt) {
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
	a.links[l.link] = slotLink{}
	l.n--
}
