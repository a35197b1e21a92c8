package fray

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// Bounds of the calls that go alone.
const (
	// maxAloneWeight is what each weighs at most: a large input is better sent by a lane, which
	// splits what the controller has no room for.
	maxAloneWeight = 64 << 10
	// aloneWait is how long the controller waits for the end of a task before it answers that it
	// has it. The watcher is told of an end that takes longer.
	aloneWait = time.Second
)

// callAlone submits a call whose caller waits for its end by a request of its own, made by the
// caller's goroutine and answered with that end, if it comes soon. It reports false, and has done
// nothing, where another call is open: what comes close together costs less if it goes together.
func (s *submitter) callAlone(ctx context.Context, c *call) bool {
	weight := c.weight()
	if ctx.Err() != nil || weight > maxAloneWeight || !s.room.TryAcquire(weight) {
		return false
	}
	defer s.room.Release(weight)
	bound, done, ok := s.beginAlone(ctx, c)
	if !ok {
		return false
	}
	defer done()
	loan := attempt.Lend(ctx)
	defer loan.TakeBack()
	if loan != nil {
		l := &listener{ended: loan.End}
		c.listen(l)
		defer c.unlisten(l)
	}
	c.prepare()
	var (
		gap submission
		res *frayv1.SubmitTaskResponse
	)
	err := s.doFor(bound, "SubmitTask", weight, aloneWait, func(ctx context.Context) (err error) {
		gap = s.watcher.mark()
		res, err = s.client.SubmitTask(ctx, &frayv1.SubmitTaskRequest{
			JobId: s.jc.jobID, JobOptions: s.jc.options, WatcherId: s.watcher.id, Task: c.spec,
			MaxWaitMs: number.Millis(aloneWait), ConfirmedCursor: s.tracker.confirmed(),
		})
		return err
	})
	ended := err == nil && res.GetResult() != nil && !res.GetResult().GetValueOmitted()
	switch {
	case ended:
		s.tracker.endAlone(c, res.GetEndCursor())
		if !s.watcher.skip(s.tracker.confirmed(), res.GetEndCursor()) {
			s.watcher.submitted(res.GetWatchCursor(), 0)
		}
		res.Result.Task = res.GetTask()
		c.spec = nil
		c.settle(c.outcome(res.GetResult()))
		c.accept()
	case err == nil:
		s.acceptAlone(c, res, gap)
	case bound.Err() != nil && ctx.Err() == nil:
		c.refuse(c.closed())
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()): // The controller was the first to say so.
		s.refuse(c, ctx.Err())
	default:
		s.refuse(c, asRefusal(err))
	}
	return true
}

// beginAlone takes a call on that is to go alone. The context ends with the backend, too; done must be
// called once it is not needed any longer.
func (s *submitter) beginAlone(ctx context.Context, c *call) (bound context.Context, done func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.tracker.addAlone(c) {
		return nil, nil, false
	}
	bound, done = s.bind(ctx)
	return bound, done, true
}

// acceptAlone takes the answer to a call that went alone and whose end is to come.
func (s *submitter) acceptAlone(c *call, res *frayv1.SubmitTaskResponse, gap submission) {
	s.watcher.submitted(res.GetWatchCursor(), 1)
	early := s.tracker.ack(c)[0]
	c.spec = nil
	c.accept()
	if early != nil {
		c.settle(c.outcome(early))
	}
	if !res.GetCreated() || res.GetResult() != nil || s.watcher.passed(gap) {
		s.watcher.fetcher.ask([]string{c.id}) // As with those that are submitted together.
	}
}

// asRefusal is what an error of SubmitTask is where a submission of several tells it of one.
func asRefusal(err error) error {
	if !connect.IsWireError(err) {
		return err
	}
	switch code := connect.CodeOf(err); code {
	case connect.CodeAlreadyExists, connect.CodeNotFound, connect.CodeFailedPrecondition:
		reason, _ := wire.Info(err)
		return refusal(code, reason, rootCause(err))
	default:
		return err
	}
}

// alone is what the tracker knows of the calls that go alone, one after the other, whose ends the
// watcher need not be told of: what of the log the client has without that.
//
// A call goes alone while no other is open, so that as it is made the client knows all ends of its
// tasks. They stand before the ends of all that is submitted from then on.
type alone struct {
	end  uint64 // the greatest cursor after an end that was told with an answer
	sure uint64 // the same as of when the last one was made: the cursor before which all ends are known
}

// addAlone is add for a call that is to go alone. It reports false if others are open, too.
func (t *tracker) addAlone(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.calls) > 0 || t.closed {
		return false
	}
	t.addLocked(c)
	t.alone.sure = t.alone.end
	return true
}

// endAlone forgets the call that went alone, whose answer has told the end of its task. end is the
// cursor after that; 0: it is not known.
func (t *tracker) endAlone(c *call, end uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.tracked {
		t.unlink(c)
	}
	if end == 0 {
		return
	}
	if t.alone.end = end; len(t.calls) > 0 { // It is less than before if the controller has a shorter history.
		signal(t.opened) // See behind.
	} else {
		t.alone.sure = end
	}
}

// confirmed returns the cursor before which the client knows all ends of its tasks by itself; 0: by
// the watcher alone.
func (t *tracker) confirmed() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.alone.sure
}

// behind says whether ends were told with answers that nobody confirms: others may stand before them,
// and the watcher, which has come to a cursor, is at rest.
func (t *tracker) behind(cursor uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.calls) > 0 && t.alone.end > max(cursor, t.alone.sure)
}
