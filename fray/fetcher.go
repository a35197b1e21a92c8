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
	"github.com/frayrpc/fray/internal/sleep"
)

// Bounds of the fetcher.
const (
	// maxAsked is how many tasks one call asks for.
	maxAsked = 10_000
	// maxFetches is how many values that are too large for a list are fetched at a time.
	maxFetches = 4
	// firstAnswer is how long the first attempt of a call that need not wait may take: so soon is a
	// lost answer asked for again.
	firstAnswer = 2 * time.Second
	// longestAnswer is the longest that a later one may take, for the sake of slow links.
	longestAnswer = 20 * time.Second
	// askLinger is the longest that a question waits for others.
	askLinger = time.Millisecond
	// maxListBytes is about how much one answer with several results has of them.
	maxListBytes = 4 << 20
)

// patience is how long an attempt of a call may take, by its number from 0: twice as long as the
// one before. A lost answer is soon repeated by that, and one that needs its time on a slow link
// gets it in the end.
func patience(first time.Duration, attempt int) time.Duration {
	for range attempt {
		if first >= longestAnswer/2 {
			return max(first, longestAnswer)
		}
		first *= 2
	}
	return first
}

// fetcher asks for tasks by their ids, where the watcher was not told of their ends: many in one
// call, and beside the watcher, which never waits for it. It ends those that have ended, and those
// that the controller does not know.
type fetcher struct {
	link
	tracker *tracker
	rand    *dial.Rand
	// again is set where nothing else tells of the tracker's calls: it has it found out once more how tasks
	// stand.
	again func(ids []string)

	mu     sync.Mutex
	asked  []string // to be asked for, in order
	queued map[string]bool
	asking bool // a goroutine is at it
	large  []*largeValue
	// fetched are the tasks of the large values that are to come: those in large, and those that a
	// goroutine is at.
	fetched map[string]bool
	busy    int // goroutines that fetch large values
}

// largeValue is a value to be fetched by itself.
type largeValue struct {
	id    string
	bytes uint64 // 0: not known
	page  *page
}

func newFetcher(l link, t *tracker) *fetcher {
	return &fetcher{link: l, tracker: t, rand: l.fork(), queued: make(map[string]bool), fetched: make(map[string]bool)}
}

// ask has it found out how these tasks stand. Those that are still open stay so.
func (f *fetcher) ask(ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if !f.queued[id] {
			f.queued[id] = true
			f.asked = append(f.asked, id)
		}
	}
	if len(f.asked) > 0 && !f.asking {
		f.asking = true
		f.soon(f.run)
	}
}

// soon spawns a goroutine that begins within a moment, in which more may come to ask for, and no
// two fall upon one instant. The caller holds f.mu.
func (f *fetcher) soon(run func(context.Context)) {
	delay := 1 + f.rand.Duration(askLinger)
	f.spawn(func(ctx context.Context) {
		_ = sleep.For(ctx, delay)
		run(ctx)
	})
}

// run asks until there is nothing more to ask for.
func (f *fetcher) run(ctx context.Context) {
	for {
		f.mu.Lock()
		slices.Sort(f.asked) // So that it does not show who asked first at one instant.
		n := min(len(f.asked), maxAsked)
		ids := f.asked[:n:n]
		f.asked = f.asked[n:]
		for _, id := range ids {
			delete(f.queued, id)
		}
		if n == 0 || ctx.Err() != nil {
			f.asked, f.asking = nil, false
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		f.find(ctx, ids, 0)
	}
}

// find asks for tasks until the controller has nothing more to say of them. If none has ended, it waits so
// long for the first that does.
func (f *fetcher) find(ctx context.Context, ids []string, wait time.Duration) {
	for {
		if ids = f.tracker.stillAcknowledged(ids); len(ids) == 0 {
			return
		}
		var (
			res  *frayv1.GetTaskResultsResponse
			upTo = f.tracker.acknowledgements() // One that is acknowledged later may be another task of its id.
		)
		waits := func(attempt int) time.Duration {
			if attempt > 0 {
				return 0 // An answer may have been lost.
			}
			return wait
		}
		err := f.link.ask(ctx, "GetTaskResults", waits, firstAnswer, func(ctx context.Context, wait time.Duration) (err error) {
			res, err = f.client.GetTaskResults(ctx, &frayv1.GetTaskResultsRequest{TaskIds: ids, MaxWaitMs: number.Millis(wait)})
			return err
		})
		switch {
		case ctx.Err() != nil:
			return
		case f.again != nil && isHopeless(err):
			for _, c := range f.tracker.lose(ids, upTo) {
				c.settle(Payload{}, fmt.Errorf("ask for task %s (%s): %w", c.id, c.function.Name(), err))
			}
			return
		case connect.CodeOf(err) == connect.CodeUnimplemented: // The controller is of an earlier release.
			values := make([]*largeValue, len(ids))
			for i, id := range ids {
				values[i] = &largeValue{id: id}
			}
			f.fetch(values, nil)
			return
		case err != nil:
			f.jc.logger.WarnContext(ctx, "get task results", "job_id", f.jc.jobID, "error", err)
			_ = sleep.For(ctx, dial.DefaultBase+f.rand.Duration(dial.DefaultCap))
			continue
		}
		f.lose(res.GetUnknownTaskIds(), upTo)
		f.lose(res.GetRefusedTaskIds(), upTo) // Another's have these ids by now.
		settleAll(f.tracker, res.GetResults(), nil)
		f.fetch(omitted(res.GetResults()), nil)
		ids, wait = rest(ids, res.GetResults()), 0
	}
}

// rest returns the ids after the last one that there was a result of: a response has room for so
// much, and goes by their order.
func rest(ids []string, results []*frayv1.TaskResult) []string {
	if len(results) == 0 {
		return nil
	}
	last := results[len(results)-1].GetTask().GetTaskId()
	for i, id := range ids {
		if id == last {
			return ids[i+1:]
		}
	}
	return nil // It is none that was asked for.
}

// lose ends calls that the controller does not know, of those that were acknowledged up to a place.
func (f *fetcher) lose(ids []string, upTo uint64) {
	for _, c := range f.tracker.lose(ids, upTo) {
		c.settle(Payload{}, newTaskError(c, ReasonTaskLost, TaskInfo{}, nil))
	}
}

// fetch has values fetched one by one, a few at a time, and counts in the page, which may be nil,
// how many are still to come.
func (f *fetcher) fetch(values []*largeValue, p *page) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range values {
		if f.fetched[v.id] || !f.tracker.open(v.id) {
			continue // Others of the job's results are none of ours.
		}
		f.fetched[v.id] = true
		if v.page = p; p != nil {
			p.left++
		}
		f.large = append(f.large, v)
	}
	for f.busy < min(len(f.large), maxFetches) {
		f.busy++
		f.soon(f.runLarge)
	}
}

// left returns how many values of a page are still to come.
func (f *fetcher) left(p *page) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return p.left
}

// toCome returns how many large values are to come.
func (f *fetcher) toCome() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.fetched)
}

func (f *fetcher) runLarge(ctx context.Context) {
	for {
		f.mu.Lock()
		if len(f.large) == 0 || ctx.Err() != nil {
			f.busy--
			f.mu.Unlock()
			return
		}
		v := f.large[0]
		f.large = f.large[1:]
		f.mu.Unlock()
		f.get(ctx, v)
		f.mu.Lock()
		delete(f.fetched, v.id)
		if v.page != nil {
			if v.page.left--; v.page.left == 0 {
				signal(f.tracker.opened) // It can be confirmed, also by a watcher at rest.
			}
		}
		f.mu.Unlock()
		if f.again != nil && f.tracker.open(v.id) { // It has begun anew, at a controller that has lost its end.
			f.again([]string{v.id})
		}
	}
}

// get asks for one task until it is known how it stands.
func (f *fetcher) get(ctx context.Context, v *largeValue) {
	for f.tracker.open(v.id) {
		var (
			res  *frayv1.GetTaskResultResponse
			upTo = f.tracker.acknowledgements()
		)
		// As long as a value of this size takes on a slow link; if its size is not known, an
		// attempt shows whether it was enough.
		first := dial.Allow(dial.DefaultAttemptTimeout, int(min(v.bytes, maxPayloadBytes))) // within: maxPayloadBytes
		err := f.link.ask(ctx, "GetTaskResult", noWait, first, func(ctx context.Context, _ time.Duration) (err error) {
			res, err = f.client.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: v.id})
			return err
		})
		reason, _ := wire.Info(err)
		switch {
		case ctx.Err() != nil:
			return
		case reason == wire.ReasonUnknownTask:
			f.lose([]string{v.id}, upTo)
		case err != nil:
			f.jc.logger.WarnContext(ctx, "get task result", "task_id", v.id, "error", err)
			_ = sleep.For(ctx, dial.DefaultBase+f.rand.Duration(dial.DefaultCap))
			continue
		default:
			settleAll(f.tracker, []*frayv1.TaskResult{res.GetResult()}, v.page)
		}
		return
	}
}
