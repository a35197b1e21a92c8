package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// limitedCrowd has a worker run the only task that a limit allows, and n more wait for it, which need other, too.
func limitedCrowd(t *testing.T, n int) (c *crowd, s core.Token, held core.Grant, limit core.Limit) {
	t.Helper()
	c = newCrowd(t, core.Config{})
	limit = core.Limit{Name: "l", Concurrent: 1}
	s = c.register(&core.Register{WorkerID: "w", Slots: 2 * n, Functions: []string{"f"}})
	shape := &core.Shape{Function: "f"}
	c.offer(core.NewTask{ID: "first", Shape: shape, Limits: []core.Limit{limit}})
	g := c.poll(s, 1, 1)
	if len(g) != 1 {
		t.Fatalf("%d are granted", len(g))
	}
	waiting := make([]core.NewTask, n)
	for i := range waiting {
		waiting[i] = core.NewTask{ID: fmt.Sprint("t", i), Shape: shape, Limits: []core.Limit{limit}}
	}
	c.offer(waiting...)
	if c.looks > 4 {
		t.Errorf("to have %d wait looks at %d things", n, c.looks)
	}
	return c, s, g[0], limit
}

// TestALimitIsRelievedInPortions: those who wait go on some in each step, and others are served meanwhile.
func TestALimitIsRelievedInPortions(t *testing.T) {
	t.Parallel()
	const n, portion = 10_000, 1024
	c, s, _, limit := limitedCrowd(t, n)
	limit.Concurrent = 2 * n
	c.offer(
		core.NewTask{ID: "wider", Shape: &core.Shape{Function: "f"}, Limits: []core.Limit{limit}},
		core.NewTask{ID: "plain", Shape: &core.Shape{Function: "g"}},
	)
	steps := 1
	for ; c.s.Next() <= c.now; steps++ {
		if steps > 100 {
			t.Fatal("the scheduler wants to be woken for ever")
		}
		if c.step(); c.looks > 4*portion {
			t.Errorf("step %d looks at %d things", steps, c.looks)
		}
	}
	if steps < n/portion {
		t.Errorf("%d go on in %d steps", n, steps)
	}
	if got := len(c.poll(s, 2*n, 2*n)); got != n+1 {
		t.Errorf("%d are granted, want %d", got, n+1)
	}
	c.check()
}

// TestThoseWhoWaitAreCancelledInAnyOrder: to take one out of the line of a limit costs no more than finding it.
func TestThoseWhoWaitAreCancelledInAnyOrder(t *testing.T) {
	t.Parallel()
	const n = 10_000
	for _, backwards := range []bool{false, true} {
		c, s, held, _ := limitedCrowd(t, n)
		ids := make([]string, n-1)
		for i := range ids {
			ids[i] = fmt.Sprint("t", i)
		}
		if backwards {
			slices.Reverse(ids)
		}
		began := time.Now()
		c.step(&core.Cancel{Call: c.id(), IDs: ids})
		if took := time.Since(began); took > enough {
			t.Errorf("%d that wait are cancelled in %v", len(ids), took)
		}
		if ends := c.ends(); ends != len(ids) || c.looks > 4 {
			t.Errorf("%d of %d that wait end, and %d things are looked at", ends, len(ids), c.looks)
		}
		c.report(s, held, core.Succeeded, time.Second)
		if c.looks > 16 {
			t.Errorf("the next goes on after a look at %d things", c.looks)
		}
		if g := c.poll(s, 1, 1); len(g) != 1 || g[0].ID != fmt.Sprint("t", n-1) {
			t.Errorf("after all before it are cancelled, %v is granted", g)
		}
		c.check()
	}
}
