package core

import "time"

// Time is an instant in nanoseconds since the Unix epoch. Zero means never or not yet.
// The core is told the time; it never asks for it.
type Time int64

// Never is an instant after all others.
const Never Time = 1<<63 - 1

// Add returns t+d, or Never where that would overflow.
func (t Time) Add(d time.Duration) Time {
	if d > 0 && t > Never-Time(d) {
		return Never
	}
	return t + Time(d)
}

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// UnixMilli returns t in whole milliseconds.
func (t Time) UnixMilli() int64 { return int64(t) / int64(time.Millisecond) }
