package core_test

import (
	"fmt"
	"testing"

	"github.com/frayrpc/fray/fray/core"
)

// crowds are how much is there in benchmarks of what must not grow with it.
var crowds = []int{1_000, 10_000, 100_000}

// benchmarkCrowd is a step beside so much of what setup makes; step is called over and over.
func benchmarkCrowd(b *testing.B, sizes []int, setup func(c *crowd, n int) func(i int)) {
	b.Helper()
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := newCrowd(b, core.Config{MaxOpenTasks: 10_000_000})
			step := setup(c, n)
			i := 0
			step(i)
			b.ReportAllocs()
			for b.Loop() {
				i++
				step(i)
			}
			b.ReportMetric(float64(c.looks), "looks/op")
		})
	}
}

// cycle grants one task to a worker, which gives it back.
func (c *crowd) cycle(s core.Token) {
	c.now++
	gs := c.poll(s, 1, 1)
	if len(gs) != 1 {
		c.tb.Fatalf("%d tasks are granted, want one", len(gs))
	}
	c.report(s, gs[0], core.Returned, 0)
}

// BenchmarkGrantWithJobs is the poll and return of one task, with as many jobs that queue in two
// priorities.
func BenchmarkGrantWithJobs(b *testing.B) {
	benchmarkCrowd(b, crowds, func(c *crowd, n int) func(int) {
		s := c.twoPriorities(n)
		return func(int) { c.cycle(s) }
	})
}

// BenchmarkGrantWithClasses is the same with as many functions, all of which the worker has.
func BenchmarkGrantWithClasses(b *testing.B) {
	benchmarkCrowd(b, []int{40, 400, 4_000}, func(c *crowd, n int) func(int) {
		s := c.liveClasses(n)
		return func(int) { c.cycle(s) }
	})
}

// BenchmarkGrantWithSizes is the same with as many sizes of tasks, of which the first half is too
// big.
func BenchmarkGrantWithSizes(b *testing.B) {
	benchmarkCrowd(b, []int{40, 400, 4_000}, func(c *crowd, n int) func(int) {
		s := c.tooBig(n)
		return func(int) { c.cycle(s) }
	})
}

// BenchmarkSubmitBesidePolls is the submission and end of one task beside as many dead classes
// (4,000 at most) and a tenth as many polls.
func BenchmarkSubmitBesidePolls(b *testing.B) {
	benchmarkCrowd(b, crowds, func(c *crowd, n int) func(int) {
		c.deadClasses(min(n, 4_000), n/10)
		shape := &core.Shape{Function: "f", Labels: []core.Label{{Name: "zone", Value: "moon"}}}
		return func(i int) {
			id := fmt.Sprint("t", i)
			c.submit("j", shape, id)
			c.step(&core.Cancel{Call: c.id(), IDs: []string{id}})
		}
	})
}

// BenchmarkForsake is a call that comes to wait for a task and is given up, beside as many that
// wait for it.
func BenchmarkForsake(b *testing.B) {
	benchmarkCrowd(b, crowds, func(c *crowd, n int) func(int) {
		c.submit("j", &core.Shape{Function: "f"}, "t")
		wait := func() core.CallID {
			c.step(&core.Await{Call: c.id(), ID: "t", Until: c.until()})
			return c.call
		}
		for range n {
			wait()
		}
		return func(int) { c.step(&core.Forsake{Call: wait()}) }
	})
}

// BenchmarkCancelJob is the submission and cancellation of a small job beside as many tasks of
// another.
func BenchmarkCancelJob(b *testing.B) {
	benchmarkCrowd(b, crowds, func(c *crowd, n int) func(int) {
		c.submit("other", &core.Shape{Function: "f"}, names("o", n)...)
		return func(i int) {
			c.submit("j", &core.Shape{Function: "f"}, fmt.Sprint("a", i), fmt.Sprint("b", i))
			c.step(&core.Cancel{Call: c.id(), Job: "j"})
		}
	})
}

// BenchmarkInfo is a scrape beside as many jobs.
func BenchmarkInfo(b *testing.B) {
	benchmarkCrowd(b, crowds, func(c *crowd, n int) func(int) {
		c.twoPriorities(n)
		return func(int) { c.step(&core.Info{Call: c.id()}) }
	})
}

// BenchmarkRegister is a worker that comes and goes beside as many functions, which others of its
// kind have.
func BenchmarkRegister(b *testing.B) {
	benchmarkCrowd(b, []int{40, 400, 4_000}, func(c *crowd, n int) func(int) {
		for i, f := range names("f", n) {
			c.submit("j", &core.Shape{Function: f}, fmt.Sprint("t", i))
		}
		c.register(&core.Register{WorkerID: "w", Slots: 1, Functions: []string{"f0"}})
		return func(int) {
			s := c.register(&core.Register{WorkerID: "other", Slots: 1, Functions: []string{"f0"}})
			c.step(&core.Unregister{Call: c.id(), Session: s})
		}
	})
}
