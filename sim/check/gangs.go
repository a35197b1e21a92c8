package check

import (
	"fmt"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// gangsWhole holds the controller to starting gangs whole. With each start of a gang, each of its tasks that are
// open is granted an attempt, at one instant; so attempts of one number were all granted at one, and
//
//   - what is granted of one number is granted between the polls and the answers of all others of that number;
//   - a task that is open has had no fewer attempts, by a read after the grant, than any other of its gang was
//     granted before;
//   - none is granted a new attempt by a poll that was made after another of its gang was known to have failed or
//     been cancelled;
//   - none is cancelled if nobody asked for it, nor for another of its gang or for what one of these needs, and no
//     other has failed.
//
// That a gang starts at all, and that all of it end, is for liveness to judge. It is vacuous where there are no gangs.
type gangsWhole struct {
	oracle

	gangs map[gangName]*gangStarts
	tasks tasks[gangTask]
	some  bool            // task is of one
	asked map[string]bool // jobs that somebody asked to cancel
	along bool            // somebody asked to cancel something with all that needs it
	jobs  *jobBook
}

type gangName struct{ job, id string }

// gangTask is what is known of a task of a gang.
type gangTask struct {
	gang     *gangStarts
	attempts uint32 // the greatest number that was granted
	ended    bool   // that was seen
}

// gangStarts is what is known of a gang.
type gangStarts struct {
	starts map[uint32]*gangStart // by the number of the attempts
	most   *Event                // the grant of the greatest number
	broken *Event                // shows that one has failed, or was cancelled
	size   int
	// How many were seen to have ended, the first that was cancelled, and whether one has failed, or somebody asked
	// to cancel one.
	ended     int
	cancelled *Event
	explained bool
	needy     bool // one needs others
}

// gangStart is one start of a gang: after one event and before another, as far as its grants tell.
type gangStart struct {
	from, to      uint64
	latest, first *Event // the grants by which these are known
}

func newGangsWhole(cfg *Config) *gangsWhole {
	return &gangsWhole{
		oracle: oracle{"gangs-whole", "The tasks of a gang that are open start together, or not at all."},
		gangs:  make(map[gangName]*gangStarts), tasks: newTasks[gangTask](cfg), asked: make(map[string]bool), jobs: cfg.jobs,
	}
}

// Observe implements Oracle.
func (o *gangsWhole) Observe(e *Event, j *Judge) {
	switch {
	case e.Kind == SubmitCall && e.Spec.Gang != nil:
		o.some = true
	case e.Kind == ControllerCrash && o.tasks.lossy:
		clear(o.gangs)
	case e.Kind == CancelCall && e.Task == "":
		o.asked[e.Job] = true
	case !o.some:
		return
	}
	o.along = o.along || e.Kind == CancelCall && e.Dependants
	t := o.tasks.get(e)
	switch {
	case t == nil:
	case e.Kind == SubmitCall && e.Spec.Gang != nil:
		t.gang = o.gang(e)
		t.gang.needy = t.gang.needy || len(e.Spec.Needs) > 0
	case e.Kind == GrantReply && e.Spec.Gang != nil:
		t.gang = o.gang(e)
		o.granted(t, e, j)
	case t.gang == nil:
	case e.Kind == CancelCall:
		t.gang.explained = true
	case e.Kind == CancelReply && e.Answer == Cancelled:
		t.gang.ends(e)
	case e.Kind == ReadReply && e.View != nil:
		o.viewed(t, e, j)
	}
}

func (o *gangsWhole) gang(e *Event) *gangStarts {
	g := of(o.gangs, gangName{e.Job, e.Spec.Gang.ID})
	if g.starts == nil {
		g.starts, g.size = make(map[uint32]*gangStart), e.Spec.Gang.Size
	}
	return g
}

// ends takes in that one of a gang has ended without a value.
func (g *gangStarts) ends(e *Event) {
	if g.broken == nil {
		g.broken = e
	}
}

func (o *gangsWhole) granted(t *gangTask, e *Event, j *Judge) {
	if e.Attempt <= t.attempts {
		return // It is told again, or late.
	}
	t.attempts = e.Attempt
	g := t.gang
	j.Check()
	if g.broken != nil && e.follows(g.broken.Seq) {
		j.Violated(e.Task, fmt.Sprintf("is granted, and task %s of its gang has ended without a value", g.broken.Task), g.broken, e)
	}
	if g.most == nil || g.most.Attempt < e.Attempt {
		g.most = e
	}
	s := g.starts[e.Attempt]
	switch {
	case s == nil:
		g.starts[e.Attempt] = &gangStart{e.Invoked, e.Seq, e, e}
		return
	case e.Invoked >= s.to:
		j.Violated(e.Task, fmt.Sprintf("is granted attempt %d after task %s of its gang was", e.Attempt, s.first.Task), s.first, e)
	case e.Seq <= s.from:
		j.Violated(e.Task, fmt.Sprintf("is granted attempt %d before task %s of its gang is", e.Attempt, s.latest.Task), s.latest, e)
	}
	if e.Invoked > s.from {
		s.from, s.latest = e.Invoked, e
	}
	if e.Seq < s.to {
		s.to, s.first = e.Seq, e
	}
}

// viewed judges what a client is shown of a task.
func (o *gangsWhole) viewed(t *gangTask, e *Event, j *Judge) {
	v, g := e.View, t.gang
	switch {
	case v.Terminal():
		if !t.ended {
			t.ended = true
			g.ended++
		}
		switch v.Status {
		case frayv1.TaskStatus_TASK_STATUS_FAILED:
			g.explained = true
		case frayv1.TaskStatus_TASK_STATUS_CANCELLED:
			if g.cancelled == nil {
				g.cancelled = e
			}
		default:
		}
		if v.Status != frayv1.TaskStatus_TASK_STATUS_COMPLETED {
			g.ends(e)
		}
	case g.most != nil && e.follows(g.most.Seq):
		if j.Check(); v.Attempt < g.most.Attempt {
			j.Violated(e.Task, fmt.Sprintf("has had %d attempts, and task %s of its gang was granted attempt %d", v.Attempt, g.most.Task, g.most.Attempt), g.most, e)
		}
	}
}

// Finish implements Oracle.
func (o *gangsWhole) Finish(_ time.Duration, j *Judge) {
	for id, t := range o.tasks.all() {
		g := t.gang
		if g == nil || g.cancelled == nil || g.cancelled.Task != id || g.ended < g.size {
			continue
		}
		if explained := g.explained || g.needy && o.along || o.asked[g.cancelled.Job] || o.jobs.mayEnd(g.cancelled.Job); !explained {
			j.Violated(id, "is cancelled, and nobody asked for that, nor has another of its gang failed", g.cancelled)
		}
	}
}
