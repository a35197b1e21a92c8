package check

import (
	"fmt"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// jobsFailWhole holds the controller to the options of jobs, as jobBook knows them. A job has failed as a whole once
// more of its tasks have FAILED than it allows, but for what failed with DEPENDENCY_FAILED. So
//
//   - nothing is refused because a job has failed before it, or one above it, may have;
//   - no task is cancelled, or asked to stop, before that, unless somebody cancelled it, its job, one above that,
//     or what it needs; or it is of a gang, which other oracles judge;
//   - once a job has failed for certain, no task of it or of its descendants is created, granted an attempt, or shown
//     as open and not about to stop.
//
// The first two are judged at the end, when most ends are known. Lives of actors and schedules are not judged for the
// second, which end for reasons of their own. It is vacuous where no job has options.
type jobsFailWhole struct {
	oracle

	cfg   *Config
	jobs  *jobBook
	asked map[string]bool // tasks that somebody asked to cancel
	along bool            // somebody asked to cancel something with all that needs it
	tasks tasks[failTask]
	open  []jobQuestion
}

type failTask struct {
	// It was asked whether it may have been cancelled, or is about to stop.
	doubted bool
	broken  bool // a violation was taken down
}

// jobQuestion is whether some jobs may have failed by an event.
type jobQuestion struct {
	jobs []*bookedJob
	by   *Event
	text string
}

func newJobsFailWhole(cfg *Config) *jobsFailWhole {
	const claim = "A job fails as a whole once more of its tasks have failed than it allows, and not before; " +
		"then its tasks and those of its descendants end, and there are no new ones."
	return &jobsFailWhole{
		oracle: oracle{"jobs-fail-whole", claim},
		cfg:    cfg, jobs: cfg.jobs, asked: make(map[string]bool), tasks: newTasks[failTask](cfg),
	}
}

// Observe implements Oracle. The book has seen e already.
func (o *jobsFailWhole) Observe(e *Event, j *Judge) {
	if e.Kind == CancelCall {
		o.asked[e.Task] = o.asked[e.Task] || e.Task != ""
		o.along = o.along || e.Dependants
	}
	t := o.tasks.get(e)
	if t == nil {
		return
	}
	booked := o.jobs.tasks[e.Task]
	if booked == nil {
		return
	}
	lineage := o.jobs.lineage(booked.job.id)
	switch {
	case e.Kind == SubmitReply && e.JobFailed:
		j.Check()
		o.ask(jobQuestion{lineage, e, "is refused because its job has failed"})
	case !anyCanFail(lineage) && booked.job.options == nil:
	case e.Kind == SubmitReply && e.Answer.acknowledges(), e.Kind == GrantReply:
		j.Check()
		o.goesOn(t, booked, e, j)
	case e.Kind == ReadReply && e.View != nil:
		j.Check()
		o.viewed(t, booked, e, j)
	}
}

// goesOn judges that a task is there, or is granted an attempt.
func (o *jobsFailWhole) goesOn(t *failTask, booked *bookedTask, e *Event, j *Judge) {
	switch job := o.jobs.failed(e); {
	case t.broken:
	case job != nil && e.Kind == GrantReply:
		o.violated(t, fmt.Sprintf("is granted attempt %d", e.Attempt), job, e, j)
	case job != nil && e.Answer == Created:
		o.violated(t, "is created", job, e, j)
	default:
		// Whatever shows it now, it was submitted when the job had failed.
		if job := o.jobs.failed(booked.offer); job != nil {
			o.violated(t, "is there", job, booked.offer, j)
		}
	}
}

func (o *jobsFailWhole) viewed(t *failTask, booked *bookedTask, e *Event, j *Judge) {
	o.goesOn(t, booked, e, j)
	v := e.View
	if job := o.jobs.failed(e); job != nil && !t.broken && !v.Terminal() && !v.Stopping {
		o.violated(t, "is open and not asked to stop", job, e, j)
	}
	if !v.Stopping && v.Status != frayv1.TaskStatus_TASK_STATUS_CANCELLED || t.doubted {
		return
	}
	t.doubted = true
	s := booked.offer.Spec
	explained := o.asked[e.Task] || o.jobs.cancelled(booked.job.id) != nil || s.Gang != nil || s.Actor != nil ||
		s.Schedule != nil || o.along && len(s.Needs) > 0
	if !explained {
		o.ask(jobQuestion{o.jobs.lineage(booked.job.id), e, "is cancelled, and nobody asked for that"})
	}
}

func (o *jobsFailWhole) ask(q jobQuestion) { o.open = append(o.open, q) }

// violated takes down that a task goes on after a job has failed.
func (*jobsFailWhole) violated(t *failTask, what string, job *bookedJob, e *Event, j *Judge) {
	t.broken = true
	text := fmt.Sprintf("%s, and job %s has failed as a whole: %d of its tasks had failed, of %d at most",
		what, job.id, job.failures, len(job.tasks))
	j.Violated(e.Task, text, job.said, job.failed, e)
}

// Finish implements Oracle.
func (o *jobsFailWhole) Finish(_ time.Duration, j *Judge) {
	for _, q := range o.open {
		if from := mayHaveFailedFrom(q.jobs); from >= q.by.Seq {
			text := q.text + ", and no more of its job's tasks can have failed by then than that allows"
			j.Violated(q.by.Task, text, q.jobs[0].said, q.by)
		}
	}
}
