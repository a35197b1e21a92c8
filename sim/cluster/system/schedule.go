package system

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/reason"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

const (
	// A call about a schedule has this much time, or as long as it waits and as much again, and is made again this much later.
	scheduleWithin = 5 * time.Second
	scheduleAgain  = 300 * time.Millisecond
	// Who keeps a schedule waits so long at most for one of its runs to end, and lists so many at a time.
	scheduleWait = 10 * time.Second
	schedulePage = 200
)

// A keeper is the client of one schedule: it creates it, cancels it when it is time, and looks on until the last of its runs has
// ended.
type keeper struct {
	*submitter

	kind   *cluster.TaskKind
	spec   *frayv1.TaskSpec
	client frayv1connect.ControllerServiceClient
	random *rand.Rand
	begun  time.Duration
	lasts  time.Duration // from when it is known to be there

	seen      uint64 // of its job, as a cursor
	cancelled bool   // as it was told
	ended     bool   // as it was shown
	lost      bool
	quiet     bool // when it last looked, all runs had ended
	done      bool // and it had been told of all
}

// schedule has a schedule of a kind kept, the client's next task.
func (c *submitter) schedule(ctx context.Context, k *cluster.TaskKind) {
	id := fmt.Sprintf("%s.%d", c.name, c.number)
	x := &keeper{
		submitter: c, kind: k, spec: scheduleSpec(k, id, inputsOf(k, 1, c.random)[0]), random: chance.New(c.run.Seed(), "schedule/"+id, 0),
		client: frayv1connect.NewControllerServiceClient(c.caller(c.machine), c.firstURL(), c.shows(c.name), connect.WithInterceptors(connect.UnaryInterceptorFunc(c.counted)), c.observed(c.machine)),
		begun:  c.run.Elapsed(), lasts: within(&k.Cancel.After, c.random),
	}
	c.number++
	var before <-chan struct{}
	over := make(chan struct{})
	if k.Schedule.OneName {
		x.spec.Schedule.Name = c.name + "." + k.Name
		if c.named == nil {
			c.named = make(map[*cluster.TaskKind]<-chan struct{})
		}
		before, c.named[k] = c.named[k], over
	}
	c.ends.Go(func() {
		defer close(over)
		if before != nil {
			select {
			case <-before:
			case <-ctx.Done():
				return
			}
		}
		x.keep(ctx)
	})
}

// keep is the life of a schedule.
func (x *keeper) keep(ctx context.Context) {
	if !x.create(ctx) {
		return
	}
	for until := x.run.Elapsed() + x.lasts; !x.done; {
		switch left := until - x.run.Elapsed(); {
		case left > 0:
			x.watch(ctx, min(scheduleWait, left))
		case !x.cancelled && !x.ended:
			x.cancel(ctx)
		default:
			x.watch(ctx, scheduleWait)
		}
		if ctx.Err() != nil {
			return
		}
	}
	if !x.list(ctx) {
		return
	}
	why := fray.ReasonCancelled
	if x.lost {
		why = fray.ReasonTaskLost
	}
	x.tally.ranAll(x.kind.Name, x.spec.GetTaskId(), &fray.TaskError{Reason: why})
}

// call makes a call some time later, and reports false if the run is over.
func (x *keeper) call(ctx context.Context, waits time.Duration, call func(context.Context) error) (more bool, err error) {
	if err := sleep.For(ctx, 1+time.Duration(x.random.Int64N(int64(engine.Jitter)))); err != nil {
		return false, err
	}
	timed, done := context.WithTimeout(ctx, scheduleWithin+waits)
	err = call(timed)
	done()
	if err != nil && ctx.Err() == nil {
		_ = sleep.For(ctx, scheduleAgain+time.Duration(x.random.Int64N(int64(engine.Jitter))))
	}
	return ctx.Err() == nil, err
}

// create submits the schedule until it is there, and says whether it is.
func (x *keeper) create(ctx context.Context) bool {
	for {
		var res *frayv1.SubmitTaskResponse
		more, err := x.call(ctx, 0, func(ctx context.Context) (err error) {
			res, err = x.client.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: x.spec.GetTaskId(), Task: x.spec})
			return err
		})
		switch {
		case !more:
			return false
		case err == nil && res.GetTask().GetTaskId() == x.spec.GetTaskId():
			x.tally.submitted(x.kind.Name, true)
			return true
		case err == nil || refusedForGood(err):
			x.tally.submitted(x.kind.Name, false)
			return false
		}
	}
}

// cancel tries to cancel the schedule.
func (x *keeper) cancel(ctx context.Context) {
	var res *frayv1.CancelTasksResponse
	_, err := x.call(ctx, 0, func(ctx context.Context) (err error) {
		res, err = x.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: []string{x.spec.GetTaskId()}})
		return err
	})
	if err == nil && len(res.GetVerdicts()) == 1 {
		x.cancelled = true
		x.lost = res.GetVerdicts()[0] == frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND
		x.done = x.lost
	}
}

// watch waits for runs to end, and takes note of those that have.
func (x *keeper) watch(ctx context.Context, wait time.Duration) {
	if x.quiet {
		wait = 0
	}
	var res *frayv1.WatchJobResponse
	_, err := x.call(ctx, wait, func(ctx context.Context) (err error) {
		res, err = x.client.WatchJob(ctx, &frayv1.WatchJobRequest{
			JobId: x.spec.GetTaskId(), Cursor: x.seen, WatcherId: x.name, MaxWaitMs: max(number.Millis(wait), 1), MaxResults: schedulePage,
		})
		return err
	})
	if err != nil {
		x.lost = reason.Of(err).GetReason() == reasonCursorAhead
		x.done = x.lost
		return
	}
	x.seen = max(x.seen, res.GetNextCursor())
	for _, r := range res.GetResults() {
		if r.GetTask().GetTaskId() == x.spec.GetTaskId() {
			x.ended = true
		} else if strings.HasPrefix(r.GetTask().GetTaskId(), x.spec.GetTaskId()+"/") {
			x.tally.ran(x.kind.Name, r.GetTask().GetTaskId(), failureOf(r.GetTask()))
		}
	}
	x.quiet = res.GetOpenCount() == 0
	x.done = x.quiet && len(res.GetResults()) == 0
	x.lost = x.done && !x.ended && !x.cancelled // Else its end may be past its retention.
}

// list shows who judges the run all runs of the schedule. It reports false if the run is over.
func (x *keeper) list(ctx context.Context) bool {
	req := &frayv1.ListTasksRequest{JobId: x.spec.GetTaskId(), PageSize: schedulePage}
	for {
		var res *frayv1.ListTasksResponse
		more, err := x.call(ctx, 0, func(ctx context.Context) (err error) {
			res, err = x.client.ListTasks(ctx, req)
			return err
		})
		if !more {
			return false
		}
		switch req.PageToken = res.GetNextPageToken(); {
		case err != nil:
			req.PageToken = "" // Nobody knows what the page had, and the list begins anew.
		case req.GetPageToken() == "":
			return true
		}
	}
}

// scheduleSpec is a schedule of a kind.
func scheduleSpec(k *cluster.TaskKind, id string, input []byte) *frayv1.TaskSpec {
	s := floodSpec(k, id, input)
	losses := uint32(k.MaxWorkerLosses)                                                            //nolint:gosec // 1,000 at most.
	s.MaxWorkerLosses, s.RetryPolicy = &losses, &frayv1.RetryPolicy{MaxRetries: uint32(k.Retries)} //nolint:gosec // 10,000 at most.
	if b := k.Backoff; b != nil {
		s.RetryPolicy.BackoffBaseMs, s.RetryPolicy.BackoffFactor, s.RetryPolicy.BackoffCapMs = number.Millis(time.Duration(b.Base)), b.Factor, number.Millis(time.Duration(b.Cap))
	}
	if l := k.Limit; l != nil {
		s.Limits = []*frayv1.Limit{{
			Name: l.Name, Key: l.Key, MaxConcurrent: uint32(l.Concurrent), MaxStarts: uint32(l.Starts), PeriodMs: number.Millis(time.Duration(l.Period)), //nolint:gosec // A million at most.
		}}
	}
	s.Schedule = &frayv1.ScheduleSpec{
		Name: id, Cron: k.Schedule.Cron, TimeZone: k.Schedule.Zone, CatchUp: catchUps[k.Schedule.CatchUp], Overlaps: k.Schedule.Overlaps,
	}
	return s
}

var catchUps = map[string]frayv1.CatchUp{
	cluster.CatchUpLast: frayv1.CatchUp_CATCH_UP_LAST, cluster.CatchUpAll: frayv1.CatchUp_CATCH_UP_ALL, cluster.CatchUpNone: frayv1.CatchUp_CATCH_UP_NONE,
}

// failureOf is how a task ended that did not complete, as far as it is counted; nil: it completed.
func failureOf(t *frayv1.Task) *fray.TaskError {
	reason := fray.ReasonApplication
	switch t.GetStatus() {
	case frayv1.TaskStatus_TASK_STATUS_COMPLETED:
		return nil
	case frayv1.TaskStatus_TASK_STATUS_CANCELLED:
		return &fray.TaskError{Reason: fray.ReasonCancelled}
	default:
	}
	switch t.GetFailureReason() {
	case frayv1.FailureReason_FAILURE_REASON_TIMEOUT:
		reason = fray.ReasonTimeout
	case frayv1.FailureReason_FAILURE_REASON_WORKER_LOST:
		reason = fray.ReasonWorkerLost
	case frayv1.FailureReason_FAILURE_REASON_SCHEDULING_TIMEOUT:
		reason = fray.ReasonSchedulingTimeout
	case frayv1.FailureReason_FAILURE_REASON_UNDECODABLE:
		reason = fray.ReasonUndecodable
	default:
	}
	return &fray.TaskError{Reason: reason}
}

// reasonCursorAhead says of a job that the controller has lost it.
const reasonCursorAhead = "CURSOR_AHEAD"

// refusedForGood says whether the controller would say the same to another call.
func refusedForGood(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, connect.CodeAlreadyExists, connect.CodePermissionDenied, connect.CodeUnauthenticated:
		return reason.Of(err) != nil
	default:
		return false
	}
}
