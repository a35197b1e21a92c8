package fray

import (
	"context"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/sleep"
)

// Bounds of the watcher.
const (
	watchWait    = 15 * time.Second
	watchMargin  = 5 * time.Second // by which the deadline of a poll is later than the controller's answer
	maxWatchPage = 10_000
	// hastyPoll is how soon no controller answers a long poll with nothing. One that does is not
	// asked at once again.
	hastyPoll = 100 * time.Millisecond
	// confirmAfter is how long the watcher rests before it confirms what it was told last, which
	// the controller keeps for it until then. While tasks are open, the next poll does.
	confirmAfter = time.Second
	// lateAnswer is how late a submission's answer is that the controller may have lost the watcher
	// since. It gives a silent one 30 seconds.
	lateAnswer = 15 * time.Second
)

// watcher learns of the ends of a job's tasks by following its log with a cursor. It begins where
// the first submission that is answered says; from then on the controller keeps for it what it has
// not been told. While no acknowledged call is open, it rests, unless it attends.
type watcher struct {
	link
	id      string // by which the controller knows it
	tracker *tracker
	fetcher *fetcher
	rand    *dial.Rand
	seed    uint64 // of when exactly it confirms at rest
	begin   sync.Once
	// attends is set where the controller is to know at all times that the job is watched: then the
	// watcher never rests.
	attends bool

	// Of the watcher's goroutine.
	cursor    uint64
	confirmed uint64 // what the last poll confirmed that was answered, or needs no answer
	stated    uint64 // what the last one confirms
	// doubt is set by trouble: the controller may have restarted and forgotten. As long as it is,
	// polls do not wait, so that the end of the log is soon reached, and it is known whether all
	// open calls are accounted for.
	doubt bool
	// failures counts polls in a row that failed for a reason that dial does not repeat.
	failures int
	// untold are the pages, oldest first, with values that are not here yet, or with ends of calls
	// that are still being submitted: they still need the controller.
	untold []*page

	mu   sync.Mutex
	jump uint64 // where the watcher may go on from, if it is past the cursor: nothing of ours ended before; 0: nowhere
	gaps int    // how often part of the log was lost to the watcher
}

// page is a part of the log that is to be kept for a while after it was told.
type page struct {
	from  uint64 // the cursor before it
	left  int    // values that are fetched one by one; guarded by the fetcher
	early int    // ends of calls that are not acknowledged; guarded by the tracker
}

func newWatcher(l link, t *tracker, f *fetcher) *watcher {
	r := l.fork()
	return &watcher{link: l, id: newID(r), tracker: t, fetcher: f, rand: r, seed: r.Uint64()}
}

// mark is where the log stands for the watcher as a submission is made; passed says whether an end
// of one of its tasks may have got past the watcher since: because part of the log was lost to it,
// or the answer came so late that the controller may have taken the watcher for gone.
func (w *watcher) mark() submission {
	w.mu.Lock()
	defer w.mu.Unlock()
	return submission{gaps: w.gaps, made: time.Now()}
}

func (w *watcher) passed(s submission) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gaps != s.gaps || time.Since(s.made) > lateAnswer
}

type submission struct {
	gaps int
	made time.Time
}

// submitted takes the cursor that the answer to a submission of some calls brought, before any of
// these is acknowledged. The first says where to begin. Later ones say nothing new, unless no other
// call is open: then the log up to there is of other clients.
func (w *watcher) submitted(cursor uint64, calls int) {
	first := false
	w.begin.Do(func() {
		w.cursor, w.confirmed, first = cursor, cursor, true
		w.spawn(w.run)
	})
	if first {
		w.spawn(newMonitor(w.link, w.tracker).run)
		return
	}
	if open, acked := w.tracker.counts(); open <= calls && acked == 0 {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.jump = max(w.jump, cursor)
	}
}

// attend has the watcher watch from now on, without a rest and before anything is submitted, from a
// cursor that no task of this client has ended before.
func (w *watcher) attend(cursor uint64) {
	w.begin.Do(func() {
		w.cursor, w.confirmed, w.attends = cursor, cursor, true
		w.spawn(w.run)
	})
	w.spawn(newMonitor(w.link, w.tracker).run)
}

// skip says that the watcher need not be told of what ended before a cursor, and whether that is all up
// to an end.
func (w *watcher) skip(cursor, end uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jump = max(w.jump, cursor)
	return cursor >= end
}

func (w *watcher) run(ctx context.Context) {
	for w.rest(ctx) {
		_, acked := w.tracker.counts()
		start, waits := time.Now(), !w.doubt
		res, err := w.poll(ctx)
		switch {
		case err == nil:
			w.failures = 0
			w.advance(res, acked)
			if waits && len(res.GetResults()) == 0 && time.Since(start) < hastyPoll {
				_ = sleep.For(ctx, hastyPoll+w.rand.Duration(hastyPoll))
			}
		case ctx.Err() != nil:
			return
		default:
			w.trouble(ctx, err)
		}
	}
}

// rest waits until an acknowledged call is open, and reports false once ctx is done.
func (w *watcher) rest(ctx context.Context) bool {
	for {
		if _, acked := w.tracker.counts(); acked > 0 || w.attends {
			w.mu.Lock()
			w.cursor = max(w.cursor, w.jump)
			w.jump = 0
			w.mu.Unlock()
			return ctx.Err() == nil
		}
		wait := time.Duration(0) // none
		behind := w.tracker.behind(w.cursor)
		if behind || w.confirmed != w.needed() {
			wait = confirmAfter + dial.Jitter(w.seed, w.cursor, confirmAfter/4)
		}
		switch w.awaitOpened(ctx, wait) {
		case opened:
		case waited:
			w.confirm(ctx, behind)
		case over:
			return false
		}
	}
}

type restEnd int

const (
	opened restEnd = iota
	waited
	over
)

// awaitOpened waits for an acknowledged call, no longer than wait unless that is 0.
func (w *watcher) awaitOpened(ctx context.Context, wait time.Duration) restEnd {
	var timeout <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-w.tracker.opened:
		return opened
	case <-timeout:
		return waited
	case <-ctx.Done():
		return over
	}
}

// confirm tells the controller that the watcher has all that it was told. It is a courtesy, and not
// repeated: the controller does not wait for ever. A watcher that is behind takes in what there is.
func (w *watcher) confirm(ctx context.Context, behind bool) {
	ctx, cancel := context.WithTimeout(ctx, dial.DefaultAttemptTimeout)
	defer cancel()
	req := w.request(0)
	w.confirmed = w.stated
	if !behind {
		req.MaxResults = 1 // What others have ended is of no interest.
	}
	res, err := w.client.WatchJob(ctx, req)
	switch {
	case err != nil:
		w.jc.logger.DebugContext(ctx, "confirm results", "job_id", w.jc.jobID, "error", err)
	case behind:
		w.advance(res, 0)
	}
}

func (w *watcher) request(wait time.Duration) *frayv1.WatchJobRequest {
	req := &frayv1.WatchJobRequest{
		JobId: w.jc.jobID, WatcherId: w.id, Cursor: w.cursor, MaxWaitMs: number.Millis(wait), MaxResults: maxWatchPage,
	}
	if w.stated = w.needed(); w.stated != w.cursor {
		req.NeededCursor = &w.untold[0].from
	}
	return req
}

// needed returns the cursor from which on the controller is to keep what it has told.
func (w *watcher) needed() uint64 {
	for len(w.untold) > 0 && !w.needs(w.untold[0]) {
		w.untold = w.untold[1:]
	}
	if len(w.untold) > 0 {
		return w.untold[0].from
	}
	return w.cursor
}

func (w *watcher) poll(ctx context.Context) (*frayv1.WatchJobResponse, error) {
	var res *frayv1.WatchJobResponse
	wait := func(attempt int) time.Duration {
		w.doubt = w.doubt || attempt > 0
		if w.doubt {
			return 0
		}
		return watchWait
	}
	err := w.ask(ctx, "WatchJob", wait, watchMargin, func(ctx context.Context, wait time.Duration) (err error) {
		res, err = w.client.WatchJob(ctx, w.request(wait))
		return err
	})
	return res, err
}

// advance takes what a poll brought. acked is how many tasks the controller had acknowledged before
// the poll.
func (w *watcher) advance(res *frayv1.WatchJobResponse, acked int) {
	from := w.cursor
	w.confirmed, w.cursor = w.stated, res.GetNextCursor()
	w.settle(from, res.GetResults())
	if res.GetMissedCount() > 0 {
		w.lost()
		return
	}
	if len(res.GetResults()) > 0 {
		return
	}
	// The log has nothing more, so what was acknowledged before the poll must be open at the
	// controller, too.
	open, ackedNow := w.tracker.counts()
	missing := res.GetOpenCount() < uint64(max(min(acked, ackedNow)-w.fetcher.toCome(), 0))
	// Open tasks of others may make up for ours in number.
	masked := w.doubt && res.GetOpenCount() > uint64(open) //nolint:gosec // A count.
	w.doubt = false
	if missing || masked {
		w.fetcher.ask(w.tracker.acknowledged())
	}
}

// lost has all that may have ended in a part of the log that is lost to the watcher asked for.
func (w *watcher) lost() {
	w.mu.Lock()
	w.gaps++ // First: who is acknowledged from here on sees to itself.
	w.mu.Unlock()
	w.fetcher.ask(w.tracker.acknowledged())
}

// trouble deals with a poll that failed and that there was no use in repeating as it was.
func (w *watcher) trouble(ctx context.Context, err error) {
	w.doubt = true
	if reason, _ := wire.Info(err); reason == wire.ReasonCursorAhead && w.cursor > 0 {
		w.jc.logger.WarnContext(ctx, "controller has a shorter history than before", "job_id", w.jc.jobID, "cursor", w.cursor)
		w.cursor, w.confirmed, w.untold = 0, 0, nil
		w.mu.Lock()
		w.jump = 0
		w.mu.Unlock()
		w.lost()
		return
	}
	if isHopeless(err) {
		// Nothing that is open will ever be told of.
		for _, c := range w.tracker.lose(w.tracker.acknowledged(), w.tracker.acknowledgements()) {
			c.settle(Payload{}, fmt.Errorf("watch task %s (%s): %w", c.id, c.function.Name(), err))
		}
	} else {
		w.jc.logger.WarnContext(ctx, "watch job", "job_id", w.jc.jobID, "error", err)
	}
	_ = sleep.For(ctx, dial.Policy{Base: time.Second, Cap: watchWait, Rand: w.rand}.Delay(w.failures))
	w.failures++
}

// isHopeless says of the error of a call that there is no use in ever making it again.
func isHopeless(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeUnimplemented, connect.CodeInvalidArgument:
		return true
	default:
		return false
	}
}

// settle ends the calls that results tell of, and has values fetched that were left out. Other
// results of the job are none of ours, or known already.
func (w *watcher) settle(from uint64, results []*frayv1.TaskResult) {
	p := &page{from: from}
	settleAll(w.tracker, results, p)
	w.fetcher.fetch(omitted(results), p)
	if w.needs(p) {
		w.untold = append(w.untold, p)
	}
}

// needs says whether the controller is to keep the ends of a page.
func (w *watcher) needs(p *page) bool { return w.fetcher.left(p) > 0 || w.tracker.early(p) > 0 }
