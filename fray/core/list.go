package core

import (
	"iter"
	"slices"
)

// listScan bounds how many tasks a page of a list looks at; a page may therefore be short, or
// empty, and not the last.
const listScan = 20_000

// List asks for a page of tasks. Replied with ListReply.
type List struct {
	Call CallID
	// Empty: all.
	Job string
	// Indexed by Status; none set means all.
	Statuses [statusCount]bool
	// The latest first.
	Newest bool
	// Tasks with greater numbers only; where the latest come first, those with smaller ones, and 0 means all.
	After TaskNum
	Max   int
	// Only tasks of this function, and only those whose current or last attempt this worker has or had. Empty: all.
	Function, Worker string
	// Only those that were submitted at From or later, and before Until. 0: no bound.
	From, Until Time
	// Indexed by PendingReason: only Pending tasks with one of these; none set means all, Pending or not.
	Reasons [pendingReasonCount]bool
	// As in Get. Without a Job, tasks of others' jobs are left out.
	Owner string
}

// ListReply answers List. Next is 0 after the last page.
type ListReply struct {
	Tasks []View
	Next  TaskNum
}

func (e *List) apply(c *Scheduler) {
	var r ListReply
	var job *job
	if e.Job != "" {
		if job = c.jobs[e.Job]; job == nil {
			c.tell(e.Call, r)
			return
		}
		if !job.admits(e.Owner) {
			c.fail(e.Call, ErrNotOwner)
			return
		}
	}
	filter := taskFilter{
		List: e, job: job, anyStatus: e.Statuses == [statusCount]bool{}, anyReason: e.Reasons == [pendingReasonCount]bool{},
	}
	scanned, last := 0, TaskNum(0)
	for n, t := range filter.tasks(c) {
		c.looks++
		if len(r.Tasks) >= max(e.Max, 1) || scanned >= listScan {
			r.Next = last
			break
		}
		if t != nil {
			if v, ok := filter.wants(c, t); ok {
				r.Tasks = append(r.Tasks, v)
			}
		}
		scanned++
		last = n
	}
	c.tell(e.Call, r)
}

// taskFilter says which tasks a list is of.
type taskFilter struct {
	*List

	job                  *job
	anyStatus, anyReason bool
}

// tasks yields the tasks that are to be looked at, in their order, and with no task the number of the last of some that
// were passed over at once.
func (f *taskFilter) tasks(c *Scheduler) iter.Seq2[TaskNum, *task] {
	if f.job != nil && f.job.tasks <= listScan { // Fewer looks, and not for every task of others.
		return f.job.from(&c.log, f.After, f.Newest)
	}
	skip := func(*taskChunk) bool { return false }
	if f.Worker != "" {
		skip = func(chunk *taskChunk) bool { return !chunk.leased }
	}
	if f.Newest {
		return c.log.before(f.After, skip)
	}
	return c.log.following(f.After, skip)
}

// wants returns a task as it stands durably, and whether it is one of the list.
func (f *taskFilter) wants(c *Scheduler, t *task) (View, bool) {
	switch {
	case f.job != nil && t.job != f.job, !t.job.admits(f.Owner), f.Function != "" && t.shape.Function != f.Function,
		t.submitted < f.From, f.Until > 0 && t.submitted >= f.Until, f.Worker != "" && t.run == nil:
		return View{}, false
	case t.image == 0 && !f.has(t.status):
		return View{}, false // Without its view, which costs more.
	}
	v, known := c.told(t)
	if !known || !f.has(v.Status) || f.Worker != "" && v.WorkerID != f.Worker || !f.anyReason && !f.Reasons[v.Pending] {
		return View{}, false
	}
	return v, true
}

// has says whether tasks with a status are of the list, as far as that decides it.
func (f *taskFilter) has(s Status) bool {
	return (f.anyStatus || f.Statuses[s]) && (f.anyReason || s == Pending)
}

// from yields the job's known tasks in the order of their numbers, those with a greater number than n; or if the latest
// are to come first in the other order, those with a smaller one, with 0 all.
func (j *job) from(log *taskLog, n TaskNum, latest bool) iter.Seq2[TaskNum, *task] {
	return func(yield func(TaskNum, *task) bool) {
		if !latest {
			for t := range j.after(log, n) {
				if !yield(t.num, t) {
					return
				}
			}
			return
		}
		for _, t := range slices.Backward(slices.Collect(j.after(log, 0))) {
			if (n == 0 || t.num < n) && !yield(t.num, t) {
				return
			}
		}
	}
}

// following yields the known tasks with a greater number than n. Chunks that are skipped are yielded as the
// greatest number that a task of theirs may have, with no task.
func (l *taskLog) following(n TaskNum, skip func(*taskChunk) bool) iter.Seq2[TaskNum, *task] {
	return func(yield func(TaskNum, *task) bool) {
		for i := l.find(chunkNumber(n + 1)); i < len(l.chunks); i++ {
			chunk := l.chunks[i]
			switch {
			case chunk.taskChunk == nil:
				continue
			case skip(chunk.taskChunk):
				if !yield(chunk.first()+chunkTasks-1, nil) {
					return
				}
				continue
			}
			for k := range chunk.tasks {
				t := &chunk.tasks[k]
				if t.num > n && t.spot != 0 && !yield(t.num, t) {
					return
				}
			}
		}
	}
}

// before yields the known tasks with a smaller number than n, the greatest first; with 0, all. Chunks that are skipped
// are yielded as the number of their first task, with no task.
func (l *taskLog) before(n TaskNum, skip func(*taskChunk) bool) iter.Seq2[TaskNum, *task] {
	return func(yield func(TaskNum, *task) bool) {
		last := len(l.chunks) - 1
		if n > 0 && last >= 0 {
			last = min(last, l.find(chunkNumber(n)))
		}
		for i := last; i >= 0; i-- {
			chunk := l.chunks[i]
			switch {
			case chunk.taskChunk == nil, n > 0 && chunk.first() >= n:
				continue
			case skip(chunk.taskChunk):
				if !yield(chunk.first(), nil) {
					return
				}
				continue
			}
			for k := chunkTasks - 1; k >= 0; k-- {
				t := &chunk.tasks[k]
				if t.spot != 0 && (n == 0 || t.num < n) && !yield(t.num, t) {
					return
				}
			}
		}
	}
}

// first is the number of the chunk's first task.
func (c numberedChunk) first() TaskNum {
	return TaskNum(c.number)*chunkTasks + 1 //nolint:gosec // Not negative.
}
