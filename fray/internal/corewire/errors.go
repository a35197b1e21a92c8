// Package corewire is the border between Fray's messages and its core: where a specification
// becomes what the scheduler looks at, and what the scheduler says becomes messages and errors.
package corewire

import (
	"errors"

	"github.com/frayrpc/fray/fray/internal/wire"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/core"
)

// coreReasons maps the core's errors.
var coreReasons = []struct {
	err    error
	reason string
	advice string // after the error's text
}{
	{core.ErrSessionStale, wire.ReasonSessionStale, ""},
	{core.ErrUnknownTask, wire.ReasonUnknownTask, ""},
	{core.ErrUnknownObject, wire.ReasonUnknownObject, ": the job does not hold it, or no longer: put it again"},
	{core.ErrObjectsFull, wire.ReasonQueueFull, ": release some, or try again later"},
	{core.ErrOtherObject, wire.ReasonObjectDiffers, ": put it again, as another upload"},
	{core.ErrUnknownWorker, wire.ReasonUnknownWorker, ""},
	{core.ErrNotOwner, wire.ReasonNotOwner, ": take one of your own, or a credential with a role for everybody's"},
	{core.ErrCursorAhead, wire.ReasonCursorAhead, ""},
	{core.ErrWorkerLives, wire.ReasonWorkerLives, ""},
	{core.ErrSuperseded, wire.ReasonSuperseded, ""},
	{core.ErrTooManySessions, wire.ReasonTooMany, ""},
	{core.ErrFleetTooLarge, wire.ReasonTooMany, ""},
	{core.ErrTooManyWatchers, wire.ReasonTooMany, ""},
}

// jobReasons maps those of a core.JobError, which says by itself what is wrong.
var jobReasons = []struct {
	err    error
	reason string
}{
	{core.ErrJobDiffers, wire.ReasonJobDiffers},
	{core.ErrUnknownJob, wire.ReasonUnknownJob},
	{core.ErrJobBounds, wire.ReasonJobBounds},
	{core.ErrJobFailed, wire.ReasonJobFailed},
	{core.ErrNotOwner, wire.ReasonNotOwner},
}

// FromCore returns the error for one of the core's. What it says of the subject, such as `task
// "a"`, comes first.
func FromCore(subject string, err error) *connect.Error {
	var job *core.JobError
	if errors.As(err, &job) {
		for _, m := range jobReasons {
			if errors.Is(job, m.err) {
				return wire.Error(m.reason, 0, "%s: %s", subject, job.Text)
			}
		}
	}
	for _, m := range coreReasons {
		if errors.Is(err, m.err) {
			return wire.Error(m.reason, 0, "%s: %w%s", subject, m.err, m.advice)
		}
	}
	return wire.Error(wire.ReasonBug, 0, "%s: internal error", subject)
}
