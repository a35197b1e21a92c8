package fray

import (
	"context"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/failure"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// maxPoolQueue is how many tasks wait in a threadpool for their first start before Run blocks.
const maxPoolQueue = 1 << 20

// threadPool is the threadpool backend: a number of slots, each with a goroutine while it runs an
// attempt.
type threadPool struct {
	localBackend

	jc   *JobContext
	room *semaphore.Weighted // of maxPoolQueue; one for each task that never started
	// closing is done once the pool is closed: then there will be no room any more.
	closing context.Context //nolint:containedctx // It ends waits for room, as their callers' contexts do.
	close   context.CancelFunc

	slots int // that it has

	// Guarded by mu.
	free  int         // slots
	cast  []*poolTask // ended with their gangs, and not settled
	queue readyQueue  // tasks that wait for a slot
	// returning wait for a slot, too, and come first: their tasks have begun.
	returning []*poolSlot
	open      map[*call]*poolTask
	blocked   blocked
	running   int // goroutines
}

func newThreadPool(jc *JobContext, workers int) *threadPool {
	p := &threadPool{
		jc: jc, slots: workers, free: workers, room: semaphore.NewWeighted(maxPoolQueue), open: make(map[*call]*poolTask), blocked: newBlocked(),
	}
	p.closing, p.close = context.WithCancel(context.Background())
	p.localBackend = newLocalBackend(p, func(b *limitBucket) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.limits.look(b)
		p.dispatch()
	})
	return p
}

// poolTask is a call in the pool. The pool's mutex guards it.
type poolTask struct {
	*call

	seq      uint64                  // order of arrival in the queue
	attempts int                     // started so far
	ended    bool                    // it is settled, and only leaves the queue when its turn comes
	turn     *turn                   // of a call of an actor, which is queued once it has come; nil: it is none
	places   *places                 // what it has of limits
	needs    *needs                  // what it waits for before it is queued; nil: nothing
	arrival  uint64                  // order of arrival among those that wait for something
	missing  int                     // so many of them have not ended
	delayed  bool                    // its time is yet to come
	queued   bool                    // it is in the queue
	gang     *poolGang               // that it is of; nil: none
	mustered bool                    // it waits for the others of its gang, or queues for all of it
	recalled bool                    // its attempt is to end because its gang starts anew
	recalls  int                     // attempts that ended so
	values   attempt.Needed[Payload] // of what it needed
	// cancel stops the attempt that runs; nil: none does.
	cancel context.CancelCauseFunc
	// timer ends the delay before a retry, or the wait for a first start; nil: neither is on.
	timer *time.Timer
}

func (p *threadPool) submit(ctx context.Context, calls []*call) {
	for len(calls) > 0 {
		c, n := calls[0], together(calls)
		if c.gang != nil {
			p.submitGang(ctx, calls[:n])
			calls = calls[n:]
			continue
		}
		calls = calls[1:]
		if err := p.acquire(ctx, 1); err != nil {
			if p.closing.Err() != nil {
				err = c.closed()
			}
			c.refuse(err)
			continue
		}
		p.take(c, nil)
	}
}

// take takes a call in, for which there is room, and answers for it. It may be of a gang.
func (p *threadPool) take(c *call, g *poolGang) {
	if !p.ledger.claim(c) {
		p.room.Release(1)
		return
	}
	ended, err := p.add(c, g)
	if err != nil {
		p.room.Release(1)
		c.refuse(err)
		return
	}
	if ended != nil {
		c.settle(Payload{}, ended)
	}
	c.accept()
}

// acquire takes room for tasks. Those before them may need the slot of the task that submits
// them, which is lent for so long.
func (p *threadPool) acquire(ctx context.Context, tasks int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	n := int64(tasks)
	if p.room.TryAcquire(n) {
		return nil
	}
	loan := attempt.Lend(ctx)
	defer loan.TakeBack()
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	unwatch := context.AfterFunc(p.closing, cancel)
	defer unwatch()
	return p.room.Acquire(waiting, n)
}

// add takes a call in, or returns why it is refused. If it cannot run, because a task that it needs has ended without a
// value, its actor is dead or its gang is over, it returns what c is to end with.
func (p *threadPool) add(c *call, g *poolGang) (ended, refused error) {
	t := &poolTask{call: c, needs: c.takeNeeds(), gang: g}
	if t.needs != nil {
		for _, f := range t.needs.tasks {
			f.find()
		}
	}
	p.mu.Lock()
	defer p.unlock()
	switch {
	case p.closed:
		return nil, c.closed()
	case g != nil && g.over:
		p.room.Release(1)
		return c.stopped(c.info("", 0), ErrCancelled), nil
	case g != nil:
		g.members = append(g.members, t)
	}
	if c.actor != "" {
		switch cause, err := p.join(t); {
		case err != nil:
			return nil, err
		case cause != nil:
			p.room.Release(1)
			return c.actorDead(c.info("", 0), cause), nil
		}
	}
	p.open[c] = t
	t.places = p.limits.join(c, func() { p.queue.push(t) })
	if t.needs == nil {
		p.ready(t)
	} else if failed := p.block(t); failed != nil {
		p.end(t)
		p.endGang(t)
		return c.failedFor(failed), nil
	}
	return nil, nil
}

// ready queues a task for its first start, with p.mu held; a call, once it is its turn.
func (p *threadPool) ready(t *poolTask) {
	if d := t.config.delay(); d > 0 {
		t.delayed = true
		t.timer = time.AfterFunc(d, func() { p.due(t) })
		return
	}
	if d := t.config.schedulingTimeout; d > 0 {
		t.timer = time.AfterFunc(d, func() { p.expire(t) })
	}
	if t.turn != nil {
		t.turn.ready = true
		t.turn.actor.advance()
		return
	}
	p.enqueue(t)
}

// enqueue has a task wait for a slot, once its limits have room for it. The caller holds p.mu.
func (p *threadPool) enqueue(t *poolTask) {
	switch {
	case !t.places.acquire():
	case t.gang != nil:
		p.muster(t)
	default:
		p.queue.push(t)
	}
	p.dispatch()
}

// due queues a task whose time has come.
func (p *threadPool) due(t *poolTask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.ended {
		return
	}
	t.timer, t.delayed = nil, false
	p.ready(t)
}

// dispatch gives free slots away, with p.mu held.
func (p *threadPool) dispatch() {
	p.limits.relieve()
	for p.free > 0 {
		if len(p.returning) > 0 {
			b := p.returning[0]
			p.returning = slices.Delete(p.returning, 0, 1)
			p.free--
			b.held = true
			close(b.granted)
			continue
		}
		t, ok := p.queue.first()
		if !ok || t.gang != nil && !t.ended && p.free < len(t.gang.members) {
			return
		}
		p.queue.pop()
		if t.attempts == 0 {
			p.room.Release(1)
		}
		switch {
		case t.ended:
		case t.gang != nil:
			p.startGang(t.gang)
		default:
			p.start(t)
		}
	}
}

// start starts an attempt in a slot that is free, with p.mu held.
func (p *threadPool) start(t *poolTask) {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.attempts++
	t.places.start()
	ctx, cancel := context.WithCancelCause(context.Background())
	t.cancel = cancel
	p.free--
	p.running++
	go p.execute(ctx, t, t.call.info(string(KindThreadPool), t.attempts))
}

// execute runs one attempt in a slot.
func (p *threadPool) execute(ctx context.Context, t *poolTask, info TaskInfo) {
	b := &poolSlot{pool: p, held: true, stopped: ctx.Done()}
	defer p.release(b)
	if t.turn != nil {
		ctx = t.turn.host(ctx)
	}
	t.attempt(attempt.WithSlot(ctx, b), info, t.values, stopGrace, func(r attempt.Result[Payload]) { p.conclude(t, info, r) })
}

func (p *threadPool) conclude(t *poolTask, info TaskInfo, r attempt.Result[Payload]) {
	judged := info
	judged.Attempt -= t.recalls
	v := t.call.conclude(judged, r)
	p.mu.Lock()
	t.cancel(nil)
	t.cancel = nil
	if v.retry && t.turn != nil && t.turn.actor.dead != nil {
		v = sequel{err: t.actorDead(info, t.turn.actor.dead)}
	}
	t.places.giveBack()
	if t.recalled && !t.ended && r.Outcome != attempt.Succeeded && (v.retry || !failure.Encode(r.Err).GetNonRetryable()) {
		t.recalled = false
		t.recalls++
		p.enqueue(t)
		p.mu.Unlock()
		return
	}
	if v.retry && !t.ended {
		p.disband(t)
		t.timer = time.AfterFunc(v.delay, func() { p.retry(t) })
		p.mu.Unlock()
		return
	}
	p.end(t)
	if t.gang != nil && v.err == nil {
		p.callUp(t.gang)
	} else if t.gang != nil {
		p.endGang(t)
	}
	p.unlock()
	t.settle(r.Value, v.err)
}

// release frees the slot of an attempt whose goroutine ends, unless it is lent.
func (p *threadPool) release(b *poolSlot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.held {
		b.held = false
		p.free++
	}
	p.running--
	if p.closed && p.running == 0 {
		close(p.idle)
		return
	}
	p.dispatch()
}

// retry queues a task again after its delay.
func (p *threadPool) retry(t *poolTask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.ended {
		return
	}
	t.timer = nil
	p.enqueue(t)
}

// expire fails a task that did not start in time.
func (p *threadPool) expire(t *poolTask) {
	p.mu.Lock()
	if t.ended || t.attempts > 0 {
		p.mu.Unlock()
		return
	}
	p.end(t)
	p.endGang(t)
	p.dispatch()
	p.unlock()
	info := TaskInfo{MaxAttempts: int(t.config.retries) + 1}
	t.settle(Payload{}, newTaskError(t.call, ReasonSchedulingTimeout, info, &frayv1.TaskError{
		Message: "no slot was free for it", Type: "scheduling timeout",
	}))
}

// end takes a task off the books, with p.mu held.
func (p *threadPool) end(t *poolTask) {
	t.ended = true
	delete(p.open, t.call)
	if t.needs != nil {
		p.blocked.remove(t)
	}
	if t.needs != nil || t.delayed || (t.places.waits() && t.attempts == 0) || (t.turn != nil && t.turn.stage == turnWaits) {
		p.room.Release(1) // It never was in the queue.
	}
	t.needs, t.delayed = nil, false
	t.places.leave()
	p.leaveGang(t)
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if t.turn != nil && t.cancel == nil { // Else its function has it still.
		p.leave(t)
	}
}

func (p *threadPool) cancel(ctx context.Context, calls []*call, config cancelConfig) error {
	here := make([]*call, 0, len(calls))
	for _, c := range calls {
		c = c.origin()
		if elsewhere := c.jc.backend; elsewhere != backend(p) { // It has travelled here.
			if err := elsewhere.cancel(ctx, []*call{c}, config); err != nil {
				return err
			}
			continue
		}
		here = append(here, c)
	}
	p.mu.Lock()
	ended := p.stop(here, config)
	p.dispatch()
	p.unlock()
	p.settleStopped(ended)
	return nil
}

// stop has what runs of some calls stop, and ends the others, all in one go: what of them depends on others of
// them is stopped, too, and does not fail. It returns those that it ended, which are to be settled. The caller
// holds p.mu.
func (p *threadPool) stop(calls []*call, config cancelConfig) (ended []*poolTask) {
	for _, c := range calls {
		t, ok := p.open[c]
		if !ok {
			continue
		}
		if config.dependants {
			c.cascades.Store(true)
		}
		if t.cancel != nil {
			t.recalled = false
			t.cancel(ErrCancelled)
		} else {
			p.end(t)
			ended = append(ended, t)
		}
		p.endGang(t)
	}
	return ended
}

func (p *threadPool) settleStopped(ended []*poolTask) {
	for _, t := range ended {
		t.settle(Payload{}, t.stopped(t.info("", t.attempts), ErrCancelled))
	}
}

func (p *threadPool) cancelAll(_ context.Context, config cancelConfig) error {
	p.mu.Lock()
	ended := p.stop(byID(maps.Keys(p.open)), config)
	p.dispatch()
	actors := p.actors.living()
	p.unlock()
	p.settleStopped(ended)
	for _, a := range actors {
		p.kill(a, errActorCancelled)
	}
	return nil
}

func (p *threadPool) shutdown() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	p.close()
	p.limits.close()
	actors := p.actors.living()
	for _, a := range actors {
		p.actors.kill(a, ErrClosed) // All that is open ends below.
	}
	open := byID(maps.Keys(p.open))
	for _, c := range open {
		t := p.open[c]
		if t.cancel != nil {
			t.cancel(ErrClosed)
		}
		p.end(t)
	}
	for _, a := range actors {
		p.finish(a)
	}
	if p.running == 0 {
		close(p.idle)
	}
	p.mu.Unlock()
	for _, c := range open {
		c.settle(Payload{}, c.closed())
	}
	for _, a := range actors {
		a.life.settle(Payload{}, ErrClosed)
	}
}

// poolSlot is the slot of one attempt.
type poolSlot struct {
	pool    *threadPool
	stopped <-chan struct{}
	// Guarded by the pool's mutex.
	held    bool
	granted chan struct{}
}

// Block implements attempt.Slot.
func (b *poolSlot) Block() {
	b.pool.mu.Lock()
	defer b.pool.mu.Unlock()
	if b.held {
		b.held = false
		b.pool.free++
		b.pool.dispatch()
	}
}

// Unblock implements attempt.Slot.
func (b *poolSlot) Unblock() (wait func()) {
	p := b.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	granted := make(chan struct{})
	b.granted = granted
	p.returning = append(p.returning, b)
	p.dispatch()
	return func() {
		select {
		case <-granted:
		case <-b.stopped:
			p.mu.Lock()
			defer p.mu.Unlock()
			if i := slices.Index(p.returning, b); i >= 0 {
				p.returning = slices.Delete(p.returning, i, i+1)
			}
		}
	}
}
