package controller

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/share"
	"github.com/frayrpc/fray/fray/internal/wire"
)

// inbox is where handlers leave events for the loop.
type inbox struct {
	// Has one element when there may be something to take.
	wake  chan struct{}
	limit int64
	now   func() core.Time
	// Calls that have no answer yet; and those of each caller, by name. Of these there are no more than
	// a policy has.
	calls   calls
	callers sync.Map // of *calls

	mu     sync.Mutex
	isOpen bool
	items  []*item
	// Those that came before items. The first taken of them are gone, and the first sifted are
	// known to need a step.
	older         []*item
	taken, sifted int
	reads         []read
}

// read is a call whose caller has read what it was told of.
type read struct {
	call core.CallID
	at   core.Time
}

// waiting is what a call waits for. Each kind has its own room, so that calls which stay for as long
// as nothing happens keep out none of those that make it happen.
type waiting int

const (
	forCommit waiting = iota // it is answered as soon as what it leads to is kept
	forWork                  // a worker's poll or heartbeat
	forEnds                  // a client's, for ends of tasks
	kindsOfWaiting
)

// calls counts them by what they wait for.
type calls [kindsOfWaiting]atomic.Int64

func waitingOf(e core.Event) waiting {
	switch e := e.(type) {
	case *core.Poll, *core.Heartbeat:
		return forWork
	case *core.Await, *core.AwaitAny, *core.Watch:
		return forEnds
	case *core.Submit:
		if e.Until > 0 {
			return forEnds
		}
	}
	return forCommit
}

func (w waiting) String() string {
	return [...]string{"for what is to be kept", "of workers for something to do", "for ends of tasks"}[w]
}

// item is an event, and where its reply goes.
type item struct {
	call  core.CallID
	reply chan core.Reply
	event core.Event
	waits waiting
	of    *calls      // its caller's
	bytes int         // of what the event has to store
	at    core.Time   // when it came
	taken atomic.Bool // The goroutine that sets it has the event.
}

// take returns the event, or nil if it was withdrawn.
func (i *item) take() core.Event {
	if i.taken.Swap(true) {
		return nil
	}
	return i.event
}

// giveBack undoes take.
func (i *item) giveBack() { i.taken.Store(false) }

// withdraw drops an event that was not taken, with what it has to store, so that calls which are
// repeated while the store takes nothing do not pile up.
func (i *item) withdraw() bool {
	if i.taken.Swap(true) {
		return false
	}
	i.event = nil
	return true
}

// sizeOf returns how many bytes an event has to store.
func sizeOf(event core.Event) int {
	n := 0
	switch e := event.(type) {
	case *core.Submit:
		for i := range e.Tasks {
			n += len(e.Tasks[i].Spec)
		}
		if e.Options != nil {
			for _, v := range e.Options.Environment {
				n += len(v.Name) + len(v.Value)
			}
		}
	case *core.Report:
		n += resultBytes(e.Items)
	case *core.Poll:
		n += resultBytes(e.Items)
	case *core.PutPiece:
		n += len(e.Data)
	}
	return n
}

func resultBytes(items []core.ReportItem) int {
	n := 0
	for i := range items {
		n += len(items[i].Result)
	}
	return n
}

func (b *inbox) init(limit int, now func() core.Time) {
	b.wake = make(chan struct{}, 1)
	b.limit, b.now = int64(limit), now
}

func (b *inbox) open() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.isOpen = true
}

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.isOpen = false
	b.items, b.older, b.taken, b.sifted, b.reads = nil, nil, 0, 0, nil
}

// callsOf returns the count of a caller's calls.
func (b *inbox) callsOf(caller string) *calls {
	if of, ok := b.callers.Load(caller); ok {
		return of.(*calls) //nolint:errcheck // Only these are stored.
	}
	of, _ := b.callers.LoadOrStore(caller, new(calls))
	return of.(*calls) //nolint:errcheck // Only these are stored.
}

// put leaves a call. Each one put must be answered.
func (b *inbox) put(i *item) error {
	own, all := i.of[i.waits].Add(1), b.calls[i.waits].Add(1)
	if !share.Fits(b.limit, all-1, own-1, 1) {
		b.answered(i)
		return wire.Error(wire.ReasonTooMany, 0, "controller has %d calls already that wait %v, %d of them of this caller: try again later", all-1, i.waits, own-1)
	}
	if !b.add(i) {
		b.answered(i)
		return errStopping()
	}
	return nil
}

func (b *inbox) answered(i *item) {
	i.of[i.waits].Add(-1)
	b.calls[i.waits].Add(-1)
}

// forsake says that nobody waits for a call's reply any longer.
func (b *inbox) forsake(call core.CallID) { b.add(&item{event: &core.Forsake{Call: call}}) }

// read says that what a call told of is read. There is no hurry: the loop takes it up with what comes next, or a moment
// later. How soon after its reply a handler comes here is up to chance, which does not choose what the loop does at an
// instant: it looks at what came before that.
func (b *inbox) read(call core.CallID) {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isOpen {
		return
	}
	b.reads = append(b.reads, read{call, now})
	if len(b.reads) == 1 {
		time.AfterFunc(leastSleep, b.poke)
	}
}

// takeReads appends the calls to events that were read before now, in the order in which they were made.
func (b *inbox) takeReads(events []core.Event, now core.Time) []core.Event {
	b.mu.Lock()
	n := 0
	for n < len(b.reads) && b.reads[n].at < now {
		n++
	}
	reads := slices.Clone(b.reads[:n])
	if b.reads = slices.Delete(b.reads, 0, n); n > 0 && len(b.reads) > 0 {
		time.AfterFunc(leastSleep, b.poke)
	}
	b.mu.Unlock()
	slices.SortFunc(reads, func(r, o read) int { return cmp.Compare(r.call, o.call) })
	for _, r := range reads {
		events = append(events, &core.Forsake{Call: r.call})
	}
	return events
}

func (b *inbox) add(i *item) bool {
	i.at = b.now()
	b.mu.Lock()
	if !b.isOpen {
		b.mu.Unlock()
		return false
	}
	b.items = append(b.items, i)
	b.mu.Unlock()
	b.poke()
	return true
}

// poke wakes the loop.
func (b *inbox) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take appends items to dst, in the order in which they came, until there are limit of them or
// their bytes are full, and says when the next one came; core.Never where there are no more. What
// it costs does not depend on how many wait.
func (b *inbox) take(dst []*item, limit, full int) ([]*item, core.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for bytes := 0; limit > 0 && bytes < full; limit-- {
		if b.taken == len(b.older) {
			b.older, b.items, b.taken, b.sifted = b.items, emptied(b.older), 0, 0
			if len(b.older) == 0 {
				break
			}
		}
		i := b.older[b.taken]
		b.older[b.taken] = nil
		b.taken++
		bytes += i.bytes
		dst = append(dst, i)
	}
	switch {
	case b.taken < len(b.older):
		return dst, b.older[b.taken].at
	case len(b.items) > 0:
		return dst, b.items[0].at
	default:
		return dst, core.Never
	}
}

// waiting says whether there are items that need a step.
func (b *inbox) waiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken < len(b.older)
}

// sift has f do what it can of the items that it has not seen yet, and says whether more have come
// meanwhile. What f did not do is kept. Only who takes may sift.
func (b *inbox) sift(f func(i *item) bool) bool {
	b.mu.Lock()
	seen := max(b.taken, b.sifted)
	fresh := append(slices.Clone(b.older[seen:]), b.items...)
	b.older, b.items = b.older[:seen], emptied(b.items)
	b.mu.Unlock()
	kept := fresh[:0]
	for _, i := range fresh {
		if !f(i) {
			kept = append(kept, i)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isOpen {
		return false
	}
	b.older = append(b.older, kept...)
	b.sifted = len(b.older)
	return len(b.items) > 0
}
