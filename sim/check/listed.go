package check

import (
	"fmt"
	"slices"
)

// listsKept holds lists to be what they were asked for: each task on a page is of the job, and in
// one of the statuses; and a list that was read to its end has each task, of those that the
// controller keeps, whose submission was acknowledged before the list was begun, and none twice. It
// is vacuous where nobody lists.
type listsKept struct {
	oracle

	cfg   *Config
	pages map[uint64]*Event // by call
	known []listedTask      // in the order in which they were acknowledged
	floor uint64            // what was asked before this is of no use
}

type listedTask struct {
	id, job string
	since   uint64
}

func newListsKept(cfg *Config) *listsKept {
	return &listsKept{
		oracle: oracle{"lists-kept", "A list has the tasks that it was asked for, each once, and leaves out none."},
		cfg:    cfg, pages: make(map[uint64]*Event),
	}
}

// Observe implements Oracle.
func (o *listsKept) Observe(e *Event, j *Judge) {
	switch e.Kind {
	case SubmitReply:
		if e.Answer.acknowledges() && e.Invoked >= o.floor {
			o.known = append(o.known, listedTask{e.Task, e.Job, e.Seq})
		}
	case ControllerCrash:
		if o.cfg.AllowLossAfterRestart {
			o.known, o.floor = nil, e.Seq
		}
	case ListPage:
		clear(o.pages) // What a page shows comes right after it.
		o.pages[e.Call] = e
	case ReadReply:
		if p := o.pages[e.Call]; p != nil && e.View != nil {
			o.page(p, e, j)
		}
	case ListEnd:
		o.whole(e, j)
	default:
	}
}

func (o *listsKept) page(p, e *Event, j *Judge) {
	j.Check()
	if p.Job != "" && p.Job != e.Job {
		j.Violated(e.Task, fmt.Sprintf("is of job %s, and is on a list of job %s", e.Job, p.Job), p, e)
	}
	if len(p.Statuses) > 0 && !slices.Contains(p.Statuses, e.View.Status) {
		j.Violated(e.Task, fmt.Sprintf("is %v, and is on a list of others", e.View.Status), p, e)
	}
}

func (o *listsKept) whole(e *Event, j *Judge) {
	listed := make(map[string]bool, len(e.List))
	for _, id := range e.List {
		if listed[id] && e.Invoked >= o.floor {
			j.Violated(id, "is twice on one list", e)
		}
		listed[id] = true
	}
	if len(e.Statuses) > 0 || o.cfg.mayForget(e.At) || e.Invoked < o.floor {
		return
	}
	j.Check()
	for _, t := range o.known {
		if t.since <= e.Invoked && (e.Job == "" || e.Job == t.job) && !listed[t.id] {
			j.Violated(t.id, "was acknowledged before the list was begun, and is not on it", e)
			return // The others are the same mistake.
		}
	}
}
