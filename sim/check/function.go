package check

import (
	"context"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Function returns f as a worker should be given it, so that its executions are recorded: where
// they begin, where they really end, and what value they brought. Outside of a task it is f.
func (r *Recorder) Function(f fray.Function) fray.Function { return recorded{f, r} }

// Functions is Function for each of fs.
func (r *Recorder) Functions(fs ...fray.Function) []fray.Function {
	out := make([]fray.Function, len(fs))
	for i, f := range fs {
		out[i] = r.Function(f)
	}
	return out
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
	e.Token, e.Spec = g.token, g.spec
	f.r.add(e)
	e.Kind, e.Outcome, e.Detail = ExecutionEnd, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED, "panicked or ended its goroutine"
	defer func() { f.r.add(e) }()
	out, err := f.Function.Invoke(ctx, input)
	if err != nil {
		e.Detail = "returned an error"
		return out, err
	}
	e.Outcome, e.Digest, e.Detail = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED, DigestValue(out.Encoding, out.Data), ""
	return out, nil
}
