package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/serve"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// service is ControllerService. Calls of clients are in this file, those of workers in
// worker_service.go, those of operators in operator_service.go.
type service struct{ c *Controller }

var _ frayv1connect.ControllerServiceHandler = (*service)(nil)

func (s *service) SubmitTask(ctx context.Context, req *frayv1.SubmitTaskRequest) (*frayv1.SubmitTaskResponse, error) {
	if req.GetMaxWaitMs() < 0 {
		return nil, wire.Error(wire.ReasonInvalid, 0, "max_wait_ms: must not be negative, is %d", req.GetMaxWaitMs())
	}
	event := &core.Submit{Call: s.c.call(), Job: req.GetJobId(), Watcher: req.GetWatcherId(), Confirmed: req.GetConfirmedCursor()}
	if err := setJobOptions(event, req.GetJobOptions()); err != nil {
		return nil, err
	}
	waits := req.GetMaxWaitMs() > 0
	if waits {
		event.Until, event.Read = s.c.until(ctx, req.GetMaxWaitMs()), true
	}
	r, reply, err := s.submit(ctx, frayv1connect.ControllerServiceSubmitTaskProcedure, event, []*frayv1.TaskSpec{req.GetTask()})
	ended := waits && reply.View.Status.Terminal()
	if ended {
		defer s.c.inbox.read(event.Call) // It is read.
	}
	if err != nil {
		return nil, err
	}
	if r[0].err != nil {
		return nil, r[0].err
	}
	resp := &frayv1.SubmitTaskResponse{Created: r[0].created, WatchCursor: reply.Cursor, EndCursor: reply.End}
	if !ended {
		resp.Task = corewire.Task(&reply.View)
		return resp, nil
	}
	if err := reserve(ctx, []core.View{reply.View}); err != nil {
		return nil, err
	}
	if resp.Result, _, err = s.c.taskResult(&reply.View, maxResultBytes); err != nil {
		return nil, err
	}
	resp.Task, resp.Result.Task = resp.Result.GetTask(), nil
	return resp, nil
}

func (s *service) SubmitTasks(ctx context.Context, req *frayv1.SubmitTasksRequest) (*frayv1.SubmitTasksResponse, error) {
	if n := len(req.GetTasks()); n > maxSubmit {
		return nil, wire.Error(wire.ReasonInvalid, 0, "tasks: must have at most %d items, has %d: send several calls", maxSubmit, n)
	}
	event := &core.Submit{Call: s.c.call(), Job: req.GetJobId(), Watcher: req.GetWatcherId()}
	if err := setJobOptions(event, req.GetJobOptions()); err != nil {
		return nil, err
	}
	results, reply, err := s.submit(ctx, frayv1connect.ControllerServiceSubmitTasksProcedure, event, req.GetTasks())
	if err != nil {
		return nil, err
	}
	resp := &frayv1.SubmitTasksResponse{WatchCursor: reply.Cursor}
	for i := range results {
		switch r := &results[i]; {
		case r.err != nil:
			resp.Failures = append(resp.Failures, r.failure(i))
			resp.RetryAfterMs = max(resp.RetryAfterMs, number.Millis(r.retryAfter))
		case r.created:
			resp.CreatedCount++
		case r.there != "":
			resp.ExistingCount++
			resp.ExistingActors = append(resp.ExistingActors, &frayv1.ExistingActor{Index: number.Clamp[uint32](i), ActorId: r.there})
		default:
			resp.ExistingCount++
		}
	}
	return resp, nil
}

// setJobOptions has an event say what its job is to have, if anything is said.
func setJobOptions(event *core.Submit, o *frayv1.JobOptions) error {
	if err := wire.CheckJobOptions(event.Job, o); err != nil {
		return wire.Error(wire.ReasonInvalid, 0, "job_options.%w", err)
	}
	event.Options = corewire.JobOptions(o)
	return nil
}

const (
	// maxSubmit is the schema's bound on a SubmitTasks call.
	maxSubmit = limit.Submit
	// maxWatcherID is the schema's bound on a watcher's name, in bytes.
	maxWatcherID = 128
	// storeFullHint is when a submission that the store has no room for may be made again.
	storeFullHint = 2 * time.Second
)

// submitted is what became of one offered task. err has the code of reason.
type submitted struct {
	created    bool
	there      string // the id of what has the name
	reason     string
	retryAfter time.Duration
	err        error
}

func (r *submitted) refuse(reason string, retryAfter time.Duration, format string, args ...any) {
	r.reason, r.retryAfter = reason, retryAfter
	r.err = wire.Error(reason, retryAfter, format, args...)
}

// failure is what the caller is told of a task that was refused, at its place in the request.
func (r *submitted) failure(i int) *frayv1.SubmitFailure {
	return &frayv1.SubmitFailure{Index: number.Clamp[uint32](i), Code: wire.Code(r.reason).String(), Message: message(r.err), Reason: r.reason}
}

// submit offers tasks to the scheduler by an event, which it completes, and says what became of each,
// beside the scheduler's own words.
func (s *service) submit(
	ctx context.Context, procedure string, event *core.Submit, specs []*frayv1.TaskSpec,
) (results []submitted, reply core.SubmitReply, err error) {
	job := event.Job
	if err := wire.CheckID("job_id", job); err != nil {
		return nil, reply, wire.Error(wire.ReasonInvalid, 0, "%w", err)
	}
	if n := len(event.Watcher); n > maxWatcherID {
		return nil, reply, wire.Error(wire.ReasonInvalid, 0, "watcher_id: must have at most %d bytes, has %d", maxWatcherID, n)
	}
	results = make([]submitted, len(specs))
	if err := s.c.memory.room(); err != nil {
		for i := range results {
			results[i].refuse(wire.ReasonQueueFull, memoryHint, "task %q: %w", specs[i].GetTaskId(), err)
		}
		return results, reply, nil
	}
	event.At, event.Tasks = s.c.now(), make([]core.NewTask, 0, len(specs))
	event.Owner, event.By = access.Confined(ctx, procedure), access.From(ctx).Owns()
	places := make([]int, 0, len(specs))
	of := offered{service: s, job: job, at: event.At}
	for i := 0; i < len(specs); {
		n := 1
		if specs[i].GetGang() != nil {
			n = of.gang(specs[i:], results[i:])
		} else if err := of.add(specs[i]); err != nil {
			results[i].refuse(wire.ReasonInvalid, 0, "%w", err)
		}
		for ; n > 0; n-- {
			if results[i].err == nil {
				places = append(places, i)
			}
			i++
		}
	}
	event.Tasks = of.tasks
	if len(event.Tasks) == 0 {
		return results, reply, nil
	}
	if roomer, ok := s.c.cfg.Store.(store.Roomer); ok {
		if err := roomer.Room(); err != nil {
			for _, i := range places {
				results[i].refuse(wire.ReasonStoreFull, storeFullHint, "task %q: %w: what is known goes on; make room, or try again later", specs[i].GetTaskId(), err)
			}
			return results, reply, nil
		}
	}
	reply, err = ask[core.SubmitReply](ctx, s.c, event.Call, fmt.Sprintf("job %q", job), event)
	if err != nil {
		return nil, reply, err
	}
	for k, r := range reply.Results {
		i := places[k]
		if err := s.judge(&results[i], r, specs[i], job, reply.RetryAfter); err != nil {
			return nil, reply, err
		}
	}
	for k, r := range reply.Results {
		if r.Verdict == core.SubmitGangRefused {
			i := places[k]
			other := i - int(specs[i].GetGang().GetIndex()) + r.Name
			results[i].refuseAsOther(specs[i], &results[other])
		}
	}
	return results, reply, nil
}

// offered gathers the tasks of a submission that may be offered to the scheduler.
type offered struct {
	service *service
	job     string
	at      core.Time
	tasks   []core.NewTask
	// The last spec that was looked at, and its shape.
	previous *frayv1.TaskSpec
	shape    *core.Shape
}

// add adds a task.
func (o *offered) add(spec *frayv1.TaskSpec) error {
	if err := o.service.checkSpec(spec); err != nil {
		return err
	}
	record, err := proto.Marshal(&storev1.TaskRecord{Spec: spec, JobId: o.job, SubmittedUnixNs: int64(o.at)})
	if err != nil {
		return fmt.Errorf("task %q: %w", spec.GetTaskId(), err)
	}
	if o.previous == nil || !wire.SameShape(o.previous, spec) {
		o.previous, o.shape = spec, corewire.Shape(spec)
	}
	n := core.NewTask{
		ID: spec.GetTaskId(), Shape: o.shape, Spec: record,
		NeedsTasks: spec.GetNeededTaskIds(), NeedsObjects: corewire.Objects(spec.GetNeededObjectIds()),
		NotBefore: corewire.Time(spec.GetNotBeforeUnixMs()), Limits: corewire.Limits(spec.GetLimits()),
		Schedule: corewire.Schedule(spec), Unique: corewire.Unique(spec), Gang: corewire.Gang(spec),
	}
	n.Actor, n.ActorCall = corewire.Actor(spec)
	o.tasks = append(o.tasks, n)
	return nil
}

// gang adds the gang that specs begin with, whole or not at all, and returns how many of them it was about.
func (o *offered) gang(specs []*frayv1.TaskSpec, results []submitted) int {
	g := specs[0].GetGang()
	n := 1
	for n < len(specs) && n < int(g.GetSize()) && specs[n].GetGang().GetGangId() == g.GetGangId() && specs[n].GetGang().GetIndex() > specs[n-1].GetGang().GetIndex() {
		n++
	}
	before := len(o.tasks)
	for i, spec := range specs[:n] {
		err := o.add(spec)
		switch {
		case err != nil:
		case n < int(g.GetSize()) || spec.GetGang().GetSize() != g.GetSize() || int(spec.GetGang().GetIndex()) != i:
			err = fmt.Errorf("task %q: gang %q of %d: one call brings all of its tasks, side by side by their index", spec.GetTaskId(), g.GetGangId(), g.GetSize())
		case !o.shape.Equal(o.tasks[before].Shape):
			err = fmt.Errorf("task %q: gang %q: its tasks must have the same function, resources, labels, priority, retries and timeouts", spec.GetTaskId(), g.GetGangId())
		default:
			o.tasks[len(o.tasks)-1].Shape = o.tasks[before].Shape
		}
		if err != nil {
			o.tasks = o.tasks[:before]
			results[i].refuse(wire.ReasonInvalid, 0, "%w", err)
			for k, other := range specs[:n] {
				if k != i {
					results[k].refuseAsOther(other, &results[i])
				}
			}
			break
		}
	}
	return n
}

// refuseAsOther refuses a task because another of its gang is.
func (r *submitted) refuseAsOther(spec *frayv1.TaskSpec, other *submitted) {
	r.refuse(other.reason, other.retryAfter, "task %q: another of gang %q is refused: %s", spec.GetTaskId(), spec.GetGang().GetGangId(), message(other.err))
}

func (s *service) checkSpec(spec *frayv1.TaskSpec) error {
	if err := wire.CheckSpec(spec); err != nil {
		return err
	}
	if p, kept := number.FromMillis(spec.GetUnique().GetPeriodMs()), cmp.Or(s.c.cfg.Core.Retention, core.DefaultRetention); p > kept {
		return fmt.Errorf("task %q: unique.period_ms: is %v, and this controller keeps tasks for %v once they have ended: ask for less, or have it keep them longer", spec.GetTaskId(), p, kept)
	}
	if n := len(spec.GetPayload().GetData()); n > s.c.cfg.MaxPayloadBytes {
		return fmt.Errorf("task %q: payload has %d bytes, this controller takes at most %d", spec.GetTaskId(), n, s.c.cfg.MaxPayloadBytes)
	}
	return nil
}

// message is an error's text without its code, which stands beside it.
func message(err error) string {
	var coded *connect.Error
	if errors.As(err, &coded) {
		return coded.Message()
	}
	return err.Error()
}

// judge turns the scheduler's verdict on an offered task into the caller's. It returns an error where
// it cannot.
func (s *service) judge(out *submitted, r core.SubmitResult, spec *frayv1.TaskSpec, job string, retryAfter time.Duration) error {
	id := spec.GetTaskId()
	switch r.Verdict {
	case core.SubmitCreated:
		out.created = true
	case core.SubmitExisting, core.SubmitNamed:
		known, err := s.c.task(r.Task)
		if err != nil {
			told := s.c.unreadable(subject(id), err)
			if errors.Is(err, store.ErrCorrupt) {
				out.reason, out.err = wire.ReasonBug, told
				return nil
			}
			return told // Also if it was forgotten meanwhile.
		}
		out.compare(known.GetSpec(), spec, r.ID)
	case core.SubmitOtherJob:
		out.refuse(wire.ReasonSpecDiffers, 0, "task %q exists in another job than %q: choose another task id", id, job)
	case core.SubmitFull:
		out.refuse(wire.ReasonQueueFull, retryAfter, "task %q: the queue is full: try again later", id)
	case core.SubmitShare:
		out.refuse(wire.ReasonQueueFull, retryAfter,
			"task %q: job %q, or the caller whom it belongs to, has its share of the queue: try again as tasks of it end", id, job)
	case core.SubmitBehind:
		out.refuse(wire.ReasonQueueFull, retryAfter, "task %q: results of job %q fill the controller, and its watchers have yet to take them: try again later", id, job)
	case core.SubmitNeeded:
		out.refuse(wire.ReasonQueueFull, retryAfter, "task %q: results that open tasks need fill the controller: try again as tasks end", id)
	case core.SubmitUnknownTask:
		out.refuse(wire.ReasonUnknownTask, 0,
			"task %q: it needs task %q, which the controller does not know, or no longer: submit that one first", id, spec.GetNeededTaskIds()[r.Name])
	case core.SubmitTaskOfOther:
		out.refuse(wire.ReasonNotOwner, 0, "task %q: it needs task %q, which belongs to another caller", id, spec.GetNeededTaskIds()[r.Name])
	case core.SubmitUnknownObject:
		out.refuse(wire.ReasonUnknownObject, 0,
			"task %q: it needs object %s, which no job of its owner holds, or no longer: put it again", id, spec.GetNeededObjectIds()[r.Name])
	case core.SubmitTooManyLimits:
		out.refuse(wire.ReasonTooMany, retryAfter, "task %q: too many different limits and keys of limits are in use: try again later", id)
	case core.SubmitTooManySchedules:
		out.refuse(wire.ReasonTooMany, retryAfter, "schedule %q: there are too many, or the caller has its share of them: try again once some are deleted", spec.GetSchedule().GetName())
	case core.SubmitLeaving:
		out.refuse(wire.ReasonActorLeaving, retryAfter, "actor name %q: the actor that has it, %s, is being deleted: try again once it is dead", spec.GetActor().GetName(), r.ID)
	case core.SubmitUnknownActor:
		out.refuse(wire.ReasonUnknownActor, 0, "task %q: it calls actor %q, which the controller does not know, or no longer: create one", id, spec.GetCall().GetActorId())
	case core.SubmitActorOfOther:
		out.refuse(wire.ReasonNotOwner, 0, "task %q: it calls actor %q, which belongs to another caller", id, spec.GetCall().GetActorId())
	case core.SubmitCallLate:
		out.refuse(wire.ReasonCallLate, 0, "task %q: call number %d of caller %q to actor %q comes after a later one: numbers must rise",
			id, spec.GetCall().GetNumber(), spec.GetCall().GetCallerId(), spec.GetCall().GetActorId())
	case core.SubmitGangRefused: // See submit.
	case core.SubmitGangNamed:
		out.refuse(wire.ReasonSpecDiffers, 0, "gang %q: there is another in job %q with tasks that are open: choose another gang id", spec.GetGang().GetGangId(), job)
	case core.SubmitGangGone:
		out.refuse(wire.ReasonUnknownTask, 0, "task %q: others of gang %q are known and it is not: it has ended, and is forgotten", id, spec.GetGang().GetGangId())
	case core.SubmitJobFailed:
		out.refuse(wire.ReasonJobFailed, 0, "task %q: job %q has failed as a whole, as more of its tasks have than its options allow: submit to another job", id, r.ID)
	case core.SubmitTooManyClasses:
		out.refuse(wire.ReasonTooMany, 0, "task %q: too many different combinations of function, resources and labels are in use", id)
	}
	return nil
}

// compare says what a task is that was offered, of which one is known under its id; or, if it is the life of an
// actor, under its name: then by the other's id.
func (r *submitted) compare(known, spec *frayv1.TaskSpec, id string) {
	switch {
	case id == "":
		if s, k := spec.GetCall(), known.GetCall(); k != nil && s.GetActorId() == k.GetActorId() {
			known = proto.CloneOf(known)
			known.Call = s
		}
		if !proto.Equal(known, spec) {
			r.refuse(wire.ReasonSpecDiffers, 0, "task %q exists with another specification: choose another task id", spec.GetTaskId())
		}
	case spec.GetUnique() != nil:
		if known.GetFunction() != spec.GetFunction() {
			r.refuse(wire.ReasonSpecDiffers, 0, "unique key %q: task %q of function %q has it, not one of %q: choose another key",
				spec.GetUnique().GetKey(), id, known.GetFunction(), spec.GetFunction())
			return
		}
		r.there = id
	case spec.GetSchedule() != nil:
		other := proto.CloneOf(known)
		other.TaskId = spec.GetTaskId()
		if !proto.Equal(other, spec) {
			r.refuse(wire.ReasonSpecDiffers, 0, "schedule name %q: there is one under it with another specification: choose another name, or delete that one, %s",
				spec.GetSchedule().GetName(), id)
			return
		}
		r.there = id
	case known.GetFunction() != spec.GetFunction():
		r.refuse(wire.ReasonSpecDiffers, 0, "actor name %q: there is an actor of class %q under it, not of %q: choose another name, or delete that one, %s",
			spec.GetActor().GetName(), known.GetFunction(), spec.GetFunction(), id)
	case !proto.Equal(known.GetPayload(), spec.GetPayload()):
		r.refuse(wire.ReasonSpecDiffers, 0, "actor name %q: there is an actor under it that was constructed from another input: choose another name, or delete that one, %s",
			spec.GetActor().GetName(), id)
	default:
		r.there = id
	}
}

func subject(taskID string) string { return fmt.Sprintf("task %q", taskID) }

func (s *service) GetTask(ctx context.Context, req *frayv1.GetTaskRequest) (*frayv1.GetTaskResponse, error) {
	call := s.c.call()
	r, err := ask[core.TaskReply](ctx, s.c, call, subject(req.GetTaskId()), &core.Get{
		Call: call, ID: req.GetTaskId(), Owner: access.Confined(ctx, frayv1connect.ControllerServiceGetTaskProcedure),
	})
	if err != nil {
		return nil, err
	}
	return &frayv1.GetTaskResponse{Task: corewire.Task(&r.View)}, nil
}

func (s *service) GetTaskResult(ctx context.Context, req *frayv1.GetTaskResultRequest) (*frayv1.GetTaskResultResponse, error) {
	call := s.c.call()
	r, err := ask[core.TaskReply](ctx, s.c, call, subject(req.GetTaskId()), &core.Await{
		Call: call, ID: req.GetTaskId(), Until: s.c.until(ctx, req.GetMaxWaitMs()), Read: true,
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceGetTaskResultProcedure),
	})
	if err != nil {
		return nil, err
	}
	defer s.c.inbox.read(call) // It is read.
	if err := serve.Reserve(ctx, int(r.View.Bytes)); err != nil {
		return nil, err
	}
	result, _, err := s.c.taskResult(&r.View, maxPayload)
	if err != nil {
		return nil, err
	}
	return &frayv1.GetTaskResultResponse{Result: result}, nil
}

func (s *service) GetTaskResults(ctx context.Context, req *frayv1.GetTaskResultsRequest) (*frayv1.GetTaskResultsResponse, error) {
	call := s.c.call()
	r, err := ask[core.TasksReply](ctx, s.c, call, "tasks", &core.AwaitAny{
		Call: call, IDs: req.GetTaskIds(), Until: s.c.until(ctx, req.GetMaxWaitMs()), Read: true,
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceGetTaskResultsProcedure),
	})
	if err != nil {
		return nil, err
	}
	defer s.c.inbox.read(call) // They are read.
	if err := reserve(ctx, r.Tasks); err != nil {
		return nil, err
	}
	resp := &frayv1.GetTaskResultsResponse{UnknownTaskIds: r.Unknown, RefusedTaskIds: r.Refused}
	for i, room := 0, maxResultBytes; i < len(r.Tasks); i++ {
		result, size, err := s.c.taskResult(&r.Tasks[i], maxResultBytes)
		if reason, _ := wire.Info(err); reason == wire.ReasonUnknownTask {
			resp.UnknownTaskIds = append(resp.UnknownTaskIds, r.Tasks[i].ID)
			continue
		}
		if err != nil {
			return nil, err
		}
		if room -= size; room < 0 && i > 0 {
			break
		}
		resp.Results = append(resp.Results, result)
	}
	return resp, nil
}

func (s *service) WatchJob(ctx context.Context, req *frayv1.WatchJobRequest) (*frayv1.WatchJobResponse, error) {
	const defaultResults = 1000
	n := cmp.Or(int(req.GetMaxResults()), defaultResults)
	call := s.c.call()
	event := &core.Watch{
		Call: call, Job: req.GetJobId(), Cursor: req.GetCursor(), Max: n, Until: s.c.until(ctx, req.GetMaxWaitMs()),
		Watcher: req.GetWatcherId(), Read: true, Owner: access.Confined(ctx, frayv1connect.ControllerServiceWatchJobProcedure),
	}
	if req.NeededCursor != nil {
		event.Unconfirmed = event.Cursor - min(req.GetNeededCursor(), event.Cursor)
	}
	r, err := ask[core.WatchReply](ctx, s.c, call, fmt.Sprintf("job %q, cursor %d", req.GetJobId(), req.GetCursor()), event)
	if err != nil {
		return nil, err
	}
	defer s.c.inbox.read(call) // They are read.
	if err := reserve(ctx, r.Tasks); err != nil {
		return nil, err
	}
	resp := &frayv1.WatchJobResponse{
		NextCursor: r.Next, MissedCount: r.Missed, OpenCount: uint64(r.Open), //nolint:gosec // A count.
		Results: make([]*frayv1.TaskResult, 0, len(r.Tasks)),
	}
	first, room := r.Next-uint64(len(r.Tasks)), maxResultBytes
	for i := range r.Tasks {
		result, size, err := s.c.taskResult(&r.Tasks[i], maxResultBytes)
		if reason, _ := wire.Info(err); reason == wire.ReasonUnknownTask {
			resp.MissedCount++
			continue
		}
		if err != nil {
			return nil, err
		}
		if room -= size; room < 0 && i > 0 {
			resp.NextCursor = first + uint64(i) // Not negative.
			break
		}
		resp.Results = append(resp.Results, result)
	}
	return resp, nil
}

func (s *service) GetJob(ctx context.Context, req *frayv1.GetJobRequest) (*frayv1.GetJobResponse, error) {
	call := s.c.call()
	r, err := ask[core.JobReply](ctx, s.c, call, fmt.Sprintf("job %q", req.GetJobId()), &core.GetJob{
		Call: call, Job: req.GetJobId(), Until: s.c.until(ctx, req.GetMaxWaitMs()), Owner: access.Confined(ctx, frayv1connect.ControllerServiceGetJobProcedure),
	})
	if err != nil {
		return nil, err
	}
	resp := &frayv1.GetJobResponse{
		Known: r.Known, Owner: r.Owner, NextCursor: r.Next, WatcherCount: number.Clamp[uint32](r.Watchers),
		OpenCount: number.Clamp[uint64](r.Open), EndedCount: number.Clamp[uint64](r.Ended),
		Failed: r.Failed, SubmittedCount: r.Submitted, FailedCount: r.FailedTasks, ParentJobId: r.Parent,
		Weight:         r.Weight,
		MaxFailedShare: r.MaxFailedShare, ChildCount: number.Clamp[uint64](r.Children),
	}
	if r.FailsPast {
		resp.MaxFailed = &r.MaxFailed
	}
	return resp, nil
}

// reserve makes room for the results of tasks, as many as one answer takes.
func reserve(ctx context.Context, tasks []core.View) error {
	bytes := 0
	for i := range tasks {
		if n := int(tasks[i].Bytes); n <= maxResultBytes {
			bytes += n
		}
		if bytes > maxResultBytes {
			break
		}
	}
	return serve.Reserve(ctx, bytes)
}

// taskResult returns how a task ended, and the size of its record; without the value where that is
// larger than limit, and with neither value nor error where the task has not ended.
func (c *Controller) taskResult(v *core.View, limit int) (*frayv1.TaskResult, int, error) {
	result := &frayv1.TaskResult{Task: corewire.Task(v)}
	if !v.Status.Terminal() {
		return result, 0, nil
	}
	record, err := c.result(v)
	if err != nil {
		return nil, 0, err
	}
	if len(record) > limit {
		result.ValueOmitted, result.ValueBytes = true, uint64(len(record))
		return result, 0, nil
	}
	stored := &frayv1.TaskResult{}
	if err := proto.Unmarshal(record, stored); err != nil {
		return nil, 0, c.unreadable(subject(v.ID), fmt.Errorf("%w: its result cannot be decoded: %w", store.ErrCorrupt, err))
	}
	result.Value, result.Error = stored.GetValue(), stored.GetError()
	return result, len(record), nil
}
