package controller

import (
	"context"
	"errors"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/retryid"
)

// What has ended stays as it has ended: who has been told so was told the truth. A retry is a task of its own, with
// an id that its caller and the task give it.

func (s *service) RetryTasks(ctx context.Context, req *frayv1.RetryTasksRequest) (*frayv1.RetryTasksResponse, error) {
	ids := req.GetTaskIds()
	call := s.c.call()
	known, err := ask[core.TasksReply](ctx, s.c, call, "tasks", &core.AwaitAny{
		Call: call, IDs: ids, Until: s.c.now(), Read: true, Owner: access.Confined(ctx, frayv1connect.ControllerServiceRetryTasksProcedure),
	})
	if err != nil {
		return nil, err
	}
	defer s.c.inbox.read(call) // They are read.
	if err := reserve(ctx, known.Tasks); err != nil {
		return nil, err
	}
	r := &retry{service: s, id: req.GetRetryId(), tasks: make([]submitted, len(ids)), byJob: make(map[string]*retriedJob)}
	if err := r.collect(ids, &known); err != nil {
		return nil, err
	}
	return r.submit(ctx, ids)
}

// retry is how far a call of RetryTasks has come.
type retry struct {
	*service

	id    string
	tasks []submitted // in the order of the request
	// What is to be submitted, in the order in which its jobs come.
	jobs  []*retriedJob
	byJob map[string]*retriedJob
}

// retriedJob is what is to be submitted in one job, and the places of that in the request.
type retriedJob struct {
	id     string
	specs  []*frayv1.TaskSpec
	places []int
}

// collect makes the specs of what can be retried.
func (r *retry) collect(ids []string, known *core.TasksReply) error {
	ended, missing, refused := make(map[string]*core.View, len(known.Tasks)), make(map[string]bool), make(map[string]bool)
	for i := range known.Tasks {
		ended[known.Tasks[i].ID] = &known.Tasks[i]
	}
	for _, id := range known.Unknown {
		missing[id] = true
	}
	for _, id := range known.Refused {
		refused[id] = true
	}
	room := maxResultBytes
	for i, id := range ids {
		out, v := &r.tasks[i], ended[id]
		if v != nil {
			room -= int(v.Bytes)
		}
		switch {
		case missing[id]:
			out.refuse(wire.ReasonUnknownTask, 0, "task %q: the controller does not know it, or no longer", id)
		case refused[id]:
			out.refuse(wire.ReasonNotOwner, 0, "task %q: its job belongs to another caller", id)
		case v == nil:
			out.refuse(wire.ReasonUnsupported, 0, "task %q: it has not ended: cancel it first, or wait for its end", id)
		case v.Status == core.Completed:
			out.refuse(wire.ReasonUnsupported, 0, "task %q: it has completed: what has a value is not retried", id)
		case v.Reason == core.DependencyFailed:
			out.refuse(wire.ReasonUnsupported, 0, "task %q: it failed for task %q, which it needs and whose retry is another task: submit both anew", id, v.Cause)
		case room < 0 && i > 0:
			out.refuse(wire.ReasonTooMany, 0, "task %q: it and those before it are too large for one call: retry it in another", id)
		default:
			if err := r.add(i, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// add has one task be submitted anew.
func (r *retry) add(place int, v *core.View) error {
	record, err := r.c.task(v.Num)
	out := &r.tasks[place]
	switch {
	case errors.Is(err, store.ErrCorrupt):
		out.reason, out.err = wire.ReasonBug, r.c.unreadable(subject(v.ID), err)
		return nil
	case err != nil:
		return r.c.unreadable(subject(v.ID), err)
	}
	spec := record.GetSpec()
	if spec.GetActor() != nil || spec.GetCall() != nil || spec.GetSchedule() != nil {
		out.refuse(wire.ReasonUnsupported, 0, "task %q: it is the life of an actor, a call of one, or a schedule: create it anew", v.ID)
		return nil
	}
	if g := spec.GetGang(); g != nil {
		out.refuse(wire.ReasonUnsupported, 0, "task %q: it is of gang %q, whose tasks start together: submit the gang anew", v.ID, g.GetGangId())
		return nil
	}
	spec.TaskId, spec.Unique = retryid.Of(v.ID, r.id), nil // Who asks for it again knows that it has been there.
	job := r.byJob[record.GetJobId()]
	if job == nil {
		job = &retriedJob{id: record.GetJobId()}
		r.byJob[job.id] = job
		r.jobs = append(r.jobs, job)
	}
	job.specs, job.places = append(job.specs, spec), append(job.places, place)
	return nil
}

// submit offers what was collected, and answers for all tasks.
func (r *retry) submit(ctx context.Context, ids []string) (*frayv1.RetryTasksResponse, error) {
	for _, job := range r.jobs {
		results, _, err := r.service.submit(ctx, frayv1connect.ControllerServiceRetryTasksProcedure, &core.Submit{Call: r.c.call(), Job: job.id}, job.specs)
		if err != nil {
			return nil, err
		}
		for k, place := range job.places {
			r.tasks[place] = results[k]
		}
	}
	resp := &frayv1.RetryTasksResponse{Tasks: make([]*frayv1.RetriedTask, len(ids))}
	for i, id := range ids {
		out := &r.tasks[i]
		if out.err != nil {
			resp.Tasks[i] = &frayv1.RetriedTask{Failure: out.failure(i)}
			resp.RetryAfterMs = max(resp.RetryAfterMs, number.Millis(out.retryAfter))
			continue
		}
		resp.Tasks[i] = &frayv1.RetriedTask{TaskId: retryid.Of(id, r.id), Created: out.created}
	}
	return resp, nil
}
