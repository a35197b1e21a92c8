// Package wall has what backends share whose runs take the time of the clock.
package wall

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// look is how often RunUntil looks whether the run is over when nothing makes it look.
const look = 5 * time.Millisecond

// A Loop is the goroutine of RunUntil, and how others reach it.
type Loop struct {
	start  atomic.Pointer[time.Time] // nil: not yet
	wake   chan struct{}
	closed chan struct{}

	mu    sync.Mutex
	inbox []func()

	// Of the loop's goroutine.
	timers []timer // by time; of two at the same time the one that was set first comes first
	err    error
}

// NewLoop returns a loop whose clock does not go yet.
func NewLoop() *Loop { return &Loop{wake: make(chan struct{}, 1), closed: make(chan struct{})} }

// Begun says whether the clock goes.
func (l *Loop) Begun() bool { return l.start.Load() != nil }

// Close has those go on who wait for Do.
func (l *Loop) Close() { close(l.closed) }

// Begin sets the clock going.
func (l *Loop) Begin() {
	now := time.Now()
	l.start.Store(&now)
}

// Elapsed implements engine.Backend. It goes by the monotonic clock.
func (l *Loop) Elapsed() time.Duration {
	if start := l.start.Load(); start != nil {
		return time.Since(*start)
	}
	return 0
}

// At implements engine.Backend.
func (l *Loop) At(elapsed time.Duration, f func()) {
	at, _ := slices.BinarySearchFunc(l.timers, elapsed, func(t timer, elapsed time.Duration) int {
		return cmp.Or(cmp.Compare(t.at, elapsed), -1) // Behind those of the same time.
	})
	l.timers = slices.Insert(l.timers, at, timer{elapsed, f})
}

// After implements engine.Backend.
func (l *Loop) After(d time.Duration, f func()) { l.At(l.Elapsed()+d, f) }

// Post has f called by the loop, in the order of the calls of post. Anybody may call it.
func (l *Loop) Post(f func()) {
	l.mu.Lock()
	l.inbox = append(l.inbox, f)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // It has been woken.
	}
}

// Do has f called by the loop and waits for that, or for the end of the loop.
func (l *Loop) Do(f func()) {
	done := make(chan struct{})
	l.Post(func() {
		defer close(done)
		f()
	})
	select {
	case <-done:
	case <-l.closed:
	}
}

// FailIf ends the run with an error, if it is one and the first. The loop's goroutine calls it.
func (l *Loop) FailIf(err error) {
	l.err = cmp.Or(l.err, err)
}

// RunUntil implements engine.Backend.
func (l *Loop) RunUntil(done func() bool) error {
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
func (l *Loop) runPosted() bool {
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
func (l *Loop) runDue() bool {
	if len(l.timers) == 0 || l.timers[0].at > l.Elapsed() {
		return false
	}
	first := l.timers[0]
	l.timers = l.timers[1:]
	first.f()
	return true
}

// A timer calls a function at a time.
type timer struct {
	at time.Duration
	f  func()
}
