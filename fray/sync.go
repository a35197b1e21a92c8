package fray

import (
	"context"
	"maps"
	"sync"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/failure"
	"github.com/frayrpc/fray/internal/sleep"
)

// inline is the sync backend: submit runs each call to its end on the calling goroutine. A function
// that ignores its context cannot be abandoned there.
type inline struct {
	mu      sync.Mutex
	closed  bool
	running map[*call]context.CancelCauseFunc
	ledger  *ledger
	idle    chan struct{} // closed once closed and nothing runs
}

func newInline() *inline {
	return &inline{running: make(map[*call]context.CancelCauseFunc), ledger: newLedger(), idle: make(chan struct{})}
}

func (b *inline) submit(ctx context.Context, calls []*call) {
	for _, c := range calls {
		if err := ctx.Err(); err != nil {
			c.refuse(err)
			continue
		}
		b.execute(ctx, c)
	}
}

// execute runs c with all of its retries. Because it blocks its caller, it is also cancelled by the
// caller's context; of the values of that the function sees none, as it would not on a worker.
func (b *inline) execute(ctx context.Context, c *call) {
	if !b.ledger.claim(c) {
		return
	}
	own, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if !b.enter(c, cancel) {
		c.refuse(c.closed())
		return
	}
	defer b.leave(c)
	detach := context.AfterFunc(ctx, func() { cancel(ErrCancelled) })
	defer detach()

	defer c.accept()
	var info TaskInfo
	settled := false
	defer func() {
		if !settled { // the function ended the goroutine, as testing.T.FailNow does
			c.settle(Payload{}, newTaskError(c, ReasonApplication, info, failure.Encode(attempt.ErrExited)))
		}
	}()
	for number := 1; ; number++ {
		info = c.info(string(KindSync), number)
		var result attempt.Result[Payload]
		c.attempt(own, info, 0, func(r attempt.Result[Payload]) { result = r })
		v := c.conclude(info, result)
		if !v.retry {
			settled = true
			c.settle(result.Value, v.err)
			return
		}
		_ = sleep.For(own, v.delay)
		if own.Err() != nil {
			settled = true
			c.settle(Payload{}, c.stopped(info, context.Cause(own)))
			return
		}
	}
}

func (b *inline) enter(c *call, cancel context.CancelCauseFunc) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.running[c] = cancel
	return true
}

func (b *inline) leave(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, c)
	if b.closed && len(b.running) == 0 {
		close(b.idle)
	}
}

func (*inline) why(*call) error { return nil }

func (b *inline) cancel(_ context.Context, calls []*call) error {
	for _, c := range calls {
		b.stop(c.origin(), ErrCancelled)
	}
	return nil
}

func (b *inline) cancelAll(context.Context) error {
	for _, c := range b.open() {
		b.stop(c, ErrCancelled)
	}
	return nil
}

func (b *inline) shutdown() {
	b.mu.Lock()
	if !b.closed && len(b.running) == 0 {
		close(b.idle)
	}
	b.closed = true
	b.mu.Unlock()
	for _, c := range b.open() {
		c.settle(Payload{}, c.closed())
		b.stop(c, ErrClosed)
	}
}

func (b *inline) wait() error { return waitIdle(b.idle) }

func (b *inline) stop(c *call, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if cancel, ok := b.running[c]; ok {
		cancel(cause)
	}
}

// open returns the calls that run, by id.
func (b *inline) open() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return byID(maps.Keys(b.running))
}
