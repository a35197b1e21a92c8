package slots

import (
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/internal/enum"
)

// EffectKind says what an effect asks for.
type EffectKind uint8

// The effects of a [Machine].
const (
	// Start asks for the attempt's function to be run until Deadline at most. Its end is told with
	// [Machine.Finish].
	Start EffectKind = iota + 1
	// Cancel asks for the attempt's context to be cancelled for Cause.
	Cancel
	// Resume says that an attempt which was unblocked may go on.
	Resume
	// Report asks for Outcome to be reported. A terminal one is told to the machine with
	// [Machine.Ack] once the controller has judged it.
	Report
	// Abandon says that an attempt was stopped and has not returned within the grace. Its Report
	// follows.
	Abandon
	effectKindCount
)

var effectKindNames = [effectKindCount]string{"none", "start", "cancel", "resume", "report", "abandon"}

func (k EffectKind) String() string { return enum.Name(effectKindNames[:], k) }

// Cause is why an attempt is stopped.
type Cause uint8

// The causes of a stop.
const (
	// Ordered: the controller asked for it.
	Ordered Cause = iota + 1
	// SessionLost: the attempt's lease went with the session.
	SessionLost
	// TimedOut: it ran past its timeout.
	TimedOut
	// Leaving: the worker leaves, and the grace for it is over.
	Leaving
	causeCount
)

var causeNames = [causeCount]string{"none", "ordered", "session-lost", "timed-out", "leaving"}

func (c Cause) String() string { return enum.Name(causeNames[:], c) }

// outcome is what an attempt that was stopped for c is reported with.
func (c Cause) outcome() core.Outcome {
	switch c {
	case TimedOut:
		return core.TimedOut
	case Leaving:
		return core.Returned
	default:
		return core.Stopped
	}
}

// Effect is one thing that the shell of a [Machine] has to do.
type Effect struct {
	Kind  EffectKind
	Lease core.Token
	// Value is the grant's.
	Value any
	// Deadline is when the attempt's timeout ends, or [core.Never]; with Start.
	Deadline core.Time
	// Cause is set with Cancel and Abandon.
	Cause Cause
	// Outcome is set with Report.
	Outcome core.Outcome
	// Ran is how long the attempt ran, with Report. 0: it never started.
	Ran time.Duration
}
