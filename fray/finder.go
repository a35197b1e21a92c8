package fray

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/frayrpc/fray/internal/sleep"
)

// Bounds of the finder.
const (
	// turnWait is how long it waits for the end of some of its tasks if there are more than one call asks
	// for.
	turnWait = time.Second
	// regather is how long for each open task at least its polls go on before they give way to one that
	// asks for more: so the ids of all are not sent too often.
	regather = 10 * time.Microsecond
)

// finder finds out how tasks end that were submitted elsewhere, and whose futures came along in inputs and
// results: of those the watcher is not told. It asks for what is new to it, and then waits for the ends of
// all that are still open, by one long poll.
type finder struct {
	link

	mu      sync.Mutex
	closed  bool
	fetcher *fetcher // with a tracker of its own; nil: nothing was ever asked for
	fresh   []string // not asked for yet
	running bool
	// giveWay ends the poll that is under way; nil: none is.
	giveWay context.CancelFunc
	turn    int
}

// find takes a call on, and ends it as its task ends. It does not wait.
func (f *finder) find(c *call) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		c.settle(Payload{}, c.closed())
		return
	}
	defer f.mu.Unlock()
	if f.fetcher == nil {
		f.fetcher = newFetcher(f.link, newTracker())
		f.fetcher.again = f.ask
	}
	f.fetcher.tracker.add([]*call{c})
	f.fetcher.tracker.ack(c)
	f.askLocked(c.id)
}

// ask has it found out again how tasks stand, of those whose calls it has.
func (f *finder) ask(ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fetcher != nil && !f.closed {
		f.askLocked(ids...)
	}
}

// askLocked is ask, with f.mu held.
func (f *finder) askLocked(ids ...string) {
	f.fresh = append(f.fresh, ids...)
	if f.giveWay != nil {
		f.giveWay()
	}
	if !f.running {
		f.running = true
		f.fetcher.mu.Lock()
		f.fetcher.soon(f.run)
		f.fetcher.mu.Unlock()
	}
}

// close refuses further calls, and returns those that are open.
func (f *finder) close() []*call {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.fetcher == nil {
		return nil
	}
	return f.fetcher.tracker.close()
}

// run asks and waits until nothing is open.
func (f *finder) run(ctx context.Context) {
	for {
		fresh := f.takeFresh()
		for ids := range slices.Chunk(fresh, maxAsked) {
			f.fetcher.find(ctx, ids, 0)
		}
		if len(fresh) > 0 {
			continue
		}
		poll, ids, ok := f.begin(ctx)
		if !ok {
			return
		}
		f.await(ctx, poll, ids)
	}
}

// takeFresh returns what is to be asked for, in order, so that it does not show who asked first at one
// instant.
func (f *finder) takeFresh() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := f.fresh
	f.fresh = nil
	slices.Sort(fresh)
	return slices.Compact(fresh)
}

// begin returns the open tasks, and the context of a poll for them. It reports false if there are none, or ctx
// is done.
func (f *finder) begin(ctx context.Context) (poll context.Context, ids []string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ids = f.fetcher.awaited(); ctx.Err() != nil || (len(ids) == 0 && len(f.fresh) == 0) {
		f.running = false
		return nil, nil, false
	}
	poll, f.giveWay = context.WithCancel(ctx)
	if len(f.fresh) > 0 {
		f.giveWay()
	}
	return poll, ids, true
}

// await waits until one of these tasks ends, or the poll has to give way.
func (f *finder) await(ctx, poll context.Context, ids []string) {
	start, open, wait := time.Now(), len(ids), watchWait
	if open > maxAsked {
		at := f.turn % open
		ids, wait = ids[at:min(at+maxAsked, open)], turnWait
		f.turn = at + len(ids)
	}
	asked := len(ids)
	f.fetcher.find(poll, ids, wait)
	gaveWay := poll.Err() != nil
	f.mu.Lock()
	f.giveWay()
	f.giveWay = nil
	f.mu.Unlock()
	took := time.Since(start)
	switch pause := time.Duration(open) * regather; {
	case gaveWay && took < pause:
		_ = sleep.For(ctx, pause-took)
	case !gaveWay && took < hastyPoll && len(f.fetcher.tracker.stillAcknowledged(ids)) == asked:
		_ = sleep.For(ctx, hastyPoll+f.fetcher.rand.Duration(hastyPoll)) // No controller answers with nothing so soon.
	}
}

// awaited returns the ids of the open tasks, in order, but for those whose values are being fetched.
func (f *fetcher) awaited() []string {
	ids := f.tracker.acknowledged()
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(ids, func(id string) bool { return f.fetched[id] })
}
