package timeline

import (
	"cmp"
	"slices"
	"strings"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
)

// How an execution of a function ended, as a page has it.
const (
	outcomeRunning   = "running"
	outcomeSucceeded = "succeeded"
	outcomeFailed    = "failed"
	outcomeStopped   = "stopped"
	outcomeVanished  = "vanished"
)

// An attempt is one that a worker was granted.
type attempt struct {
	task, function, host string
	number               uint32
	token, session       uint64
	granted              time.Duration
	// Of its execution. started is below 0 before, and ended while it runs.
	started, ended time.Duration
	returned       frayv1.AttemptOutcome
	vanished       bool
	// When it was told to stop, or its session was found to be over; below 0: not.
	stopped time.Duration
	// What its worker reported first, when, and how the controller answered last.
	reported   frayv1.AttemptOutcome
	reportedAt time.Duration
	verdict    check.Answer
}

// attempts follows attempts from their grants to the answers to their reports.
type attempts struct {
	kept *kept[*attempt] // those that started
	held map[attemptKey]*attempt
}

type attemptKey struct {
	host, task string
	number     uint32
}

func newAttempts() attempts {
	return attempts{
		kept: newKept(MaxAttempts, func(a *attempt) time.Duration { return a.started }),
		held: map[attemptKey]*attempt{},
	}
}

// take takes in an event and returns the task that it is about, or "".
func (l *attempts) take(e *check.Event) string {
	key := attemptKey{e.Host, e.Task, e.Attempt}
	a := l.held[key]
	switch e.Kind {
	case check.GrantReply:
		if a == nil || a.token != e.Token {
			l.held[key] = newAttempt(e, e.At)
		}
	case check.ExecutionStart:
		if a == nil || a.started >= 0 {
			a = newAttempt(e, -1)
			l.held[key] = a
		}
		a.started = e.At
		l.kept.add(a)
	case check.ExecutionEnd:
		if a != nil && a.ended < 0 {
			a.ended, a.returned = e.At, e.Outcome
		}
	case check.ReportCall:
		if a != nil && a.token == e.Token && a.reported == 0 && e.Outcome != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED {
			a.reported, a.reportedAt = e.Outcome, e.At
		}
	case check.ReportReply:
		l.answered(a, key, e)
	case check.StopOrder:
		return l.stop(e, func(a *attempt) bool { return a.token == e.Token })
	case check.SessionStale:
		l.stop(e, func(a *attempt) bool { return a.session == e.Session })
	case check.WorkerCrash:
		l.crashed(e)
	default:
	}
	return e.Task
}

func newAttempt(e *check.Event, granted time.Duration) *attempt {
	return &attempt{
		task: e.Task, function: e.Function, host: e.Host, number: e.Attempt, token: e.Token, session: e.Session,
		granted: granted, started: -1, ended: -1, stopped: -1, reportedAt: -1,
	}
}

// answered takes in the answer to a report. An attempt that has ended and was judged is forgotten.
func (l *attempts) answered(a *attempt, key attemptKey, e *check.Event) {
	if a == nil || a.token != e.Token || e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED {
		return
	}
	a.verdict = e.Answer
	if e.Answer != check.Unanswered && (a.started < 0 || a.ended >= 0) {
		delete(l.held, key)
	}
}

// stop notes that a host's attempts are to stop, and returns the task of one of them.
func (l *attempts) stop(e *check.Event, concerns func(*attempt) bool) (task string) {
	for key, a := range l.held { // order-free: each is changed by itself, and a token is that of one
		if key.host == e.Host && concerns(a) && a.stopped < 0 {
			a.stopped, task = e.At, a.task
		}
	}
	return task
}

// crashed forgets what a host held: it ended there.
func (l *attempts) crashed(e *check.Event) {
	for key, a := range l.held { // order-free: each is changed by itself
		if key.host != e.Host {
			continue
		}
		if a.started >= 0 && a.ended < 0 {
			a.ended, a.vanished = e.At, true
		}
		delete(l.held, key)
	}
}

// outcome returns how the attempt ended, and in other words if there is more to say.
func (a *attempt) outcome() (outcome, detail string) {
	detail = strings.ToLower(strings.TrimPrefix(a.reported.String(), "ATTEMPT_OUTCOME_"))
	switch {
	case a.vanished:
		return outcomeVanished, "its worker died"
	case a.ended < 0:
		return outcomeRunning, ""
	}
	switch a.reported {
	case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:
		return outcomeSucceeded, ""
	case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STOPPED, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_RETURNED:
		return outcomeStopped, ""
	case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_UNSPECIFIED:
	default:
		return outcomeFailed, strings.ReplaceAll(detail, "_", " ")
	}
	switch {
	case a.returned == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:
		return outcomeSucceeded, "never reported"
	case a.stopped >= 0:
		return outcomeStopped, "never reported"
	}
	return outcomeFailed, "never reported"
}

// compare orders attempts as pages have them, whatever order they came in.
func (a *attempt) compare(b *attempt) int {
	return cmp.Or(cmp.Compare(a.started, b.started), strings.Compare(a.host, b.host), strings.Compare(a.task, b.task),
		cmp.Compare(a.number, b.number), cmp.Compare(a.token, b.token))
}

// all returns the attempts that are kept, in order.
func (l *attempts) all() ([]*attempt, *gap) {
	all, missing := l.kept.all("attempts")
	slices.SortFunc(all, (*attempt).compare)
	return all, missing
}
