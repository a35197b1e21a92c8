package fray

import (
	"context"
	"fmt"
	"maps"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// RunOnce is [Task.Run] of a task that is the only one of its key: a text of up to 128 characters, such as
// "report/2026-11". If another has the key, it returns a future of that one and false, and nothing is run.
//
// A task has its key among those of its owner, whoever submits it from wherever: while it is open and, if it completes, for
// the period from its submission. One that fails or is cancelled leaves it. A period of 0 ends with the task. It is at most as long
// as the controller keeps tasks that have ended, an hour by default; and of more of them than it keeps, it forgets the oldest
// before that. On the sync and threadpool backends keys are those of one job context.
//
// The error is [ErrAlreadyExists] if a task of another function has the key. RunOnce blocks as Run does; it takes a request of its
// own, so that it is not for bulk.
func (t *Task[In, Out]) RunOnce(ctx context.Context, key string, period time.Duration, in In, opts ...CallOption) (f *Future[Out], created bool, err error) {
	jc, config, err := t.prepare(ctx, opts)
	if err != nil {
		return nil, false, err
	}
	if f, created, err = t.runOnce(ctx, jc, config, key, period, in); err != nil {
		return nil, false, fmt.Errorf("run %s once: %w", t.name, jc.because(nil, err))
	}
	return f, created, nil
}

func (t *Task[In, Out]) runOnce(ctx context.Context, jc *JobContext, config *callConfig, key string, period time.Duration, in In) (*Future[Out], bool, error) {
	if n := utf8.RuneCountInString(key); n < 1 || n > limit.UniqueKey || !utf8.ValidString(key) {
		return nil, false, fmt.Errorf("key %.40q must be UTF-8 of 1 to %d characters", key, limit.UniqueKey)
	}
	if err := checkRange("period", period, 0, limit.UniquePeriod); err != nil {
		return nil, false, err
	}
	id := config.taskID
	if id == "" {
		id = newID(jc.rand)
	}
	f := t.newFuture(jc, config, id, newReceipt(1))
	if err := t.encodeInput(f, in); err != nil {
		return nil, false, err
	}
	there, err := jc.backend.submitOnce(ctx, &f.call, key, period)
	if err != nil {
		return nil, false, err
	}
	if there == id && jc.isLocal() {
		return f, true, nil
	}
	found := &Future[Out]{}
	if err := found.become(there); err != nil {
		return nil, false, err
	}
	found.function = t // So that its declared errors are known.
	found.bind(jc)
	return found, there == id, nil
}

// submitOnce implements backend.
func (b *remote) submitOnce(ctx context.Context, c *call, key string, period time.Duration) (string, error) {
	spec := c.newSpec()
	spec.Unique = &frayv1.UniqueSpec{Key: key, PeriodMs: number.Millis(period)}
	t, err := b.submitOrFind(ctx, spec)
	return t.GetTaskId(), err
}

// onceCall is who has a key on a local backend, and until when if it completes.
type onceCall struct {
	*call

	until time.Time
}

// has says whether the call has its key now.
func (o onceCall) has(now time.Time) bool {
	_, settled, err := o.result()
	return !settled || err == nil && now.Before(o.until)
}

// takeKey gives a key to a call. Now and then it forgets who has none any longer.
func (l *localBackend) takeKey(key string, o onceCall, now time.Time) {
	if len(l.once) >= l.sweepOnce {
		maps.DeleteFunc(l.once, func(_ string, o onceCall) bool { return !o.has(now) })
		l.sweepOnce = 2*len(l.once) + leastSweep
	}
	if l.once == nil {
		l.once = make(map[string]onceCall)
	}
	l.once[key] = o
}

// leastSweep is how many keys there are at least when those are looked for that nobody has.
const leastSweep = 64

// submitOnce implements backend.
func (l *localBackend) submitOnce(ctx context.Context, c *call, key string, period time.Duration) (string, error) {
	l.mu.Lock()
	other, taken := l.once[key]
	now := time.Now()
	if taken = taken && other.has(now); !taken {
		l.takeKey(key, onceCall{c, now.Add(period)}, now)
	}
	l.mu.Unlock()
	if taken {
		if other.function.Name() != c.function.Name() {
			return "", refusal(connect.CodeAlreadyExists, "", fmt.Sprintf("key %q: task %q of function %q has it, not one of %q: choose another key",
				key, other.id, other.function.Name(), c.function.Name()))
		}
		l.share(other.call)
		return other.id, nil
	}
	told := c.receipt // Which is the backend's from now on.
	l.host.submit(ctx, []*call{c})
	return c.id, told.wait(ctx)
}
