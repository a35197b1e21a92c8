package fray

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// Bounds of the watcher.
const (
	watchWait    = 15 * time.Second
	watchMargin  = 5 * time.Second // by which the deadline of a poll is later than the controller's answer
	maxWatchPage = 10_000
	// hastyPoll is how soon no controller answers a long poll with nothing. One that does is not asked at once again.
	hastyPoll = 100 * time.Millisecond
	// resultTimeout allows for a value of the greatest size.
	resultTimeout = time.Minute
)

// watcher learns of the ends of a job's tasks by following its log with a cursor. While no call is open, it rests.
type watcher struct {
	link
	tracker *tracker
	begin   sync.Once
	spawn   func(func(context.Context))

	// Of the watcher's goroutine.
	cursor uint64
	// doubt is set by trouble: the controller may have restarted and forgotten. As long as it is, polls do not
	// wait, so that the end of the log is soon reached, and it is known whether all open calls are accounted for.
	doubt bool
	// suspects may have ended where the watcher did not learn of it. They are asked for one by one, unless the log
	// tells of them up to its end.
	suspects []string
	// failures counts polls in a row that failed for a reason that dial does not repeat.
	failures int

	mu        sync.Mutex
	reported  []string // suspects to be
	interrupt context.CancelFunc
}

func newWatcher(l link, t *tracker, spawn func(func(context.Context))) *watcher {
	return &watcher{link: l, tracker: t, spawn: spawn, interrupt: func() {}}
}

func (w *watcher) start() {
	w.begin.Do(func() { w.spawn(w.run) })
}

// recheck has the watcher find out about these calls now.
func (w *watcher) recheck(ids []string) {
	if len(ids) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reported = append(w.reported, ids...)
	w.interrupt()
}

func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if open, _ := w.tracker.counts(); open == 0 {
			select {
			case <-w.tracker.opened:
			case <-ctx.Done():
			}
			continue
		}
		poll, cancel := context.WithCancel(ctx)
		w.arm(cancel)
		_, acked := w.tracker.counts()
		start, waits := time.Now(), !w.doubt
		res, err := w.poll(poll)
		interrupted := poll.Err() != nil
		cancel()
		switch {
		case err == nil:
			w.failures = 0
			w.advance(ctx, res, acked)
			if waits && len(res.GetResults()) == 0 && time.Since(start) < hastyPoll {
				dial.Sleep(ctx, hastyPoll+w.jc.rand.Duration(hastyPoll))
			}
		case ctx.Err() != nil:
			return
		case !interrupted:
			w.trouble(ctx, err)
		}
	}
}

// arm lets recheck interrupt the poll that is about to begin, and takes on what was reported before.
func (w *watcher) arm(cancel context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.interrupt = cancel
	if len(w.reported) > 0 {
		w.suspects = append(w.suspects, w.reported...)
		w.reported = nil
		w.doubt = true
	}
}

func (w *watcher) poll(ctx context.Context) (*frayv1.WatchJobResponse, error) {
	var res *frayv1.WatchJobResponse
	attempts := 0
	err := w.do(ctx, "WatchJob", watchWait+watchMargin, func(ctx context.Context) (err error) {
		attempts++
		if attempts > 1 {
			w.doubt = true
		}
		wait := watchWait
		if w.doubt {
			wait = 0
		}
		res, err = w.client.WatchJob(ctx, &frayv1.WatchJobRequest{
			JobId: w.jc.jobID, Cursor: w.cursor, MaxWaitMs: number.Millis(wait), MaxResults: maxWatchPage,
		})
		return err
	})
	return res, err
}

// advance takes what a poll brought. acked is how many calls the controller had acknowledged before the poll.
func (w *watcher) advance(ctx context.Context, res *frayv1.WatchJobResponse, acked int) {
	w.cursor = res.GetNextCursor()
	w.settle(ctx, res.GetResults())
	if res.GetMissedCount() > 0 {
		w.verify(ctx, w.tracker.acknowledged())
		return
	}
	if len(res.GetResults()) > 0 {
		return
	}
	// The log has nothing more, so what was acknowledged before the poll must be open at the controller, too.
	open, ackedNow := w.tracker.counts()
	missing := res.GetOpenCount() < uint64(min(acked, ackedNow)) // counts are not negative
	// Open tasks of others may make up for ours in number.
	masked := w.doubt && res.GetOpenCount() > uint64(open) // as above
	suspects := w.suspects
	w.doubt, w.suspects = false, nil
	if missing || masked {
		suspects = w.tracker.acknowledged()
	}
	w.verify(ctx, suspects)
}

// trouble deals with a poll that failed and that there was no use in repeating as it was.
func (w *watcher) trouble(ctx context.Context, err error) {
	w.doubt = true
	if reason, _ := wire.Info(err); reason == wire.ReasonCursorAhead && w.cursor > 0 {
		w.jc.logger.WarnContext(ctx, "controller has a shorter history than before", "job_id", w.jc.jobID, "cursor", w.cursor)
		w.cursor = 0
		w.verify(ctx, w.tracker.acknowledged())
		return
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeUnimplemented, connect.CodeInvalidArgument:
		// Nothing that is open will ever be told of.
		for _, cs := range w.tracker.take(w.tracker.acknowledged()) {
			for _, c := range cs {
				c.settle(Payload{}, fmt.Errorf("watch task %s (%s): %w", c.id, c.function.Name(), err))
			}
		}
	default:
		w.jc.logger.WarnContext(ctx, "watch job", "job_id", w.jc.jobID, "error", err)
	}
	dial.Sleep(ctx, dial.Policy{Base: time.Second, Cap: watchWait, Rand: w.jc.rand}.Delay(w.failures))
	w.failures++
}

// settle ends the calls that results tell of. Other results of the job are none of ours, or known already.
func (w *watcher) settle(ctx context.Context, results []*frayv1.TaskResult) {
	var omitted []string
	ids := make([]string, 0, len(results))
	told := make([]*frayv1.TaskResult, 0, len(results))
	for _, r := range results {
		id := r.GetTask().GetTaskId()
		switch {
		case !isTerminal(r.GetTask().GetStatus()):
		case r.GetValueOmitted():
			omitted = append(omitted, id)
		default:
			ids = append(ids, id)
			told = append(told, r)
		}
	}
	for i, cs := range w.tracker.take(ids) {
		for _, c := range cs {
			c.settleResult(told[i])
		}
	}
	w.verify(ctx, omitted)
}

// verify asks for each of these calls by itself, and ends those that have ended or that the controller does not know.
// One after the other: it is rare, and a controller that has just restarted has better things to do.
func (w *watcher) verify(ctx context.Context, ids []string) {
	for i, id := range ids {
		if !w.tracker.has(id) {
			continue
		}
		var res *frayv1.GetTaskResultResponse
		err := w.do(ctx, "GetTaskResult", resultTimeout, func(ctx context.Context) (err error) {
			res, err = w.client.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: id})
			return err
		})
		switch {
		case ctx.Err() != nil:
			return
		case connect.CodeOf(err) == connect.CodeNotFound:
			for _, c := range slices.Concat(w.tracker.take([]string{id})...) {
				c.settle(Payload{}, newTaskError(c, ReasonTaskLost, TaskInfo{}, nil))
			}
		case err != nil:
			// The next poll finds out whether the controller is well; then the rest has its turn.
			w.jc.logger.WarnContext(ctx, "get task result", "task_id", id, "error", err)
			w.suspects = append(w.suspects, ids[i:]...)
			w.doubt = true
			dial.Sleep(ctx, dial.DefaultBase+w.jc.rand.Duration(dial.DefaultCap))
			return
		case isTerminal(res.GetResult().GetTask().GetStatus()):
			for _, c := range slices.Concat(w.tracker.take([]string{id})...) {
				c.settleResult(res.GetResult())
			}
		}
	}
}

func isTerminal(s frayv1.TaskStatus) bool {
	switch s {
	case frayv1.TaskStatus_TASK_STATUS_COMPLETED, frayv1.TaskStatus_TASK_STATUS_FAILED, frayv1.TaskStatus_TASK_STATUS_CANCELLED:
		return true
	default:
		return false
	}
}

// settleResult ends a call as the controller says that its task did.
func (c *call) settleResult(r *frayv1.TaskResult) {
	task := r.GetTask()
	if task.GetStatus() == frayv1.TaskStatus_TASK_STATUS_COMPLETED {
		c.settle(Payload{Encoding: r.GetValue().GetEncoding(), Data: r.GetValue().GetData()}, nil)
		return
	}
	reason := ReasonCancelled
	if task.GetStatus() == frayv1.TaskStatus_TASK_STATUS_FAILED {
		var known bool
		if reason, known = failureReasons[task.GetFailureReason()]; !known {
			reason = Reason(task.GetFailureReason().String()) // of a newer controller
		}
	}
	info := TaskInfo{
		WorkerID: task.GetWorkerId(), Attempt: int(task.GetAttemptNumber()), MaxAttempts: int(task.GetMaxAttempts()),
	}
	c.settle(Payload{}, newTaskError(c, reason, info, r.GetError()))
}
