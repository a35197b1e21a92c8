package check

import "fmt"

// grantsHeard holds the controller to grant an attempt to a poll that waits for one.
//
// No poll brings a grant that was sent when its session was known to be over, when its worker had
// opened another, or when the controller had answered that worker's word that it drains. And while
// it is calm, or with Config.Lossless, no attempt goes to nobody: when a worker is granted an
// attempt, other workers were granted each one before it. It is vacuous where nothing is granted.
type grantsHeard struct {
	oracle

	cfg   *Config
	calm  *calm
	tasks tasks[heardTask]
	// What sessions ended with, by their tokens, and the last session of each worker.
	over     map[uint64]*Event
	sessions map[string]*Event
}

type heardTask struct {
	last *Event // the submission, or the last grant
}

func newGrantsHeard(cfg *Config, c *calm) *grantsHeard {
	return &grantsHeard{
		oracle: oracle{"grants-heard", "An attempt is granted to a poll that waits for it, and to no worker that is gone or leaves."},
		cfg:    cfg, calm: c, tasks: newTasks[heardTask](cfg), over: make(map[uint64]*Event), sessions: make(map[string]*Event),
	}
}

// Observe implements Oracle.
func (o *grantsHeard) Observe(e *Event, j *Judge) {
	switch e.Kind {
	case RegisterReply:
		if last := o.sessions[e.Worker]; last != nil && last.Session != e.Session {
			o.end(last.Session, e)
		}
		o.sessions[e.Worker] = e
	case SessionStale:
		o.end(e.Session, e)
	case HeartbeatReply:
		if e.Draining {
			o.end(e.Session, e)
		}
	default:
	}
	t := o.tasks.get(e)
	switch {
	case t == nil:
	case e.Kind == SubmitCall && t.last == nil:
		t.last = e
	case e.Kind == GrantReply:
		o.granted(t, e, j)
	}
}

func (o *grantsHeard) end(session uint64, e *Event) {
	if o.over[session] == nil {
		o.over[session] = e
	}
}

func (o *grantsHeard) granted(t *heardTask, e *Event, j *Judge) {
	j.Check()
	if over := o.over[e.Session]; over != nil && e.follows(over.Seq) {
		j.Violated(e.Task, fmt.Sprintf("is granted to a poll of worker %s that was sent when its session took no more", e.Worker), over, e)
	}
	last := t.last
	if last != nil && e.Attempt > last.Attempt+1 && (o.cfg.Lossless || o.calm.between(last.At, e.At)) {
		j.Violated(e.Task, fmt.Sprintf("is granted as attempt %d, and no worker was granted attempt %d", e.Attempt, last.Attempt+1), last, e)
	}
	if last == nil || e.Attempt > last.Attempt {
		t.last = e
	}
}
