package check

import (
	"fmt"
	"time"
)

// fairness holds jobs to take turns.
//
// Among jobs whose tasks ask for the same (function, resources, labels and priority), one that has
// tasks waiting for their first start must not see more than FairnessBound first starts of other
// jobs go by, for each job that waits, before one of its own. A task waits from its acknowledgement
// until it is granted, or has ended. Grants are counted as workers get them, so the bound has to
// leave room for what is under way, a worker's prefetch above all.
//
// With FairnessDerived the bound is what workers hold, and each job twice, with its weight. Then a turn is anything
// that a job is granted, for it may spend its turns on retries and on tasks that ask for something
// else; and only what goes by while it is calm counts, for grants may be lost, or late.
//
// It is vacuous where there is one job, or none ever waits.
type fairness struct {
	oracle

	cfg    *Config
	calm   *calm
	tasks  tasks[fairTask]
	groups map[string]*fairGroup
	known  map[string]bool // jobs
	turns  uint64          // what these are granted in a round
}

// fairRounds is how many turns each other job may have before one that waits: one that it has yet to
// take in this round, and one of the next.
const fairRounds = 2

type fairTask struct {
	spec    *Spec
	job     *fairJob
	granted bool
}

type fairGroup struct {
	served  uint64 // first starts
	jobs    map[string]*fairJob
	waiting int // jobs with tasks waiting
}

type fairJob struct {
	group   *fairGroup
	waiting int
	// Of group.served: when it was last served, or began to wait.
	since uint64
	begun *Event
}

func newFairness(cfg *Config, c *calm) *fairness {
	return &fairness{
		oracle: oracle{"fairness", "No job waits while others are served over and over."},
		cfg:    cfg, calm: c, tasks: newTasks[fairTask](cfg), groups: make(map[string]*fairGroup),
		known: make(map[string]bool),
	}
}

// Observe implements Oracle.
func (o *fairness) Observe(e *Event, j *Judge) {
	if o.cfg.FairnessBound == 0 {
		return
	}
	if e.Kind == ControllerCrash && o.cfg.AllowLossAfterRestart {
		clear(o.groups)
	}
	t := o.tasks.get(e)
	if t == nil {
		return
	}
	switch {
	case e.Kind == SubmitCall && t.spec == nil:
		t.spec = e.Spec
	case e.Kind == SubmitReply && e.Answer.acknowledges() && t.job == nil && !t.granted && t.spec != nil && !t.spec.waitsFirst():
		t.job = o.job(t.spec.Class, e.Job)
		t.job.wait(e)
	case e.Kind == GrantReply && !t.granted:
		t.granted = true
		o.serve(t, e, j)
		o.turn(e)
	case e.Kind == GrantReply:
		o.turn(e)
	case showsEnd(e) || e.Kind == CancelReply && e.Answer == Cancelled:
		t.granted = true
		t.leave()
	}
}

func (o *fairness) job(class, id string) *fairJob {
	if !o.known[id] {
		o.known[id] = true
		o.turns += o.cfg.jobs.weight(id)
	}
	g := o.groups[class]
	if g == nil {
		g = &fairGroup{jobs: make(map[string]*fairJob)}
		o.groups[class] = g
	}
	job := of(g.jobs, id)
	job.group = g
	return job
}

func (f *fairJob) wait(e *Event) {
	if f.waiting == 0 {
		f.group.waiting++
		f.since, f.begun = f.group.served, e
	}
	f.waiting++
}

// leave takes the task out of those that wait.
func (t *fairTask) leave() {
	f := t.job
	if f == nil {
		return
	}
	t.job = nil
	if f.waiting--; f.waiting == 0 {
		f.group.waiting--
	}
}

func (o *fairness) serve(t *fairTask, e *Event, j *Judge) {
	f := t.job
	if f == nil { // Its acknowledgement is still on its way.
		f = o.job(e.Spec.Class, e.Job)
	} else {
		o.check(f, e, j)
	}
	f.group.served++
	f.since, f.begun = f.group.served, e
	t.leave()
}

// turn notes that a job was granted something.
func (o *fairness) turn(e *Event) {
	if !o.cfg.FairnessDerived {
		return
	}
	for _, g := range o.groups { // order-free: each for itself
		if f := g.jobs[e.Job]; f != nil {
			f.since, f.begun = g.served, e
		}
	}
}

// check says whether a job that waits was passed over too often by now.
func (o *fairness) check(f *fairJob, e *Event, j *Judge) {
	if o.cfg.FairnessDerived && (f.begun == nil || e == nil || !o.calm.between(f.begun.At, e.At)) {
		return
	}
	j.Check()
	passed, bound := f.group.served-f.since, uint64(o.cfg.FairnessBound)*uint64(max(f.group.waiting, 1)) //nolint:gosec // Not negative.
	if o.cfg.FairnessDerived {
		bound = uint64(o.cfg.FairnessBound) + fairRounds*o.turns //nolint:gosec // Not negative.
	}
	if passed > bound {
		j.Violated("", fmt.Sprintf("a job had tasks waiting while %d of other jobs were started, and the bound is %d", passed, bound), f.begun, e)
	}
}

// Finish implements Oracle.
func (o *fairness) Finish(_ time.Duration, j *Judge) {
	for _, class := range sortedKeys(o.groups) {
		g := o.groups[class]
		for _, id := range sortedKeys(g.jobs) {
			if f := g.jobs[id]; f.waiting > 0 {
				o.check(f, nil, j)
			}
		}
	}
}
