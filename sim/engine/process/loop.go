package process

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"
)

// look is how often RunUntil looks whether the run is over when nothing makes it look.
const look = 5 * time.Millisecond

// A loop is the goroutine of RunUntil, and how others reach it.
type loop struct {
	start  atomic.Pointer[time.Time] // nil: not yet
	wake   chan struct{}
	closed chan struct{}

	mu    sync.Mutex
	inbox []func()

	// Of the loop's goroutine.
	timers timers
	seq    uint64
	err    error
}

func newLoop() *loop { return &loop{wake: make(chan struct{}, 1), closed: make(chan struct{})} }

// begin sets the clock going.
func (l *loop) begin() {
	now := time.Now()
	l.start.Store(&now)
}

// Elapsed implements engine.Backend. It goes by the monotonic clock.
func (l *loop) Elapsed() time.Duration {
	if start := l.start.Load(); start != nil {
		return time.Since(*start)
	}
	return 0
}

// At implements engine.Backend.
func (l *loop) At(elapsed time.Duration, f func()) {
	l.seq++
	heap.Push(&l.timers, timer{elapsed, l.seq, f})
}

// After implements engine.Backend.
func (l *loop) After(d time.Duration, f func()) { l.At(l.Elapsed()+d, f) }

// post has f called by the loop, in the order of the calls of post. Anybody may call it.
func (l *loop) post(f func()) {
	l.mu.Lock()
	l.inbox = append(l.inbox, f)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // It has been woken.
	}
}

// do has f called by the loop and waits for that, or for the end of the loop.
func (l *loop) do(f func()) {
	done := make(chan struct{})
	l.post(func() {
		defer close(done)
		f()
	})
	select {
	case <-done:
	case <-l.closed:
	}
}

// failIf ends the run with an error, if it is one and the first. The loop's goroutine calls it.
func (l *loop) failIf(err error) {
	if l.err == nil {
		l.err = err
	}
}

// RunUntil implements engine.Backend.
func (l *loop) RunUntil(done func() bool) error {
	idle := time.NewTimer(look)
	defer idle.Stop()
	for {
		for ran := true; ran; {
			ran = l.runPosted() || l.runDue()
			if l.err != nil {
				return l.err
			}
			if done() {
				return nil
			}
		}
		wait := look
		if len(l.timers) > 0 {
			wait = min(wait, l.timers[0].at-l.Elapsed())
		}
		idle.Reset(max(wait, 0))
		select {
		case <-l.wake:
		case <-idle.C:
		}
	}
}

// runPosted calls what was posted, and says whether anything was.
func (l *loop) runPosted() bool {
	l.mu.Lock()
	posted := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, f := range posted {
		f()
	}
	return len(posted) > 0
}

// runDue calls the function of the first timer that is due, and says whether there is one.
func (l *loop) runDue() bool {
	if len(l.timers) == 0 || l.timers[0].at > l.Elapsed() {
		return false
	}
	heap.Pop(&l.timers).(timer).f() //nolint:errcheck // It has nothing else.
	return true
}

// A timer calls a function at a time; of two at the same time the one that was set first comes
// first.
type timer struct {
	at  time.Duration
	seq uint64
	f   func()
}

// timers is a heap of them.
type timers []timer

func (t *timers) Len() int { return len(*t) }
func (t *timers) Less(i, j int) bool {
	a, b := (*t)[i], (*t)[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}
func (t *timers) Swap(i, j int) { (*t)[i], (*t)[j] = (*t)[j], (*t)[i] }
func (t *timers) Push(x any)    { *t = append(*t, x.(timer)) } //nolint:errcheck // Nothing else is pushed.
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}
