package fray

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/semaphore"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/sleep"
)

// Bounds of the submitter. The weight of a call is the size of its input, of the ids of what
// it needs and of its limits, and callWeight for the rest.
const (
	maxBatchCalls  = 10_000
	maxBatchWeight = 4 << 20
	maxQueueWeight = 64 << 20
	callWeight     = 256
	objectIDBytes  = 64
	limitBytes     = 24 // of a limit, besides its name and key
	// maxLanes is how many SubmitTasks are in flight at most. The second takes full batches only:
	// it is for bulk, which one alone would leave waiting for round trips; calls that trickle in
	// are better sent together.
	maxLanes = 2
	// callLanes is how many of them are calls of actors: one, so that they come in their order. What there
	// is no room for is offered again before what came after it.
	callLanes = 1
	// maxMisfits is how often one task is offered to a controller that has no room for it and gives
	// no reason, as it is with a message that is too large for it.
	maxMisfits = 5
)

// submitter sends calls to the controller. A lone call goes out at once; those that come while a
// batch is in flight go together in the next one.
//
// The calls of actors have a submitter of their own, which gives them their numbers.
type submitter struct {
	link
	maxLanes int
	tracker  *tracker
	watcher  *watcher
	room     *semaphore.Weighted // for the weight of calls that are not answered

	mu     sync.Mutex
	closed bool
	queue  []*call
	weight int64 // of queue
	lanes  int   // goroutines that send
	// Of the calls of actors: whose they are, once there is one, and the number of the last. They share one
	// count, whichever actors they are of.
	caller string
	number uint64
}

func newSubmitter(l link, t *tracker, w *watcher, lanes int) *submitter {
	return &submitter{link: l, maxLanes: lanes, tracker: t, watcher: w, room: semaphore.NewWeighted(maxQueueWeight)}
}

// submit queues calls, as far as there is room, in groups that fit a batch. One whose end its caller
// waits for may go alone.
func (s *submitter) submit(ctx context.Context, calls []*call) {
	if len(calls) == 1 && calls[0].awaited && calls[0].actor == "" && s.callAlone(ctx, calls[0]) {
		return
	}
	for len(calls) > 0 {
		n, weight := prefix(calls)
		group := calls[:n]
		calls = calls[n:]
		if err := s.acquire(ctx, weight); err != nil {
			for _, c := range group {
				c.refuse(err)
			}
			continue
		}
		for _, c := range group {
			c.prepare()
		}
		if !s.enqueue(group, weight) {
			s.room.Release(min(weight, maxQueueWeight))
			for _, c := range group {
				c.refuse(c.closed())
			}
		}
	}
}

// acquire takes room for a weight. A task that has to wait for it lends its slot, which the queue
// may wait for.
func (s *submitter) acquire(ctx context.Context, weight int64) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	weight = min(weight, maxQueueWeight)
	if s.room.TryAcquire(weight) {
		return nil
	}
	loan := attempt.Lend(ctx)
	defer loan.TakeBack()
	return s.room.Acquire(ctx, weight)
}

func (s *submitter) enqueue(calls []*call, weight int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.tracker.add(calls) {
		return false
	}
	s.address(calls)
	s.queue = append(s.queue, calls...)
	s.weight += weight
	full := len(s.queue) >= maxBatchCalls || s.weight >= maxBatchWeight
	if s.lanes == 0 || (full && s.lanes < s.maxLanes) {
		s.lanes++
		s.spawn(s.run)
	}
	return true
}

// address numbers the calls of actors, with s.mu held: their numbers rise in the order of the queue.
func (s *submitter) address(calls []*call) {
	for _, c := range calls {
		if c.actor == "" {
			continue
		}
		if s.caller == "" { // Not before there is one: others draw from the same source.
			s.caller = newID(s.jc.rand)
		}
		s.number++
		c.spec.Call.CallerId, c.spec.Call.Number = s.caller, s.number
	}
}

// run sends batches until the queue is empty.
func (s *submitter) run(ctx context.Context) {
	for {
		batch, weight := s.next()
		if batch == nil {
			return
		}
		s.send(ctx, batch)
		s.room.Release(min(weight, maxQueueWeight))
	}
}

// next takes a batch off the queue; none: it is empty, and the lane has ended.
func (s *submitter) next() (batch []*call, weight int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.queue = nil
		s.lanes--
		return nil, 0
	}
	n, weight := prefix(s.queue)
	batch = s.queue[:n:n]
	s.queue = s.queue[n:]
	s.weight -= weight
	return batch, weight
}

// prefix returns how many of the calls fit a batch, at least one, and what they weigh.
func prefix(calls []*call) (n int, weight int64) {
	for n < min(len(calls), maxBatchCalls) {
		more := together(calls[n:])
		w := int64(0)
		for _, c := range calls[n : n+more] {
			w += c.weight()
		}
		if n > 0 && (weight+w > maxBatchWeight || n+more > maxBatchCalls) {
			break
		}
		weight += w
		n += more
	}
	return n, weight
}

// send offers a batch until each of its calls is accepted, refused or abandoned.
func (s *submitter) send(ctx context.Context, batch []*call) {
	o := &offer{submitter: s, batch: batch}
	for len(o.batch) > 0 {
		_, weight := prefix(o.batch)
		err := s.do(ctx, "SubmitTasks", weight, o.make)
		switch {
		case ctx.Err() != nil:
			for _, c := range o.batch {
				c.refuse(c.closed())
			}
			return
		case err == nil:
			// Some were taken, and there is no room for the rest: that makes headway, so the
			// backoff starts anew.
			if len(o.batch) > 0 {
				_ = sleep.For(ctx, o.retryAfter+s.jc.rand.Duration(o.retryAfter/2))
			}
		case len(o.batch) > together(o.batch) && isSplittable(err):
			half := together(o.batch)
			for half < len(o.batch)/2 {
				half += together(o.batch[half:])
			}
			s.send(ctx, o.batch[:half])
			o.batch = o.batch[half:]
		default:
			err = asRefusal(err)
			for _, c := range o.batch {
				s.refuse(c, err)
			}
			return
		}
	}
}

// isSplittable says whether part of a batch may be accepted where the whole is not: one of its
// tasks makes the request invalid, or it is too large for the server.
func isSplittable(err error) bool {
	code := connect.CodeOf(err)
	return code == connect.CodeInvalidArgument || code == connect.CodeOutOfRange
}

func (s *submitter) refuse(c *call, err error) {
	s.tracker.remove(c)
	c.refuse(fmt.Errorf("submit task %s: %w", c.id, err))
}

// offer is a batch that is offered to the controller until nothing of it is left.
type offer struct {
	*submitter

	batch      []*call
	misfits    int
	retryAfter time.Duration
}

// make offers the batch once, and keeps of it what there was no room for. It returns nil if it made
// headway.
func (o *offer) make(ctx context.Context) error {
	o.dropAbandoned()
	if len(o.batch) == 0 {
		return nil
	}
	req := &frayv1.SubmitTasksRequest{
		JobId: o.jc.jobID, JobOptions: o.jc.options, WatcherId: o.watcher.id,
		Tasks: make([]*frayv1.TaskSpec, len(o.batch)),
	}
	for i, c := range o.batch {
		req.Tasks[i] = c.spec
	}
	gap := o.watcher.mark()
	res, err := o.client.SubmitTasks(ctx, req)
	if err != nil {
		return o.misfit(err)
	}
	o.watcher.submitted(res.GetWatchCursor(), len(o.batch))
	offered := len(o.batch)
	var taken []string
	taken, o.batch = o.settle(res)
	if res.GetExistingCount() > 0 || o.watcher.passed(gap) {
		// Those that had ended before the watcher's cursor, or in what is lost to it, will not be
		// told of again.
		o.watcher.fetcher.ask(taken)
	}
	o.retryAfter = max(number.FromMillis(res.GetRetryAfterMs()), dial.DefaultBase)
	if len(o.batch) == offered {
		return wire.Error(wire.ReasonQueueFull, o.retryAfter, "no room for %d tasks", offered)
	}
	return nil
}

// misfit returns err, unless it says that the server cannot take the request at all. Such an error
// has the code of a full queue, but not the reason; there is no use in repeating it.
func (o *offer) misfit(err error) error {
	if connect.CodeOf(err) != connect.CodeResourceExhausted {
		return err
	}
	if reason, _ := wire.Info(err); reason != "" {
		return err
	}
	o.misfits++
	if len(o.batch) == together(o.batch) && o.misfits < maxMisfits {
		return err
	}
	return connect.NewError(connect.CodeOutOfRange, errors.New(rootCause(err)))
}

// dropAbandoned takes the calls off the batch that nobody waits for any longer.
func (o *offer) dropAbandoned() {
	kept := o.batch[:0]
	for _, c := range o.batch {
		if err := c.receipt.abandoned(); err != nil {
			o.refuse(c, err)
		} else {
			kept = append(kept, c)
		}
	}
	o.batch = kept
}

// settle tells the calls of the batch what the controller answered. It returns the ids of those
// that were taken, and the calls that there was no room for.
func (o *offer) settle(res *frayv1.SubmitTasksResponse) (taken []string, rest []*call) {
	taken = make([]string, 0, len(o.batch))
	failures := make(map[uint32]error, len(res.GetFailures()))
	for _, f := range res.GetFailures() {
		failures[f.GetIndex()] = submitError(f)
	}
	accepted := make([]*call, 0, len(o.batch))
	refused := make(map[*call]error)
	for i, c := range o.batch {
		switch err := failures[number.Clamp[uint32](i)]; { // There are at most maxBatchCalls.
		case err == nil:
			taken = append(taken, c.id)
			accepted = append(accepted, c)
		case connect.CodeOf(err) == connect.CodeResourceExhausted:
			rest = append(rest, c)
		default:
			refused[c] = err
		}
	}
	early := o.tracker.ack(accepted...) // Before the receipts are told: a task that asked for it can end at once.
	for _, c := range o.batch {
		if err := refused[c]; err != nil {
			o.submitter.refuse(c, err)
		}
	}
	for i, c := range accepted {
		c.spec = nil
		c.accept()
		if early[i] != nil {
			c.settle(c.outcome(early[i]))
		}
	}
	return taken, rest
}

// submitError is the error of one refused task.
func submitError(f *frayv1.SubmitFailure) error {
	var code connect.Code
	if err := code.UnmarshalText([]byte(f.GetCode())); err != nil {
		code = connect.CodeUnknown
	}
	// Controllers once put the code before the message, where it would stand twice.
	return refusal(code, f.GetReason(), strings.TrimPrefix(f.GetMessage(), f.GetCode()+": "))
}

// refusal is the error of a task that a backend does not take.
func refusal(code connect.Code, reason, message string) error {
	e := &refusedError{message: message}
	switch {
	case code == connect.CodeAlreadyExists:
		e.is = ErrAlreadyExists
	case reason == wire.ReasonUnknownTask:
		e.is = ErrTaskLost
	case reason == wire.ReasonUnknownObject:
		e.is = ErrObjectLost
	case reason == wire.ReasonUnknownActor:
		e.is = ErrUnknownActor
	case reason == wire.ReasonJobFailed:
		e.is = ErrJobFailed
	case reason == wire.ReasonJobDiffers:
		e.is = ErrJobDiffers
	case reason == wire.ReasonUnknownJob:
		e.is = ErrUnknownJob
	}
	return connect.NewError(code, e)
}

// refusedError says why a task was refused.
type refusedError struct {
	message string
	is      error // what that comes to; nil: nothing that callers tell apart
}

func (e *refusedError) Error() string { return e.message }

func (e *refusedError) Unwrap() error { return e.is }

func (s *submitter) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// weight is the same before and after prepare.
func (c *call) weight() int64 {
	n := len(c.input.Data)
	if c.spec != nil {
		n = len(c.spec.GetPayload().GetData())
		for _, id := range c.spec.GetNeededTaskIds() {
			n += len(id)
		}
		return int64(n + objectIDBytes*len(c.spec.GetNeededObjectIds()) + c.config.limitsWeight + callWeight)
	}
	if c.needs != nil {
		for _, f := range c.needs.tasks {
			n += len(f.id)
		}
		n += objectIDBytes * len(c.needs.objects)
	}
	return int64(n + c.config.limitsWeight + callWeight)
}

// prepare puts what c asks for in the form of the wire.
func (c *call) prepare() {
	c.spec = c.newSpec()
	c.input, c.needs = Payload{}, nil
}

// newSpec returns what the controller is asked for.
func (c *call) newSpec() *frayv1.TaskSpec {
	spec := &frayv1.TaskSpec{
		TaskId:              c.id,
		Function:            c.function.Name(),
		Payload:             &frayv1.Payload{Encoding: c.input.Encoding, Data: c.input.Data},
		Priority:            c.config.priority,
		Resources:           c.config.resources,
		RequiredLabels:      c.config.labels,
		RetryPolicy:         c.config.policy,
		MaxWorkerLosses:     c.config.workerLosses,
		ExecutionTimeoutMs:  number.Millis(c.config.executionTimeout),
		SchedulingTimeoutMs: number.Millis(c.config.schedulingTimeout),
		NotBeforeUnixMs:     c.config.notBeforeMs(),
		NeededTaskIds:       c.needs.taskIDs(),
		NeededObjectIds:     c.needs.objectIDs(),
		Limits:              c.config.wireLimits,
		Gang:                c.gang.spec(),
	}
	if c.actor != "" {
		spec.Call = &frayv1.ActorCall{ActorId: c.actor} // Whose, and which of theirs, its submitter says.
	}
	if c.life != nil {
		spec.Actor = &frayv1.ActorSpec{Name: c.life.name, MaxConcurrency: c.life.concurrency}
	}
	return spec
}
