package check

import (
	"cmp"
	"strings"
)

// Kinds of points.
const (
	// ReachTask: what happened to a task, and where the task was.
	ReachTask = "task"
	// ReachHost: what a worker or a client saw that is about no task, and upon what it followed.
	ReachHost = "session"
)

// Bounds of what a Reach follows: the first tasks and hosts.
const (
	maxReachTasks = 1 << 16
	maxReachHosts = 1 << 12
)

// Reach tells which points a history comes to: what happened to a task, and where the task was then,
// as its Standing has it. It implements engine.Reacher. It takes events of one instant in an order of
// its own, so that the points of a run are the same when it is repeated.
type Reach struct {
	tasks map[string]*Standing
	last  map[string]string // by host
}

// NewReach returns one for a history.
func NewReach() *Reach { return &Reach{map[string]*Standing{}, map[string]string{}} }

// Compare orders events, which are *Event: by time, and those of one instant by what they are.
func (*Reach) Compare(a, b any) int {
	x, y := a.(*Event), b.(*Event) //nolint:errcheck // Of a cluster they are.
	if by := cmp.Compare(x.At, y.At); by != 0 {
		return by
	}
	return cmp.Or(strings.Compare(x.Task, y.Task), cmp.Compare(x.Kind, y.Kind), strings.Compare(x.Host, y.Host),
		cmp.Compare(x.Attempt, y.Attempt), cmp.Compare(x.Answer, y.Answer), strings.Compare(x.Gist(), y.Gist()))
}

// Take takes the next event, and tells the points that it comes to.
func (r *Reach) Take(event any, reached func(kind, point string)) {
	e := event.(*Event) //nolint:errcheck // Of a cluster they are.
	what := e.essence()
	for _, task := range e.Tasks() {
		s := r.tasks[task]
		reached(ReachTask, what+s.relation(e)+", task "+s.where())
		if s == nil && e.begins() && len(r.tasks) < maxReachTasks {
			s = newStanding(e)
			r.tasks[task] = s
		}
		switch {
		case s == nil:
		case task == e.Task:
			s.take(e)
		default:
			s.lose(e)
		}
	}
	if e.Task != "" || e.Host == "" || e.Aside() {
		return
	}
	before, seen := r.last[e.Host]
	reached(ReachHost, cmp.Or(before, "nothing")+", then "+what)
	if seen || len(r.last) < maxReachHosts {
		r.last[e.Host] = what
	}
}

// essence is what happened, without who and when.
func (e *Event) essence() string {
	fields := []string{e.Kind.String()}
	if e.Outcome != 0 {
		fields = append(fields, outcomeName(e.Outcome))
	}
	if e.Answer != 0 {
		fields = append(fields, e.Answer.String())
	}
	if e.Code != 0 {
		fields = append(fields, e.Code.String())
	}
	if e.Cause != 0 {
		fields = append(fields, e.Cause.String())
	}
	if v := e.View; v != nil {
		fields = append(fields, statusName(v.Status))
		if v.Reason != 0 {
			fields = append(fields, reasonName(v.Reason))
		}
		if v.Stopping {
			fields = append(fields, "stopping")
		}
		if v.Recovering {
			fields = append(fields, "recovering")
		}
	}
	if e.Draining {
		fields = append(fields, "draining")
	}
	return strings.Join(fields, " ")
}

// relation says whether an event is about an earlier attempt than the last that is known, or a later
// one.
func (s *Standing) relation(e *Event) string {
	switch {
	case s == nil || s.attempt == 0 || e.Attempt == 0 || e.Attempt == s.attempt:
		return ""
	case e.Attempt < s.attempt:
		return " of an earlier attempt"
	default:
		return " of a later attempt"
	}
}

// where is the place of a task, of which nil knows nothing.
func (s *Standing) where() string {
	if s == nil {
		return "unheard of"
	}
	return s.Place
}
