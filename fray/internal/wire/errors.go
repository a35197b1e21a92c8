// Package wire is what Fray's messages mean to all who send or get them: the one place where an
// error becomes a Connect code, and where a specification is checked.
package wire

import (
	"fmt"
	"time"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
	said "github.com/frayrpc/fray/internal/reason"
)

// Reasons are the machine-readable part of Fray's errors. They are wire format.
const (
	ReasonInvalid       = "INVALID"
	ReasonUnknownTask   = "UNKNOWN_TASK"
	ReasonUnknownObject = "UNKNOWN_OBJECT"
	ReasonObjectDiffers = "OBJECT_DIFFERS"
	ReasonUnknownActor  = "UNKNOWN_ACTOR"
	ReasonActorLeaving  = "ACTOR_LEAVING"
	ReasonCallLate      = "CALL_LATE"
	ReasonUnknownWorker = "UNKNOWN_WORKER"
	ReasonSpecDiffers   = "SPEC_DIFFERS"
	ReasonSessionStale  = "SESSION_STALE"
	ReasonCursorAhead   = "CURSOR_AHEAD"
	ReasonQueueFull     = "QUEUE_FULL"
	ReasonStoreFull     = "STORE_FULL"
	ReasonTooMany       = "TOO_MANY"
	ReasonSuperseded    = "SUPERSEDED"
	ReasonWorkerLives   = "WORKER_LIVES"
	ReasonShuttingDown  = "SHUTTING_DOWN"
	ReasonNotLeader     = "NOT_LEADER"
	ReasonUnsupported   = "UNSUPPORTED"
	ReasonExists        = "EXISTS"
	ReasonNotOwner      = "NOT_OWNER"
	ReasonUnknownCaller = "UNKNOWN_CALLER"
	ReasonForbidden     = "FORBIDDEN"
	ReasonTooManyLogins = "TOO_MANY_LOGINS"
	ReasonBackupFailed  = "BACKUP_FAILED"
	ReasonJobDiffers    = "JOB_DIFFERS"
	ReasonJobBounds     = "JOB_BOUNDS"
	ReasonJobFailed     = "JOB_FAILED"
	ReasonUnknownJob    = "UNKNOWN_JOB"
	ReasonBug           = "BUG"
)

// LeaderHeader has the address of the controller that leads, beside ReasonNotLeader; it is empty where that is not
// known.
const LeaderHeader = said.LeaderHeader

// codes gives each reason its Connect code.
var codes = map[string]connect.Code{
	ReasonInvalid:       connect.CodeInvalidArgument,
	ReasonUnknownTask:   connect.CodeNotFound,
	ReasonUnknownObject: connect.CodeNotFound,
	ReasonObjectDiffers: connect.CodeInvalidArgument,
	ReasonUnknownActor:  connect.CodeNotFound,
	ReasonActorLeaving:  connect.CodeResourceExhausted,
	ReasonCallLate:      connect.CodeFailedPrecondition,
	ReasonUnknownWorker: connect.CodeNotFound,
	ReasonSpecDiffers:   connect.CodeAlreadyExists,
	ReasonSessionStale:  connect.CodeFailedPrecondition,
	ReasonCursorAhead:   connect.CodeFailedPrecondition,
	ReasonQueueFull:     connect.CodeResourceExhausted,
	ReasonStoreFull:     connect.CodeResourceExhausted,
	ReasonTooMany:       connect.CodeResourceExhausted,
	ReasonSuperseded:    connect.CodeAborted,
	ReasonWorkerLives:   connect.CodeAlreadyExists,
	ReasonShuttingDown:  connect.CodeUnavailable,
	ReasonNotLeader:     connect.CodeUnavailable,
	ReasonUnsupported:   connect.CodeFailedPrecondition,
	ReasonExists:        connect.CodeAlreadyExists,
	ReasonNotOwner:      connect.CodePermissionDenied,
	ReasonUnknownCaller: connect.CodeUnauthenticated,
	ReasonForbidden:     connect.CodePermissionDenied,
	ReasonTooManyLogins: connect.CodeResourceExhausted,
	ReasonBackupFailed:  connect.CodeFailedPrecondition,
	ReasonJobDiffers:    connect.CodeFailedPrecondition,
	ReasonJobBounds:     connect.CodeFailedPrecondition,
	ReasonJobFailed:     connect.CodeFailedPrecondition,
	ReasonUnknownJob:    connect.CodeNotFound,
	ReasonBug:           connect.CodeInternal,
}

// Code returns the Connect code of a reason; of one that this build does not know, CodeInternal.
func Code(reason string) connect.Code {
	if c, ok := codes[reason]; ok {
		return c
	}
	return connect.CodeInternal
}

// Error returns the error for a reason, with a message for people and, unless it is 0, advice when
// to try again.
func Error(reason string, retryAfter time.Duration, format string, args ...any) *connect.Error {
	err := connect.NewError(Code(reason), fmt.Errorf(format, args...))
	detail, derr := connect.NewErrorDetail(&frayv1.ErrorInfo{Reason: reason, RetryAfterMs: number.Millis(retryAfter)})
	if derr == nil {
		err.AddDetail(detail)
	}
	return err
}

// Info returns what Fray said in an error that came over the wire: its reason, or "" for an error
// that is not Fray's, and when to try again, or 0.
func Info(err error) (reason string, retryAfter time.Duration) {
	info := said.Of(err)
	return info.GetReason(), number.FromMillis(info.GetRetryAfterMs())
}
