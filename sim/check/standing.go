package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// A Standing is how a task stood at the end of a history, as far as clients and workers saw.
type Standing struct {
	Task string
	// State is where it is on its way, in words.
	State string
	// Since is when it came there, and Last its last event.
	Since time.Duration
	Last  *Event
	// Place is State without the names and numbers of this run.
	Place string
	// Ended: a client was shown its end, and Failed: that it had failed.
	Ended, Failed bool

	acknowledged bool
	attempt      uint32 // the highest that was granted or started
	holder       string
}

// Standings returns how the tasks stood of which the history has the beginning, up to the event
// with a number, in the order in which they began.
func (h *History) Standings(until uint64) []Standing {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := map[string]*Standing{}
	var all []*Standing
	for _, e := range h.kept() {
		if e.Seq > until {
			break
		}
		s := of[e.Task]
		if s == nil && e.begins() {
			s = newStanding(e)
			of[e.Task], all = s, append(all, s)
		}
		if s != nil {
			s.take(e)
		}
		for _, task := range e.Holds {
			if held := of[task]; held != nil {
				held.lose(e)
			}
		}
	}
	standings := make([]Standing, len(all))
	for i, s := range all {
		standings[i] = *s
	}
	return standings
}

// begins says whether an event may be the first of a task: its submission, or the grant of the run of a schedule, which nobody submits.
func (e *Event) begins() bool { return e.Kind == SubmitCall || e.Kind == GrantReply }

// newStanding returns that of a task whose first event is known.
func newStanding(e *Event) *Standing {
	return &Standing{Task: e.Task, Place: "submitted", State: "its submission was not answered", Since: e.At, acknowledged: e.Kind == GrantReply}
}

// Open says whether the task was accepted and has not ended.
func (s *Standing) Open() bool { return s.acknowledged && !s.Ended }

// move notes that the task is at another place from an event on.
func (s *Standing) move(e *Event, place, format string, args ...any) {
	s.Place, s.State, s.Since = place, fmt.Sprintf(format, args...), e.At
}

// take takes in an event of the task.
func (s *Standing) take(e *Event) {
	s.Last = e
	if s.Ended || e.Attempt != 0 && e.Attempt < s.attempt {
		return
	}
	at := cmp.Or(e.Worker, e.Host)
	switch e.Kind {
	case SubmitReply:
		if e.Answer.acknowledges() && !s.acknowledged {
			s.acknowledged = true
			if s.attempt == 0 {
				s.move(e, "waiting", "waits: no worker was granted it")
			}
		}
	case GrantReply:
		s.attempt, s.holder = e.Attempt, e.Host
		s.move(e, "granted", "was granted to %s as attempt %d, which has not started", at, e.Attempt)
	case ExecutionStart:
		s.attempt, s.holder = e.Attempt, e.Host
		s.move(e, "running", "runs on %s as attempt %d", at, e.Attempt)
	case ExecutionEnd:
		outcome := outcomeName(e.Outcome)
		s.move(e, "run "+outcome, "attempt %d has ended on %s (%s), which has not reported it", e.Attempt, at, outcome)
	case ReportCall:
		if endsAttempt(e.Outcome) {
			outcome := outcomeName(e.Outcome)
			s.move(e, "reported "+outcome, "%s has reported attempt %d (%s), and has no answer", at, e.Attempt, outcome)
		}
	case ReportReply:
		s.judged(e, at)
	case CancelReply:
		if e.Answer == Cancelled || e.Answer == Stopping {
			s.move(e, e.Answer.String(), "was cancelled (%v), and no client was shown its end", e.Answer)
		}
	case ReadReply:
		s.shown(e)
	default:
	}
}

// judged takes in the answer to a report.
func (s *Standing) judged(e *Event, at string) {
	outcome := outcomeName(e.Outcome)
	switch {
	case !endsAttempt(e.Outcome):
	case e.Answer == Unanswered:
		s.move(e, "unheard "+outcome, "%s has reported attempt %d (%s), and its call failed", at, e.Attempt, outcome)
	case commits(e):
		s.move(e, "committed", "completed with attempt %d, and no client was shown its end", e.Attempt)
	default:
		s.holder = ""
		s.move(e, "waiting after "+outcome, "waits: attempt %d was reported as %s, and the report was %v",
			e.Attempt, outcome, e.Answer)
	}
}

// shown takes in what a client was shown.
func (s *Standing) shown(e *Event) {
	switch {
	case e.Answer == NotFound:
		s.move(e, "unknown", "the controller does not know it")
	case e.View != nil && e.View.Terminal():
		s.Ended = true
		s.Failed = e.View.Status == frayv1.TaskStatus_TASK_STATUS_FAILED
		state := strings.ToLower(statusName(e.View.Status))
		if e.View.Reason != 0 {
			state += " (" + reasonName(e.View.Reason) + ")"
		}
		s.move(e, state, "%s after %d attempts", state, e.View.Attempt)
	}
}

// lose takes in that the worker that held the task is gone, or has lost its session.
func (s *Standing) lose(e *Event) {
	if s.Ended || s.holder == "" || s.holder != e.Host {
		return
	}
	switch e.Kind {
	case WorkerCrash:
		s.Last, s.holder = e, ""
		s.move(e, "waiting after crash", "waits: %s crashed with attempt %d", e.Host, s.attempt)
	case SessionStale:
		s.Last, s.holder = e, ""
		s.move(e, "waiting after lost session", "waits: %s lost the session under which it held attempt %d", e.Host, s.attempt)
	case StopOrder:
		s.Last = e
		s.move(e, "told to stop", "%s was told to stop attempt %d", e.Host, s.attempt)
	default:
	}
}

// Where returns copies of the kept events that f wants, up to the event with a number: the last n
// of them.
func (h *History) Where(until uint64, n int, f func(*Event) bool) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []Event
	kept := h.kept()
	for i := len(kept) - 1; i >= 0 && len(found) < n; i-- {
		if e := kept[i]; e.Seq <= until && f(e) {
			found = append(found, *e)
		}
	}
	slices.Reverse(found)
	return found
}
