// Package clock is how a controller and a worker know the time. There are two clocks, and either
// may jump.
//
// The wall clock tells the time of day. It is set: by an operator, by NTP, by a machine that wakes
// with another idea of it, ahead or back and by any amount. The monotonic clock tells how much time
// has passed. It never falls, but it may jump ahead, when the process was stopped, and it may stand
// still while the machine sleeps.
//
// So what waits goes by the monotonic clock alone. The wall clock is asked where a span begins, for
// times that are shown or that outlive the process:
//
//	line := clock.Clock{}.Line()  // begins at the wall's time, and is not moved when that is set
//	deadline := line.Now() + int64(time.Minute)
package clock

import (
	"sync/atomic"
	"time"
)

// Clock is the two clocks of a machine. Its zero value is the system's. Its functions may be called
// by several goroutines.
type Clock struct {
	// Wall returns the time of day. Nil: time.Now.
	Wall func() time.Time
	// Monotonic returns the time since an instant that is always the same one. It may block, while
	// its machine stands still, so it is not called with a lock held. Nil: the time since the Line
	// was begun, by the clock of package time.
	Monotonic func() time.Duration
}

// Now returns the time of day, without what package time remembers of the monotonic clock.
func (c Clock) Now() time.Time {
	if c.Wall == nil {
		return time.Now().Round(0)
	}
	return c.Wall().Round(0)
}

// Line begins a line at the present time of day.
func (c Clock) Line() *Line {
	l := &Line{monotonic: c.Monotonic, start: c.Now()}
	if l.monotonic == nil {
		begun := time.Now()
		l.monotonic = func() time.Duration { return time.Since(begun) }
	}
	l.zero = l.monotonic()
	return l
}

// Line is a line of time that begins at the wall's and goes on by the monotonic clock. Safe for
// concurrent use.
type Line struct {
	monotonic func() time.Duration
	start     time.Time
	zero      time.Duration
	ahead     atomic.Int64 // nanoseconds, by Advance
}

// Start returns the time of day at which the line began.
func (l *Line) Start() time.Time { return l.start }

// Now returns the present time, in nanoseconds since the Unix epoch. It never falls, and blocks
// only where the clock does.
func (l *Line) Now() int64 { return l.start.UnixNano() + l.ahead.Load() + int64(l.monotonic()-l.zero) }

// Advance moves the line on to an instant, unless it is there already: where a line of before had
// got to, when the wall clock was set back since.
func (l *Line) Advance(to int64) {
	if missing := to - l.Now(); missing > 0 {
		l.ahead.Add(missing)
	}
}
