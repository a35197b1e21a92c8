package core

import (
	"github.com/frayrpc/fray/fray/core/internal/enum"
)

// Status is where a task stands.
type Status uint8

// A task is born Pending. Completed, Failed and Cancelled are terminal and absorb.
const (
	Pending Status = iota + 1
	Leased
	Running
	Completed
	Failed
	Cancelled
	statusCount
)

var statusNames = [statusCount]string{"NONE", "PENDING", "LEASED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"}

func (s Status) String() string { return enum.Name(statusNames[:], s) }

// Terminal says whether a task in s has ended for good.
func (s Status) Terminal() bool { return s == Completed || s == Failed || s == Cancelled }

// leased says whether a task in s has a lease.
func (s Status) leased() bool { return s == Leased || s == Running }

// Statuses lists every status, in the order of a task's life.
func Statuses() []Status { return []Status{Pending, Leased, Running, Completed, Failed, Cancelled} }

// transitions is the one table of legal moves; setStatus refuses any other.
// Status 0 stands for a task that is not there yet.
var transitions = [statusCount][statusCount]bool{
	0:       {Pending: true},
	Pending: {Leased: true, Failed: true, Cancelled: true},
	// Back to Pending: its delivery failed, its worker died, or it will be tried again.
	Leased:  {Pending: true, Running: true, Completed: true, Failed: true, Cancelled: true},
	Running: {Pending: true, Completed: true, Failed: true, Cancelled: true},
}

// Legal says whether a task may move from one status to another.
func Legal(from, to Status) bool {
	return from < statusCount && to < statusCount && transitions[from][to]
}

// PendingReason says what a pending task waits for.
type PendingReason uint8

// What each of them is, the wire says.
const (
	Ready PendingReason = iota + 1
	Blocked
	Backoff
	NoEligibleWorker
	Recovering
	Delayed
	Mailed
	Throttled
	Scheduled
	Ganged
	pendingReasonCount
)

var pendingReasonNames = [pendingReasonCount]string{"NONE", "READY", "BLOCKED", "BACKOFF", "NO_ELIGIBLE_WORKER", "RECOVERING", "DELAYED", "MAILBOX", "THROTTLED", "SCHEDULED", "GANG"}

func (r PendingReason) String() string { return enum.Name(pendingReasonNames[:], r) }

// timed says whether the scheduling timeout of a task that waits so runs.
func (r PendingReason) timed() bool {
	return r == Ready || r == Mailed || r == Throttled || r == Ganged
}

// FailureReason says why a failed task failed.
type FailureReason uint8

// A task that did not fail has reason 0.
const (
	Application FailureReason = iota + 1
	Timeout
	WorkerLost
	SchedulingTimeout
	DependencyFailed
	Undecodable
	ActorRestarted
	ActorDead
	failureReasonCount
)

var failureReasonNames = [failureReasonCount]string{
	"NONE", "APPLICATION", "TIMEOUT", "WORKER_LOST", "SCHEDULING_TIMEOUT", "DEPENDENCY_FAILED", "UNDECODABLE", "ACTOR_RESTARTED", "ACTOR_DEAD",
}

func (r FailureReason) String() string { return enum.Name(failureReasonNames[:], r) }

// Outcome is what a worker says of an attempt.
type Outcome uint8

// All but Started and ReadyOutcome end the attempt.
const (
	Started Outcome = iota + 1
	Succeeded
	FailedOutcome
	TimedOut
	Stopped
	Returned
	UndecodableOutcome
	// ReadyOutcome: it is an actor's life, which takes calls now.
	ReadyOutcome
	outcomeCount
)

var outcomeNames = [outcomeCount]string{
	"NONE", "STARTED", "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED", "RETURNED", "UNDECODABLE", "READY",
}

func (o Outcome) String() string { return enum.Name(outcomeNames[:], o) }

// ReportVerdict is what a report was worth.
type ReportVerdict uint8

// Every reported item gets one of these.
const (
	Accepted ReportVerdict = iota + 1
	Duplicate
	Stale
	verdictCount
)

var verdictNames = [verdictCount]string{"NONE", "ACCEPTED", "DUPLICATE", "STALE"}

func (v ReportVerdict) String() string { return enum.Name(verdictNames[:], v) }

// CancelVerdict is what a cancellation found.
type CancelVerdict uint8

// Each cancelled id gets one of these.
const (
	CancelDone CancelVerdict = iota + 1
	CancelStopping
	CancelAlreadyTerminal
	CancelNotFound
	// CancelRefused: its job belongs to another caller.
	CancelRefused
	cancelVerdictCount
)

var cancelVerdictNames = [cancelVerdictCount]string{"NONE", "CANCELLED", "STOPPING", "ALREADY_TERMINAL", "NOT_FOUND", "REFUSED"}

func (v CancelVerdict) String() string { return enum.Name(cancelVerdictNames[:], v) }
