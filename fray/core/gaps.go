package core

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

const (
	// maxGaps bounds how many spans are told apart; beyond, the two oldest become one.
	maxGaps = 64
	// maxGap bounds a span, and what all come to, so that sums of times stay times.
	maxGap = 100 * 365 * 24 * time.Hour
)

// Gap is a span in which the scheduler could not listen: its process was stopped, its disk was
// full, or it did not run at all. What passed in it counts for nobody: neither against a scheduling
// timeout nor as retention.
type Gap struct {
	// When it was over.
	At Time
	// How long it was.
	Lasted time.Duration
}

// gaps are in the order of their ends.
type gaps []Gap

// with returns g and another, of which it takes the memory.
func (g gaps) with(at Time, lasted time.Duration) gaps {
	if lasted <= 0 {
		return g
	}
	g = append(g, Gap{at, min(lasted, maxGap)})
	if len(g) > maxGaps {
		g[1].Lasted = min(g[1].Lasted+g[0].Lasted, maxGap) // For what began between the two, that is too much rather than too little.
		g = slices.Delete(g, 0, 1)
	}
	return g
}

// since returns how much of the time after t nobody could be heard.
func (g gaps) since(t Time) time.Duration {
	var sum time.Duration
	for i := len(g) - 1; i >= 0 && g[i].At > t; i-- {
		sum = min(sum+g[i].Lasted, maxGap)
	}
	return sum
}

// Gaps returns the spans in which neither this scheduler nor, as far as it was told, the ones
// before could listen. An owner that restores from records keeps them, and gives them to
// [Scheduler.RestoreGaps].
func (c *Scheduler) Gaps() []Gap { return slices.Clone(c.gaps) }

// RestoreGaps takes in what an earlier scheduler's Gaps returned, before Restore.
func (c *Scheduler) RestoreGaps(known []Gap) {
	known = slices.Clone(known)
	slices.SortStableFunc(known, func(a, b Gap) int { return cmp.Compare(a.At, b.At) })
	for _, g := range known {
		c.gaps = c.gaps.with(g.At, g.Lasted)
	}
}

// resume goes on from the newest instant of which records tell. What the clock shows since is a
// gap: the controller was away, or the clock was set ahead, and nobody can tell which. Where it was
// set back, time does not fall.
func (c *Scheduler) resume(newest Time) {
	for i := range c.gaps {
		newest = max(newest, c.gaps[i].At)
	}
	if newest > 0 && newest < c.now {
		c.gaps = c.gaps.with(c.now, c.now.Sub(newest))
	}
	c.now = max(c.now, min(newest, c.now.Add(maxGap)))
	for i := range c.gaps {
		c.gaps[i].At = min(c.gaps[i].At, c.now)
	}
}

// Now returns the time as of the last Step or Restore. Steps are to go on from there.
func (c *Scheduler) Now() Time { return c.now }

// stalled says whether a Step at now comes so late that nobody can have been heard for a while.
// That may have been so since the last one.
func (c *Scheduler) stalled(now Time) bool {
	next := c.Next()
	return now > next && now.Sub(next) > c.cfg.StallTolerance
}

// forgive puts off, after time in which nobody could be heard, all that others would have been
// heard about. Sessions and deliveries get their time anew, and so do workers that have yet to
// register; an attempt's end gets a grace to be told; and a task that nobody could be given waits
// for as much longer.
func (c *Scheduler) forgive(now Time) {
	lost := now.Sub(c.now)
	c.quietUntil = now.Add(c.cfg.WatchGrace)
	c.gaps = c.gaps.with(now, lost)
	for _, t := range c.timers.heap {
		switch t.kind {
		case timerSession:
			t.at = now.Add(c.cfg.SessionTTL)
		case timerFollower, timerAwaited:
			t.at = max(t.at, now.Add(c.cfg.WatchGrace))
		case timerDelivery:
			t.at = now.Add(t.session.deliveryTime)
		case timerLease:
			grace := c.cfg.TimeoutGrace
			if t.lease.task.cancelRequested() {
				grace = c.cfg.CancelGrace
			}
			t.at = max(t.at, now.Add(grace))
		case timerTask:
			switch p := t.task.pending; {
			case p == Recovering:
				t.at = now.Add(c.cfg.SessionTTL)
			case p.timed():
				t.at = t.at.Add(lost)
			}
		}
	}
	c.timers.order()
	sessions := slices.SortedFunc(maps.Values(c.sessions), func(a, b *session) int { return cmp.Compare(a.token, b.token) })
	for _, s := range sessions {
		s.putOff(lost) // Its machine may have stood still, too.
		if c.hear(s, c.now); s.heard < now {
			s.heard = now
		}
	}
}
