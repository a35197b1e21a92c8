package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Listed is what a worker says in a heartbeat that it holds: tasks, by the state of their attempts.
// A lease that the recorder does not know any longer stands there as its token.
type Listed struct {
	Queued   []string `json:"queued,omitempty"`
	Running  []string `json:"running,omitempty"`
	Finished []string `json:"finished,omitempty"`
}

// Bounds of what an event lists.
const (
	// maxHolds is how many tasks an event names that its worker holds, and of each state lists.
	maxHolds = 1000
	// maxFew is how many of them a line of text has.
	maxFew = 8
)

// String tells the list in a few words.
func (l *Listed) String() string {
	var parts []string
	for _, state := range []struct {
		name  string
		tasks []string
	}{{"queued", l.Queued}, {"running", l.Running}, {"finished", l.Finished}} {
		if len(state.tasks) > 0 {
			parts = append(parts, state.name+"="+few(state.tasks))
		}
	}
	if len(parts) == 0 {
		return "lists=nothing"
	}
	return strings.Join(parts, " ")
}

// has says whether a task is listed.
func (l *Listed) has(task string) bool {
	return slices.Contains(l.Queued, task) || slices.Contains(l.Running, task) || slices.Contains(l.Finished, task)
}

// Unlisted returns the tasks that a worker held and did not list in a heartbeat.
func (e *Event) Unlisted() (tasks []string) {
	if e.Listed == nil {
		return nil
	}
	for _, task := range e.Holds {
		if !e.Listed.has(task) {
			tasks = append(tasks, task)
		}
	}
	return tasks
}

// few returns the first of some tasks as a text, and how many more there are.
func few(tasks []string) string {
	if more := len(tasks) - maxFew; more > 0 {
		return fmt.Sprintf("%s,+%d", strings.Join(tasks[:maxFew], ","), more)
	}
	return strings.Join(tasks, ",")
}

// Tasks returns the tasks that an event is about: its own, those that its worker held, and those
// that a heartbeat listed.
func (e *Event) Tasks() []string {
	var tasks []string
	if e.Task != "" {
		tasks = append(tasks, e.Task)
	}
	tasks = append(tasks, e.Holds...)
	if l := e.Listed; l != nil {
		tasks = slices.Concat(tasks, l.Queued, l.Running, l.Finished)
	}
	if len(tasks) > 1 {
		slices.Sort(tasks)
		tasks = slices.Compact(tasks)
	}
	return tasks
}

// About says whether an event is about a task: it names the task, or its worker held or listed it,
// or it is a cancellation of the task's job. Of a job, those tasks count whose id begins with its.
func (e *Event) About(task string) bool {
	if e.Task != "" {
		return e.Task == task
	}
	if slices.Contains(e.Holds, task) || e.Listed != nil && e.Listed.has(task) {
		return true
	}
	return (e.Kind == CancelCall || e.Kind == CancelReply) && e.Job != "" && strings.HasPrefix(task, e.Job+".")
}

// Aside says whether an event is a look at how things stand: a task that is shown as it goes on, or a
// heartbeat that lists what its worker holds.
func (e *Event) Aside() bool {
	switch e.Kind {
	case ReadReply:
		return e.View != nil && !e.View.Terminal()
	case HeartbeatCall:
		return len(e.Unlisted()) == 0
	case HeartbeatReply, Heal, Quiescent, ClusterInfo, FutureEnd:
		return true
	default:
		return false
	}
}

// OfAll says whether an event is about all tasks that there are.
func (e *Event) OfAll() bool {
	return e.Kind == ControllerCrash || e.Kind == Heal || e.Kind == Quiescent
}

// holds returns the tasks that the worker was granted under a session and holds, sorted.
func (r *Recorder) holds(session uint64) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.heldTasks(session)
}

// heldTasks is holds under the lock. With 0 it is those of all sessions.
func (r *Recorder) heldTasks(session uint64) []string {
	if len(r.held) == 0 {
		return nil
	}
	tasks := make([]string, 0, len(r.held))
	for id, g := range r.held { // order-free: sorted below
		if session == 0 || g.session == session {
			tasks = append(tasks, id.task)
		}
	}
	slices.Sort(tasks)
	tasks = slices.Compact(tasks) // It may hold two attempts of one.
	return tasks[:min(len(tasks), maxHolds)]
}

// tasksOf returns the task of a lease that the worker holds, or none.
func (r *Recorder) tasksOf(token uint64) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, g := range r.held { // order-free: a token is that of one attempt
		if g.token == token {
			return []string{id.task}
		}
	}
	return nil
}

// listed returns what a heartbeat lists.
func (r *Recorder) listed(req *frayv1.HeartbeatRequest) *Listed {
	r.mu.Lock()
	defer r.mu.Unlock()
	tasks := make(map[uint64]string, len(r.held))
	for id, g := range r.held { // order-free: a token is that of one attempt
		tasks[g.token] = id.task
	}
	name := func(tokens []uint64) []string {
		var names []string
		for _, token := range tokens[:min(len(tokens), maxHolds)] {
			task, known := tasks[token]
			if !known {
				task = strconv.FormatUint(token, 16)
			}
			names = append(names, task)
		}
		slices.Sort(names)
		return names
	}
	return &Listed{name(req.GetQueuedLeaseTokens()), name(req.GetRunningLeaseTokens()), name(req.GetFinishedLeaseTokens())}
}
