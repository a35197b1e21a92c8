package core

import (
	"container/heap"
	"time"
)

// ages finds the task that has waited longest at the cost of a few looks, whatever is queued, and
// with a few bytes for each chunk of the log.
type ages struct {
	// Chunks with ready tasks that never started, lowest number first. Some may have none any
	// longer.
	chunks intHeap
	// Ready tasks that have started before, need others, had to wait for their time, or lead gangs, in the order in
	// which they became ready.
	// Some are so no longer.
	again []readyAgain
	// Those that are.
	still int
}

// readyAgain is a task as it became ready again, after so many attempts.
type readyAgain struct {
	task     *task
	since    Time
	attempts uint32
	// The gang that it leads, or nil, which has queued so often.
	gang   *gang
	queued uint64
}

func (r readyAgain) holds() bool {
	t := r.task
	return t.pending == Ready && t.since == r.since && t.attempts() == r.attempts && (r.gang == nil || r.gang.queued == r.queued)
}

// spareAges is how many entries that hold no longer are kept before they are cleared away, besides
// as many as hold.
const spareAges = 64

// ready notes that a task became ready.
func (a *ages) ready(c *Scheduler, t *task) {
	if c.readyLate(t) {
		a.still++
		if len(a.again) >= 2*a.still+spareAges {
			a.again = keep(a.again, readyAgain.holds)
		}
		r := readyAgain{task: t, since: t.since, attempts: t.attempts()}
		if t.shape.Gang > 0 {
			r.gang = c.gangs[t]
			r.gang.queued++
			r.queued = r.gang.queued
		}
		a.again = append(a.again, r)
		return
	}
	chunk := c.log.chunkOf(t)
	chunk.waiting++
	if chunk.listed {
		return
	}
	chunk.listed = true
	if len(a.chunks) >= 2*c.log.used+spareAges {
		a.chunks = keep(a.chunks, c.log.waits)
		heap.Init(&a.chunks)
	}
	heap.Push(&a.chunks, chunkNumber(t.num))
}

// readyLate says whether a task that is ready was not so from its submission on.
func (c *Scheduler) readyLate(t *task) bool {
	return t.started || t.shape.Gang > 0 || c.dependencies[t] != nil || c.notBefore[t] != 0
}

// gone notes that a task is ready no longer.
func (a *ages) gone(c *Scheduler, t *task) {
	if c.readyLate(t) {
		a.still--
		return
	}
	c.log.chunkOf(t).waiting--
}

// waits says whether the chunk with this number has ready tasks that never started. If not, it is
// taken to be listed no longer.
func (l *taskLog) waits(number int) bool {
	chunk := l.chunk(number)
	if chunk == nil {
		return false
	}
	chunk.listed = chunk.waiting > 0
	return chunk.listed
}

// keep returns what holds, in memory that fits it.
func keep[T any](from []T, holds func(T) bool) []T {
	var kept []T
	for _, x := range from {
		if holds(x) {
			kept = append(kept, x)
		}
	}
	return kept
}

// OldestReadyAge returns how long the task that waits longest has waited, as of the last Step; 0
// while none is ready. A task waits from its submission on, also while it is handed to workers and
// comes back without having run, and also if no worker can run it. Once an attempt of it may have
// run it waits from when it became ready again; and one that needs others, or was not to
// be granted before a time, from when it became ready.
func (c *Scheduler) OldestReadyAge() time.Duration {
	oldest := Never
	a := &c.ages
	for len(a.chunks) > 0 && !c.log.waits(a.chunks[0]) {
		c.looks++
		heap.Pop(&a.chunks)
	}
	if len(a.chunks) > 0 {
		chunk := c.log.chunk(a.chunks[0])
		for i := range chunk.tasks {
			c.looks++
			if t := &chunk.tasks[i]; t.pending == Ready && !c.readyLate(t) {
				oldest = min(oldest, t.submitted)
			}
		}
	}
	for len(a.again) > 0 && !a.again[0].holds() {
		c.looks++
		a.again[0] = readyAgain{}
		a.again = a.again[1:]
	}
	if len(a.again) > 0 {
		oldest = min(oldest, a.again[0].since)
	}
	if oldest == Never {
		return 0
	}
	return max(c.now.Sub(oldest), 0)
}

// intHeap is a heap of numbers, for container/heap.
type intHeap []int

func (h *intHeap) Len() int           { return len(*h) }
func (h *intHeap) Less(i, j int) bool { return (*h)[i] < (*h)[j] }
func (h *intHeap) Swap(i, j int)      { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push is for container/heap.
func (h *intHeap) Push(x any) {
	*h = append(*h, x.(int)) //nolint:errcheck // Only numbers are pushed.
}

// Pop is for container/heap.
func (h *intHeap) Pop() any {
	last := len(*h) - 1
	n := (*h)[last]
	*h = (*h)[:last]
	return n
}
