package check

import (
	"maps"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/reason"
)

func (c *call) submitTask(req *frayv1.SubmitTaskRequest) func(any, error) {
	id, job := req.GetTask().GetTaskId(), req.GetJobId()
	c.add(Event{Kind: SubmitCall, Call: c.id, Task: id, Job: job, Spec: NewSpec(req.GetTask()), JobOptions: newJobOptions(req.GetJobOptions())})
	return func(res any, err error) {
		e := c.reply(SubmitReply)
		e.Task, e.Job = id, job
		m, ok := res.(*frayv1.SubmitTaskResponse)
		switch {
		case err != nil || !ok:
			e.Answer, e.Code = unacknowledged(err)
			e.JobFailed = jobFailed(err)
			c.add(e)
			return
		case m.GetCreated():
			e.Answer = Created
		case m.GetTask().GetTaskId() != id: // Something else has its name or key, and there is no task under the id.
			e.refusedFor(req.GetTask(), m.GetTask().GetTaskId())
		default:
			e.Answer = Existing
		}
		if r := m.GetResult(); r != nil {
			c.add(e, c.result(&frayv1.TaskResult{
				Task: m.GetTask(), Value: r.GetValue(), Error: r.GetError(), ValueOmitted: r.GetValueOmitted(), ValueBytes: r.GetValueBytes(),
			}))
			return
		}
		c.add(e, c.read(m.GetTask()))
	}
}

func (c *call) submitTasks(req *frayv1.SubmitTasksRequest) func(any, error) {
	job := req.GetJobId()
	ids := make([]string, 0, len(req.GetTasks()))
	events := make([]Event, 0, len(req.GetTasks()))
	options := newJobOptions(req.GetJobOptions())
	for _, t := range req.GetTasks() {
		ids = append(ids, t.GetTaskId())
		events = append(events, Event{Kind: SubmitCall, Call: c.id, Task: t.GetTaskId(), Job: job, Spec: NewSpec(t), JobOptions: options})
	}
	c.add(events...)
	return func(res any, err error) {
		m, ok := res.(*frayv1.SubmitTasksResponse)
		answer, code := Acknowledged, connect.Code(0)
		switch {
		case err != nil || !ok:
			answer, code = unacknowledged(err)
		case m.GetExistingCount() == 0:
			answer = Created
		case m.GetCreatedCount() == 0:
			answer = Existing
		}
		events := make([]Event, 0, len(ids))
		for _, id := range ids {
			e := c.reply(SubmitReply)
			e.Task, e.Job, e.Answer, e.Code, e.JobFailed = id, job, answer, code, jobFailed(err)
			events = append(events, e)
		}
		for _, a := range m.GetExistingActors() {
			if i := int(a.GetIndex()); i < len(events) {
				events[i].refusedFor(req.GetTasks()[i], a.GetActorId())
			}
		}
		for _, f := range m.GetFailures() {
			if i := int(f.GetIndex()); i < len(events) {
				events[i].Answer, events[i].Detail, events[i].JobFailed = Refused, f.GetCode(), f.GetReason() == reasonJobFailed
			}
			if f.GetCode() == connect.CodeInternal.String() {
				c.bug(f.GetMessage())
			}
		}
		c.add(events...)
	}
}

// refusedFor has a submission be refused because something else has the name or key of the task.
func (e *Event) refusedFor(t *frayv1.TaskSpec, there string) {
	what := "actor "
	switch {
	case t.GetUnique() != nil:
		what = "task "
	case t.GetSchedule() != nil:
		what = "schedule "
	}
	e.Answer, e.Detail, e.There = Refused, "there is "+what+there, there
}

// unacknowledged is what a submission that failed came to.
func unacknowledged(err error) (Answer, connect.Code) {
	if declined(err) {
		return Refused, connect.CodeOf(err)
	}
	return Unanswered, connect.CodeOf(err)
}

// jobFailed says whether a submission was refused because its job has failed as a whole, or one above it.
func jobFailed(err error) bool { return reason.Of(err).GetReason() == reasonJobFailed }

func (c *call) getTask(req *frayv1.GetTaskRequest) func(any, error) {
	return func(res any, err error) {
		if m, ok := res.(*frayv1.GetTaskResponse); ok && err == nil {
			c.add(c.read(m.GetTask()))
			return
		}
		c.unknown(req.GetTaskId(), err)
	}
}

func (c *call) getTaskResult(req *frayv1.GetTaskResultRequest) func(any, error) {
	return func(res any, err error) {
		if m, ok := res.(*frayv1.GetTaskResultResponse); ok && err == nil {
			c.add(c.result(m.GetResult()))
			return
		}
		c.unknown(req.GetTaskId(), err)
	}
}

func (c *call) watchJob(res any, _ error) {
	m, _ := res.(*frayv1.WatchJobResponse) // Without one there are no results.
	events := make([]Event, 0, len(m.GetResults()))
	for _, r := range m.GetResults() {
		events = append(events, c.result(r))
	}
	c.add(events...)
}

// read is a task that a client was shown.
func (c *call) read(t *frayv1.Task) Event {
	e := c.reply(ReadReply)
	e.Task, e.Job, e.Function, e.Answer, e.View = t.GetTaskId(), t.GetJobId(), t.GetFunction(), Found, newView(t)
	e.Submitted, e.Ended = t.GetSubmittedUnixMs(), t.GetFinishedUnixMs()
	return e
}

// result is a task that a client was shown with how it ended.
func (c *call) result(r *frayv1.TaskResult) Event {
	e := c.read(r.GetTask())
	e.Digest = digestResult(r)
	e.View.NonRetryable = r.GetError().GetNonRetryable()
	return e
}

// unknown notes that the controller does not know a task, if that is what it said.
func (c *call) unknown(task string, err error) {
	if reason.Of(err).GetReason() == reasonUnknownTask {
		e := c.reply(ReadReply)
		e.Task, e.Answer, e.Code = task, NotFound, connect.CodeOf(err)
		c.add(e)
	}
}

func (c *call) cancelTasks(req *frayv1.CancelTasksRequest) func(any, error) {
	ids, job := req.GetTaskIds(), req.GetJobId()
	var events []Event
	for _, id := range ids {
		events = append(events, Event{Kind: CancelCall, Call: c.id, Task: id, Dependants: req.GetWithDependants()})
	}
	if job != "" {
		events = append(events, Event{Kind: CancelCall, Call: c.id, Job: job, Dependants: req.GetWithDependants()})
	}
	c.add(events...)
	return func(res any, err error) {
		m, _ := res.(*frayv1.CancelTasksResponse) // Without one there are no verdicts.
		answered := err == nil && len(m.GetVerdicts()) == len(ids)
		events := make([]Event, 0, len(ids)+1)
		for i, id := range ids {
			e := c.reply(CancelReply)
			e.Task, e.Answer = id, Unanswered
			if answered {
				e.Answer = cancelVerdict(m.GetVerdicts()[i])
			}
			events = append(events, e)
		}
		if job != "" {
			e := c.reply(CancelReply)
			e.Job, e.Answer = job, Unanswered
			if answered {
				e.Answer = Stopping
			}
			events = append(events, e)
		}
		if err != nil {
			for i := range events {
				events[i].Code = connect.CodeOf(err)
			}
		}
		c.add(events...)
	}
}

func cancelVerdict(v frayv1.CancelVerdict) Answer {
	switch v {
	case frayv1.CancelVerdict_CANCEL_VERDICT_CANCELLED:
		return Cancelled
	case frayv1.CancelVerdict_CANCEL_VERDICT_STOPPING:
		return Stopping
	case frayv1.CancelVerdict_CANCEL_VERDICT_ALREADY_TERMINAL:
		return AlreadyTerminal
	case frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND:
		return NotFound
	default:
		return Unanswered
	}
}

func (c *call) clusterInfo(res any, err error) {
	m, ok := res.(*frayv1.GetClusterInfoResponse)
	if err != nil || !ok {
		return
	}
	e := c.reply(ClusterInfo)
	e.Counts = make(map[string]uint64, len(m.GetTaskCounts()))
	maps.Copy(e.Counts, m.GetTaskCounts())
	c.add(e)
}
