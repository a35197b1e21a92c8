package worker_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// A task was popped for a poll whose reply nobody got.
func TestLostLeaseReplyIsAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		c.fault = failing("LeaseTasks", 1, fault{loseReply: true})
		lease := c.add("echo", `""`)
		w := start(t, c)
		pass(time.Minute)
		c.expect(t, lease, "SUCCEEDED")
		if c.seen().polls[0].GetPollSeq() != 1 || c.seen().polls[1].GetPollSeq() != 1 || c.seen().polls[2].GetPollSeq() != 2 {
			t.Errorf("polls %v, want the first one twice", c.seen().polls[:3])
		}
		if c.seen().polls[1].GetReceivedPollSeq() != 0 || c.seen().polls[2].GetReceivedPollSeq() != 1 {
			t.Errorf("polls %v claim answers that did not come", c.seen().polls[:3])
		}
		w.stop(t)
	})
}

// The server's wait equalled the client's timeout.
func TestPollWaitsShorterThanItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		pass(5 * time.Minute)
		for i, p := range c.seen().polls {
			if p.GetPollSeq() != uint64(i+1) {
				t.Fatalf("poll %d has number %d: one before was not answered in time", i+1, p.GetPollSeq())
			}
		}
		if n := len(c.seen().polls); n < 15 || n > 20 {
			t.Errorf("%d empty polls in five minutes", n)
		}
		w.stop(t)
	})
}

func TestShortTasksAreFetchedAheadAndReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		for range 1000 {
			c.add("echo", `""`)
		}
		w := start(t, c, slots(2))
		pass(time.Second)
		if n := len(c.seen().reports); n != 1000 {
			t.Errorf("%d of 1000 ended", n)
		}
		if n := len(c.seen().polls); n > 10 {
			t.Errorf("%d polls for 1000 short tasks", n)
		}
		w.stop(t)
	})
}

func TestFetchedTooEarlyIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c, slots(1))
		c.add("nap", `0.001`) // Now tasks are taken to be short.
		pass(time.Second)
		long := c.add("nap", `10`)
		waits := c.add("nap", `10`)
		pass(500 * time.Millisecond)
		c.expect(t, waits, "NONE")
		pass(600 * time.Millisecond)
		if r := c.expect(t, waits, "RETURNED"); r.GetRunDurationUs() != 0 {
			t.Errorf("given back as having run for %dus", r.GetRunDurationUs())
		}
		pass(10 * time.Second)
		c.expect(t, long, "SUCCEEDED")
		w.stop(t)
	})
}
