package fray

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/attempt"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// begin has a context end with the backend, too; end must be called once it is not needed any longer. It
// reports false once the submitter is closed.
func (s *submitter) begin(ctx context.Context) (bound context.Context, end func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, false
	}
	bound, end = s.bind(ctx)
	return bound, end, true
}

// request calls the controller about actors or schedules, until ctx is done or the backend is closed. A task that waits
// for the answer lends its slot: the queue may need it in which there is no room.
func (b *remote) request(ctx context.Context, procedure string, bytes int64, call func(context.Context) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	bound, end, ok := b.mailer.begin(ctx)
	if !ok {
		return ErrClosed
	}
	defer end()
	loan := attempt.Lend(ctx)
	defer loan.TakeBack()
	err := b.do(bound, procedure, bytes, call)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()): // The controller was the first to say so.
		return ctx.Err()
	case bound.Err() != nil && ctx.Err() == nil:
		return ErrClosed
	}
	return err
}

func (b *remote) create(ctx context.Context, c *call) (string, error) {
	bytes := c.weight()
	spec := c.newSpec()
	var res *frayv1.SubmitTaskResponse
	err := b.request(ctx, "SubmitTask", bytes, func(ctx context.Context) (err error) {
		res, err = b.client.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: b.jc.jobID, JobOptions: b.jc.options, Task: spec})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("submit the life of actor %s: %w", c.id, asRefusal(err))
	}
	id := res.GetTask().GetTaskId()
	if err := checkID("actor id", id); err != nil {
		return "", fmt.Errorf("controller answered with no actor: %w", err)
	}
	return id, nil
}

func (b *remote) findActor(ctx context.Context, name string) (id, class string, err error) {
	var res *frayv1.ListActorsResponse
	err = b.request(ctx, "ListActors", 0, func(ctx context.Context) (err error) {
		res, err = b.client.ListActors(ctx, &frayv1.ListActorsRequest{Name: name})
		return err
	})
	if connect.CodeOf(err) == connect.CodeUnimplemented {
		err = fmt.Errorf("the controller is of a release without actors: %w", err)
	}
	if err != nil {
		return "", "", err
	}
	for _, a := range res.GetActors() {
		if a.GetName() == name && a.GetState() != frayv1.ActorState_ACTOR_STATE_DEAD {
			return a.GetActorId(), a.GetFunction(), nil
		}
	}
	return "", "", ErrUnknownActor
}

func (b *remote) deleteActor(ctx context.Context, id string) error {
	return b.cancelOne(ctx, id, ErrUnknownActor)
}

// cancelOne cancels the task that an actor's life or a schedule is. The error is unknown if there is none.
func (b *remote) cancelOne(ctx context.Context, id string, unknown error) error {
	var res *frayv1.CancelTasksResponse
	err := b.request(ctx, "CancelTasks", 0, func(ctx context.Context) (err error) {
		res, err = b.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: []string{id}})
		return err
	})
	if err != nil {
		return err
	}
	verdicts := res.GetVerdicts()
	if len(verdicts) != 1 {
		return fmt.Errorf("controller answered with %d verdicts for one task", len(verdicts))
	}
	switch verdicts[0] {
	case frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND, frayv1.CancelVerdict_CANCEL_VERDICT_REFUSED: // Another's has its id.
		return unknown
	default:
		return nil
	}
}
