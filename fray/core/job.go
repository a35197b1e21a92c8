package core

import (
	"cmp"
	"iter"
	"slices"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

// away notes that an open task of the job is not ready.
func (j *job) away(t *task) {
	j.elsewhere = append(j.elsewhere, t)
	t.next = spot(len(j.elsewhere)) //nolint:gosec // Bounded by MaxOpenTasks.
}

// here notes that it is ready, or has ended.
func (j *job) here(t *task) {
	if t.next == 0 {
		return
	}
	last := len(j.elsewhere) - 1
	other := j.elsewhere[last]
	j.elsewhere[t.next-1], other.next = other, t.next
	j.elsewhere[last] = nil
	j.elsewhere = reuse.Trimmed(j.elsewhere[:last])
	t.next = 0
}

// usage is what the job has of what is bounded. Classes are counted for owners alone.
func (j *job) usage() usage {
	u := usage{
		tasks: int64(j.open), bytes: j.openBytes + j.optionBytes(), watchers: int64(len(j.followers)),
		schedules: int64(j.schedules),
	}
	if j.open > 0 {
		u.jobs = 1
	}
	return u
}

// after yields the job's known tasks whose number is greater than n, in the order of their numbers.
func (j *job) after(log *taskLog, n TaskNum) iter.Seq[*task] {
	return func(yield func(*task) bool) {
		all := append(append(j.openTasks(log), j.done...), j.outlived...)
		slices.SortFunc(all, func(a, b *task) int { return cmp.Compare(a.num, b.num) })
		from, _ := slices.BinarySearchFunc(all, n+1, func(t *task, n TaskNum) int { return cmp.Compare(t.num, n) })
		for _, t := range all[from:] {
			if !yield(t) {
				return
			}
		}
	}
}

// openTasks returns the job's tasks that have not ended, in the order of their numbers.
func (j *job) openTasks(log *taskLog) []*task {
	open := make([]*task, 0, j.open)
	open = append(open, j.elsewhere...)
	for _, turn := range j.turns {
		for n := range turn.queues.all {
			for t := range n.item.tasks.all(log) {
				open = append(open, t)
			}
		}
	}
	slices.SortFunc(open, func(a, b *task) int { return cmp.Compare(a.num, b.num) })
	return open
}

// job is what tasks of one job share.
type job struct {
	id    string
	owner *owner
	// That of its record; 0: it has none.
	num uint64
	// Tasks of it that the scheduler knows, of these the ones that are not terminal, and of these the schedules.
	tasks, open, schedules int
	// Of the specs of its open tasks.
	openBytes int64
	// Those that are ready, and its place in the round of jobs that take turns.
	ready int
	round uint64
	// How many of its tasks are granted before it goes to the end of the round.
	left uint32
	// What it has ready, in no order, and the last that was given its place anew.
	turns    []*turn
	nextTurn int
	// Its open tasks that are not ready, in no order.
	elsewhere []*task
	// Ended tasks in the order in which they ended; the first is number doneBase.
	done     []*task
	doneBase uint64
	// Of the records of done.
	doneBytes int64
	// Tasks of it that have failed by themselves; and of these, the ones that it has forgotten, and those whose end
	// is not durable.
	failed, failedBase, newFailed uint64
	// What it has besides; nil: nothing.
	ties *ties
	// Tasks that it has forgotten and open tasks need, in no order.
	outlived []*task
	// Who watches it, and the least that they need; see retain.go.
	followers    map[string]*follower
	floor        uint64
	awaited      []awaitedEnd
	awaitedTimer *timer
	// Nothing of it is granted, see hold.go: its turns are in no group's, and its tasks are not counted
	// among those that are ready there.
	held bool
	// Its place in Scheduler.free, from 1; 0: it is not there.
	freeAt   int
	watchers waitList
	// It is in Scheduler.dirtyJobs; and a task of it has ended in this step.
	dirty, news bool
	// The scheduler knows it no longer.
	dropped bool
	// The number of the latest of its tasks that are durable, and when that was submitted; 0: there was none.
	latest   TaskNum
	latestAt Time
	// Of its tasks, those whose creation and whose end are not durable.
	created, ended int
	// What it holds, the uploads for it, and the bytes of both.
	objects     heldObjects
	uploads     int
	objectBytes int64
	// The end of the grace of what it holds, and the alarm for that, if it is known for nothing else.
	objectsUntil Time
	objectsTimer *timer
}

// knownOtherwise says whether a job is known for something besides objects.
func (j *job) knownOtherwise() bool {
	return j.tasks > 0 || j.watchers.size > 0 || len(j.done) > 0 || len(j.followers) > 0
}
