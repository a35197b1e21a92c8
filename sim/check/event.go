package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// EventKind is what an Event tells of.
type EventKind uint8

// The kinds. Those of calls come in pairs: a Call when it is made, a Reply when it is over. What a
// reply says was so at some instant between the two. Replies of reads, polls and heartbeats stand
// alone, and know when their call was made.
const (
	// SubmitCall offers Task with Spec. SubmitReply has the Answer: Created, Existing,
	// Acknowledged, Refused or Unanswered.
	SubmitCall EventKind = iota + 1
	SubmitReply
	// ReadReply shows Task to a client, whichever call it made: with a View, or NotFound.
	ReadReply
	// CancelCall asks to cancel Task or, without one, all of Job. CancelReply has the Answer.
	CancelCall
	CancelReply
	// RegisterCall is made by Worker with Capacity. RegisterReply has Session, TTL and the Kept
	// attempts.
	RegisterCall
	RegisterReply
	// UnregisterCall ends Session.
	UnregisterCall
	// HeartbeatReply: a heartbeat of Session was answered. Draining says that it asked for no more
	// work.
	HeartbeatReply
	// StopOrder: a heartbeat's answer asked to stop Token.
	StopOrder
	// SessionStale: a call under Session was refused because the controller has ended it.
	SessionStale
	// GrantReply: a poll of Session brought Attempt of Task, with Token and Spec. Its call is the
	// first send of that poll.
	GrantReply
	// ReportCall says the Outcome of an attempt, and how long it Ran. ReportReply has the Answer:
	// Accepted, Duplicate, Stale or Unanswered.
	ReportCall
	ReportReply
	// ExecutionStart and ExecutionEnd enclose one run of a function on Worker. The start has the
	// Digest of the input that the function saw. The end has an Outcome: SUCCEEDED with the Digest
	// of the value, or FAILED; and if its context was done by then, the Cause.
	ExecutionStart
	ExecutionEnd
	// ClusterInfo is what GetClusterInfo told: Counts by status.
	ClusterInfo
	// WorkerCrash: Worker's process died; what it ran ended then.
	WorkerCrash
	// ControllerCrash: the controller's process died, or ended as it was told to.
	ControllerCrash
	// Heal: from now on there are no faults.
	Heal
	// Quiescent: nothing is asked for any longer but how things stand.
	Quiescent
	// FutureEnd: a future of Task told its client a value, with this Digest.
	FutureEnd
	// HeartbeatCall says under Session what its worker holds. HeartbeatLost: it got no answer, or one
	// that proves nothing.
	HeartbeatCall
	HeartbeatLost
	// LeaveOrder: Worker is told to leave, and may finish what it runs for the TTL.
	LeaveOrder
	// UnregisterReply: Session is over, at its worker's word.
	UnregisterReply
	// ListPage: one page of a list of tasks, of Job only or, without one, of all, in those of
	// Statuses only or, without any, in all. What it shows are ReadReplies of the same Call, after
	// it. ListEnd: the last page has come, and List is those on all pages; its call is that of the
	// first.
	ListPage
	ListEnd
	// CallExpired: a call of the Procedure got no answer until its deadline.
	CallExpired
	// BugTold: a call, or a task of it, was answered with an error that is the controller's own fault.
	BugTold
	// LeadTaken: of controllers that share a database the one of Host leads from now on, in the epoch
	// that Incarnation is. LeadCommit: the database has a commit that Host made in that epoch. Both are
	// seen there.
	LeadTaken
	LeadCommit
	kindCount
)

var kindNames = [kindCount]string{
	"none", "submit-call", "submit-reply", "read-reply", "cancel-call", "cancel-reply", "register-call", "register-reply",
	"unregister-call", "heartbeat-reply", "stop-order", "session-stale", "grant-reply", "report-call", "report-reply",
	"execution-start", "execution-end", "cluster-info", "worker-crash", "controller-crash", "heal", "quiescent", "future-end",
	"heartbeat-call", "heartbeat-lost", "leave-order", "unregister-reply", "list-page", "list-end", "call-expired",
	"bug-told", "lead-taken", "lead-commit",
}

// String returns the kind in lower case with dashes.
func (k EventKind) String() string { return named(kindNames[:], k) }

// MarshalText implements encoding.TextMarshaler.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (k *EventKind) UnmarshalText(text []byte) (err error) {
	*k, err = byName[EventKind](kindNames[:], "kind of event", text)
	return err
}

// Reply says whether events of the kind tell what came of a call.
func (k EventKind) Reply() bool {
	switch k {
	case SubmitReply, ReadReply, CancelReply, RegisterReply, UnregisterReply, HeartbeatReply, HeartbeatLost, StopOrder, SessionStale, GrantReply, ReportReply,
		ClusterInfo, ListPage, ListEnd, CallExpired, BugTold:
		return true
	default:
		return false
	}
}

// Answer is the controller's answer, as far as one came.
type Answer uint8

// The answers, each with the replies that carry it.
const (
	// Unanswered: no answer, or one that proves nothing. The call may have had its effect, or have
	// it yet.
	Unanswered Answer = iota + 1
	// Created, Existing and Acknowledged are of submissions: all three say that the task is there;
	// the last does not say since when.
	Created
	Existing
	Acknowledged
	// Refused is of submissions that the controller declined.
	Refused
	// Found is of reads; NotFound of reads and cancellations.
	Found
	NotFound
	// Accepted, Duplicate and Stale are of reports.
	Accepted
	Duplicate
	Stale
	// Cancelled, Stopping and AlreadyTerminal are of cancellations; of those of a job only Stopping
	// is, and says nothing of a task.
	Cancelled
	Stopping
	AlreadyTerminal
	answerCount
)

var answerNames = [answerCount]string{
	"none", "unanswered", "created", "existing", "acknowledged", "refused", "found", "not-found", "accepted", "duplicate", "stale",
	"cancelled", "stopping", "already-terminal",
}

// String returns the answer in lower case with dashes.
func (a Answer) String() string { return named(answerNames[:], a) }

// MarshalText implements encoding.TextMarshaler.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (a *Answer) UnmarshalText(text []byte) (err error) {
	*a, err = byName[Answer](answerNames[:], "verdict", text)
	return err
}

// Cause is why the context of a function was done before the function returned.
type Cause uint8

// The causes, as a worker gives them.
const (
	// CauseOrdered: the controller asked for it.
	CauseOrdered Cause = iota + 1
	// CauseSessionLost: the session is gone, and the attempt's lease with it.
	CauseSessionLost
	// CauseTimedOut: it ran past its execution timeout.
	CauseTimedOut
	// CauseLeaving: the worker leaves.
	CauseLeaving
	// CauseUnknown is none of these.
	CauseUnknown
	causeCount
)

var causeNames = [causeCount]string{"none", "ordered", "session-lost", "timed-out", "leaving", "unknown"}

// String returns the cause in lower case with dashes.
func (c Cause) String() string { return named(causeNames[:], c) }

// MarshalText implements encoding.TextMarshaler.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (c *Cause) UnmarshalText(text []byte) (err error) {
	*c, err = byName[Cause](causeNames[:], "cause", text)
	return err
}

func (a Answer) acknowledges() bool { return a == Created || a == Existing || a == Acknowledged }

func named[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

func byName[T ~uint8](names []string, what string, text []byte) (T, error) {
	i := slices.Index(names, string(text))
	if i < 0 {
		return 0, fmt.Errorf("there is no %s %q", what, text)
	}
	return T(i), nil // There are few.
}

// Event is one observation of a client or a worker, or a mark of the harness that runs them. Which
// fields are set follows from Kind.
type Event struct {
	// Seq counts the events of a history from 1.
	Seq uint64 `json:"seq"`
	// At is the time since the history began.
	At   time.Duration `json:"at_ns"`
	Kind EventKind     `json:"kind"`
	// Invoked and InvokedAt, of a reply, tell when its call was made: everything up to the event
	// with this Seq had happened by then. Of all others: the event before.
	Invoked   uint64        `json:"invoked,omitempty"`
	InvokedAt time.Duration `json:"invoked_at_ns,omitempty"`
	// MayWait, of a reply, is how long the controller was allowed to hold its call.
	MayWait time.Duration `json:"may_wait_ns,omitempty"`
	// Call is the same for all events of one call. 0: it belongs to none.
	Call uint64 `json:"call,omitempty"`
	// Host is where it was observed.
	Host     string `json:"host,omitempty"`
	Worker   string `json:"worker,omitempty"`
	Task     string `json:"task,omitempty"`
	Job      string `json:"job,omitempty"`
	Function string `json:"function,omitempty"`
	// Attempt and Token name an attempt of Task.
	Attempt uint32 `json:"attempt,omitempty"`
	Token   uint64 `json:"token,omitempty"`
	// Life, of a grant of a call, is the token of the attempt of its actor's life that it is for.
	Life uint64 `json:"life,omitempty"`
	// Session is a worker's session token.
	Session uint64 `json:"session,omitempty"`
	// Incarnation is that of the controller which gave Token, or else Session. 0: it is not known.
	Incarnation uint64                `json:"incarnation,omitempty"`
	Answer      Answer                `json:"verdict,omitempty"`
	Outcome     frayv1.AttemptOutcome `json:"outcome,omitempty"`
	// Code is why a reply is Unanswered or Refused.
	Code connect.Code `json:"code,omitempty"`
	// Digest stands for a value or an error that was seen in full. 0: it was not.
	Digest uint64 `json:"digest,omitempty"`
	// RetryAfter is what a failed function asked for, as it returned it or as its worker reported it.
	RetryAfter time.Duration `json:"retry_after_ns,omitempty"`
	// Final: the function returned that no other attempt is to be made.
	Final bool          `json:"final,omitempty"`
	TTL   time.Duration `json:"ttl_ns,omitempty"`
	// Ran is how long an attempt has run, by its worker's word. 0: it has not.
	Ran time.Duration `json:"ran_ns,omitempty"`
	// Carried, of a report, says that it went along with a poll.
	Carried bool `json:"carried,omitempty"`
	// Cause is why a function's context was done when it returned, and StoppedAfter how long it had
	// run by then.
	Cause        Cause         `json:"cause,omitempty"`
	StoppedAfter time.Duration `json:"stopped_after_ns,omitempty"`
	// Kept are the lease tokens of attempts that go on under a new session.
	Kept     []uint64 `json:"kept,omitempty"`
	Draining bool     `json:"draining,omitempty"`
	// Dependants, of a cancellation, says that it is also of the tasks that need what it is of, and so on.
	Dependants bool `json:"dependants,omitempty"`
	// Statuses and List are those of a list.
	Statuses []frayv1.TaskStatus `json:"statuses,omitempty"`
	List     []string            `json:"list,omitempty"`

	Spec *Spec `json:"spec,omitempty"`
	// JobOptions is what a SubmitCall says of its job, and JobFailed that it was refused because that has failed as a
	// whole, or one above it.
	JobOptions *JobOptions `json:"job_options,omitempty"`
	JobFailed  bool        `json:"job_failed,omitempty"`
	View       *View       `json:"view,omitempty"`
	// Submitted and Ended are when a task that is shown was created and had ended, by the controller's clock, in milliseconds of
	// Unix time. 0: it is not known, or it had not.
	Submitted int64 `json:"submitted_unix_ms,omitempty"`
	Ended     int64 `json:"ended_unix_ms,omitempty"`

	Capacity *Capacity         `json:"capacity,omitempty"`
	Counts   map[string]uint64 `json:"counts,omitempty"`
	Detail   string            `json:"detail,omitempty"`
	// There, of a submission that was refused because of its name or key, is the id of what has that.
	There string `json:"there,omitempty"`
	// Holds are the tasks that the worker had been granted and was not rid of, sorted, 1,000 at
	// most: at a HeartbeatCall and when that of a HeartbeatReply or HeartbeatLost was made, and at
	// a StopOrder (the one task that it stops), a SessionStale and a WorkerCrash.
	Holds []string `json:"holds,omitempty"`
	// Listed is what a heartbeat said that the worker holds.
	Listed *Listed `json:"listed,omitempty"`
}

// MarshalJSON implements json.Marshaler. Tokens, digests and incarnations, which JavaScript has no
// numbers for, are strings of hexadecimal digits, as they are in String.
func (e *Event) MarshalJSON() ([]byte, error) {
	type plain Event
	told := struct {
		plain
		Token       string   `json:"token,omitempty"`
		Life        string   `json:"life,omitempty"`
		Session     string   `json:"session,omitempty"`
		Incarnation string   `json:"incarnation,omitempty"`
		Digest      string   `json:"digest,omitempty"`
		Kept        []string `json:"kept,omitempty"`
	}{
		plain: plain(*e), Token: hexadecimal(e.Token), Life: hexadecimal(e.Life), Session: hexadecimal(e.Session),
		Incarnation: hexadecimal(e.Incarnation), Digest: hexadecimal(e.Digest),
	}
	for _, token := range e.Kept {
		told.Kept = append(told.Kept, hexadecimal(token))
	}
	return json.Marshal(told)
}

// hexadecimal returns a number in hexadecimal digits; "": it is 0, which stands for none.
func hexadecimal(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 16)
}

// String tells the event in a line.
func (e *Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %v %v", e.Seq, e.At, e.Kind)
	if e.Host != "" {
		b.WriteString(" host=" + e.Host)
	}
	if details := e.Details(); details != "" {
		b.WriteString(" " + details)
	}
	return b.String()
}

// Details tells what String does besides number, time, kind and host. A worker on the host of its
// own name and the job that a task's id starts with go without saying.
func (e *Event) Details() string { return strings.Join(e.details(false), " ") }

// Gist tells the kind and the details that are the same in each run in which the same happens:
// those that are no token and no time, and that say nothing of other tasks.
func (e *Event) Gist() string {
	return strings.Join(append([]string{e.Kind.String()}, e.details(true)...), " ")
}

// details are the parts of Details, or those of Gist.
func (e *Event) details(gist bool) (fields []string) {
	add := func(format string, args ...any) { fields = append(fields, fmt.Sprintf(format, args...)) }
	if e.Task != "" && !gist {
		add("task=%s", e.Task)
	}
	if e.Worker != "" && e.Worker != e.Host {
		add("worker=%s", e.Worker)
	}
	if e.Job != "" && !strings.HasPrefix(e.Task, e.Job+".") {
		add("job=%s", e.Job)
	}
	if e.Function != "" {
		add("function=%s", e.Function)
	}
	if e.Attempt != 0 {
		add("attempt=%d", e.Attempt)
	}
	if e.Token != 0 && !gist {
		add("token=%x", e.Token)
	}
	if e.Outcome != 0 {
		add("outcome=%s", outcomeName(e.Outcome))
	}
	if e.Dependants {
		add("with=dependants")
	}
	if e.Carried && !gist {
		add("by=poll")
	}
	if e.Answer != 0 {
		add("verdict=%v", e.Answer)
	}
	if e.Code != 0 {
		add("code=%v", e.Code)
	}
	if e.JobFailed {
		add("for=failed-job")
	}
	if e.Cause != 0 {
		add("stopped=%v after=%v", e.Cause, e.StoppedAfter)
	}
	if e.View != nil {
		add("%v", e.View)
	}
	if gist {
		return fields
	}
	if e.Kind.Reply() && e.InvokedAt != e.At {
		add("asked=%v", e.InvokedAt)
	}
	if e.Detail != "" {
		add("(%s)", e.Detail)
	}
	switch {
	case e.Listed != nil:
		add("%v", e.Listed)
		if missing := e.Unlisted(); len(missing) > 0 {
			add("not-listed=%s", few(missing))
		}
	case len(e.Holds) > 0 && e.Kind != HeartbeatReply:
		add("holds=%s", few(e.Holds))
	}
	return fields
}

// follows says whether e's call was made when the event with this Seq had happened.
func (e *Event) follows(seq uint64) bool { return e.Invoked >= seq }

// endsAttempt says whether a report with this outcome is the attempt's last.
func endsAttempt(o frayv1.AttemptOutcome) bool {
	switch o {
	case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_UNSPECIFIED, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_READY:
		return false
	default:
		return true
	}
}

// needsCurrent says whether a report with this outcome is accepted from a task's current attempt
// only. One that was told to stop may say so when the task has long gone on without it.
func needsCurrent(o frayv1.AttemptOutcome) bool {
	return endsAttempt(o) && o != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STOPPED
}

// chargesRetry says whether an accepted report with this outcome costs one of max_retries.
func chargesRetry(o frayv1.AttemptOutcome) bool {
	switch o {
	case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_TIMED_OUT, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_UNDECODABLE:
		return true
	default:
		return false
	}
}

func outcomeName(o frayv1.AttemptOutcome) string {
	return strings.TrimPrefix(o.String(), "ATTEMPT_OUTCOME_")
}

func statusName(s frayv1.TaskStatus) string { return strings.TrimPrefix(s.String(), "TASK_STATUS_") }

func reasonName(r frayv1.FailureReason) string {
	return strings.TrimPrefix(r.String(), "FAILURE_REASON_")
}

func terminal(s frayv1.TaskStatus) bool { return s >= frayv1.TaskStatus_TASK_STATUS_COMPLETED }
