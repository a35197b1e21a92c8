package core

import "time"

// SlotEffectKind says what an effect asks for.
type SlotEffectKind uint8

// The effects of a [Slots].
const (
	// SlotStart asks for the attempt's function to be run until Deadline at most. Its end is told with
	// [Slots.Finish].
	SlotStart SlotEffectKind = iota + 1
	// SlotCancel asks for the attempt's context to be cancelled for Cause.
	SlotCancel
	// SlotResume says that an attempt which was unblocked may go on.
	SlotResume
	// SlotReport asks for Outcome to be reported. A terminal one is told to the machine with [Slots.Ack]
	// once the controller has judged it.
	SlotReport
	// SlotAbandon says that an attempt was stopped and has not returned within the grace. Its SlotReport
	// follows.
	SlotAbandon
	slotEffectKindCount
)

var slotEffectKindNames = [slotEffectKindCount]string{"none", "start", "cancel", "resume", "report", "abandon"}

func (k SlotEffectKind) String() string { return name(slotEffectKindNames[:], k) }

// SlotCause is why an attempt is stopped.
type SlotCause uint8

// The causes of a stop.
const (
	// SlotOrdered: the controller asked for it.
	SlotOrdered SlotCause = iota + 1
	// SlotSessionLost: the attempt's lease went with the session.
	SlotSessionLost
	// SlotTimedOut: it ran past its timeout.
	SlotTimedOut
	// SlotLeaving: the worker leaves, and the grace for it is over.
	SlotLeaving
	slotCauseCount
)

var slotCauseNames = [slotCauseCount]string{"none", "ordered", "session-lost", "timed-out", "leaving"}

func (c SlotCause) String() string { return name(slotCauseNames[:], c) }

// outcome is what an attempt that was stopped for c is reported with.
func (c SlotCause) outcome() Outcome {
	switch c {
	case SlotTimedOut:
		return TimedOut
	case SlotLeaving:
		return Returned
	default:
		return Stopped
	}
}

// SlotEffect is one thing that the shell of a [Slots] has to do.
type SlotEffect struct {
	Kind  SlotEffectKind
	Lease Token
	// Value is the grant's.
	Value any
	// Deadline is when the attempt's timeout ends, or [Never]; with SlotStart.
	Deadline Time
	// Cause is set with SlotCancel and SlotAbandon.
	Cause SlotCause
	// Outcome is set with SlotReport.
	Outcome Outcome
	// Ran is how long the attempt ran, with SlotReport. 0: it never started.
	Ran time.Duration
}
