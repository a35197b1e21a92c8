package check

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Function returns f as a worker should be given it, so that its executions are recorded: where
// they begin, where they really end, and what value they brought. Outside of a task it is f. The lives of
// actors are not: their calls are.
func (r *Recorder) Function(f fray.Function) fray.Function {
	if _, class := f.(fray.ActorFunction); class {
		return f
	}
	return recorded{f, r}
}

// Functions is Function for each of fs.
func (r *Recorder) Functions(fs ...fray.Function) []fray.Function {
	out := make([]fray.Function, len(fs))
	for i, f := range fs {
		out[i] = r.Function(f)
	}
	return out
}

// Told records that a function read the value of another task.
func (r *Recorder) Told(task string, value []byte) {
	r.add(Event{Kind: FutureEnd, Task: task, Digest: DigestValue("raw", value)})
}

type recorded struct {
	fray.Function

	r *Recorder
}

// Invoke implements fray.Function.
func (f recorded) Invoke(ctx context.Context, input fray.Payload) (fray.Payload, error) {
	info, ok := fray.InTask(ctx)
	if !ok {
		return f.Function.Invoke(ctx, input)
	}
	e := Event{
		Kind: ExecutionStart, Worker: info.WorkerID, Task: info.TaskID, Job: info.JobID, Function: info.Function,
		Attempt: uint32(info.Attempt), //nolint:gosec // It came as one.
	}
	f.r.mu.Lock()
	g := f.r.held[attemptID{e.Task, e.Attempt}]
	f.r.mu.Unlock()
	e.Token, e.Spec, e.Digest = g.token, g.spec, DigestValue(input.Encoding, input.Data)
	f.r.add(e)
	e.Kind, e.Outcome, e.Digest, e.Detail = ExecutionEnd, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED, 0, "panicked or ended its goroutine"
	stopped := f.r.watchStop(ctx)
	defer func() {
		e.Cause, e.StoppedAfter = stopped()
		f.r.add(e)
	}()
	out, err := f.Function.Invoke(ctx, input)
	if err != nil {
		e.Detail = "returned an error"
		if f.r.Asked != nil {
			e.Final, e.RetryAfter = f.r.Asked(err)
		}
		return out, err
	}
	e.Outcome, e.Digest, e.Detail = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED, DigestValue(out.Encoding, out.Data), ""
	return out, nil
}

// watchStop watches a function's context from its start on. What it returns tells, at the end, why
// the context was done and how long the function had run by then; 0 if it was not.
func (r *Recorder) watchStop(ctx context.Context) func() (Cause, time.Duration) {
	start := time.Now()
	var after atomic.Int64
	forget := context.AfterFunc(ctx, func() { after.Store(int64(max(time.Since(start), 1))) })
	return func() (Cause, time.Duration) {
		// What is told at one instant may come in any order: a watch that has yet to note it notes
		// the same.
		if forget() && ctx.Err() == nil {
			return 0, 0
		}
		after.CompareAndSwap(0, int64(max(time.Since(start), 1)))
		return r.causeOf(context.Cause(ctx)), time.Duration(after.Load())
	}
}

func (r *Recorder) causeOf(err error) Cause {
	for own, cause := range r.Causes { // order-free: an error is one of them at most
		if errors.Is(err, own) {
			return cause
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return CauseTimedOut
	}
	return CauseUnknown
}
