package engine

import (
	"slices"
	"time"
)

// A Chronicle is what a system knows of single tasks, or of whatever it is that its clients ask for
// and that has an id. A [System] may have one. It is asked once the run is over.
type Chronicle interface {
	// About returns the events about a task, from the first that names it, and those about all.
	About(task string) []Event
	// Around returns an event, by its number, with so many before it and after it.
	Around(seq uint64, before, after int) []Event
	// Open and Failed return n tasks at most of those that have not ended, and of those that have
	// failed, the oldest first.
	Open(n int) Tasks
	Failed(n int) Tasks
}

// Tasks are some tasks of a kind, of which there may be more.
type Tasks struct {
	Total int    `json:"total"`
	Tasks []Task `json:"tasks"`
}

// More returns how many there are besides those that are listed.
func (t *Tasks) More() int { return t.Total - len(t.Tasks) }

// A Task is how one task stands at the end of a run.
type Task struct {
	Task string `json:"task"`
	// State is where it is, in words, and Since when it came there.
	State string        `json:"state"`
	Since time.Duration `json:"since_ns"`
	// Last is the last event about it.
	Last *Event `json:"last,omitempty"`
}

// Bounds of what a result tells of single tasks.
const (
	maxTasks = 20 // of each kind
	// The first and the last events of one task.
	firstAbout, lastAbout = 10, 50
	// Events before and after the last one that proves a violation.
	aroundBefore, aroundAfter = 14, 6
)

// tell has the result of a run that failed say what led there: the last events, those around the
// violation, and those about what it is about.
func (e *Run) tell(r *Result) {
	r.Last = e.system.Last(maxLast)
	i := slices.IndexFunc(r.Violations, func(v Violation) bool { return v.Oracle == r.Broken })
	if i >= 0 {
		r.Task = r.Violations[i].Task
	}
	known, ok := e.system.(Chronicle)
	if !ok {
		return
	}
	ended := i < 0 || r.Broken == BrokenLiveness // What an invariant breaks ends in the midst of work.
	if open := known.Open(maxTasks); ended && open.Total > 0 {
		r.Open = &open
	}
	if failed := known.Failed(maxTasks); failed.Total > 0 {
		r.Failed = &failed
	}
	switch {
	case r.Task != "":
	case r.Open != nil && len(r.Open.Tasks) > 0 && (r.Broken == BrokenLiveness || r.Broken == brokenEventually):
		r.Task = r.Open.Tasks[0].Task
	case r.Failed != nil && len(r.Failed.Tasks) > 0 && r.Broken == BrokenFinally:
		r.Task = r.Failed.Tasks[0].Task
	}
	if r.Task != "" {
		about := known.About(r.Task)
		if r.Omitted = max(0, len(about)-firstAbout-lastAbout); r.Omitted > 0 {
			about = slices.Delete(about, firstAbout, firstAbout+r.Omitted)
		}
		r.About = about
	}
	if i >= 0 {
		if at := r.Violations[i].Breaks(); at != nil {
			r.Around = known.Around(at.Seq, aroundBefore, aroundAfter)
		}
	}
}

// Breaks returns the event at which the claim breaks: the last of the proof that is not about
// everything; nil: there is none.
func (v *Violation) Breaks() *Event {
	for i := len(v.Events) - 1; i >= 0; i-- {
		if !v.Events[i].All {
			return &v.Events[i]
		}
	}
	return nil
}
