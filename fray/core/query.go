package core

import (
	"cmp"
	"slices"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

func (e *Get) apply(c *Scheduler) {
	t := c.find(e.ID)
	v, known := c.told(t)
	switch {
	case !known:
		c.fail(e.Call, ErrUnknownTask)
	case !t.job.admits(e.Owner):
		c.fail(e.Call, ErrNotOwner)
	default:
		c.tell(e.Call, TaskReply{View: v})
	}
}

func (e *Await) apply(c *Scheduler) {
	t := c.find(e.ID)
	v, known := c.told(t)
	switch {
	case !known:
		c.fail(e.Call, ErrUnknownTask)
	case !t.job.admits(e.Owner):
		c.fail(e.Call, ErrNotOwner)
	case v.Status.Terminal() || e.Until <= c.now:
		if e.Read && v.Status.Terminal() {
			c.read(e.Call, t)
		}
		c.askedFor(t)
		c.tell(e.Call, TaskReply{View: v})
	default:
		c.awaitsCommit = c.awaitsCommit || t.image != 0
		c.addAwaiter(t, c.park(&wait{call: e.Call, kind: waitAwait, task: t, until: e.Until, read: e.Read}))
	}
}

func (e *AwaitAny) apply(c *Scheduler) {
	w := &wait{call: e.Call, kind: waitAny, until: e.Until, read: e.Read, tasks: make([]*task, 0, len(e.IDs))}
	named := make(map[*task]bool, len(e.IDs)) // Some may be there twice.
	var unknown, refused []string
	ended := false
	for _, id := range e.IDs {
		t := c.find(id)
		v, known := c.told(t)
		if !known {
			unknown = append(unknown, id)
			continue
		}
		if !t.job.admits(e.Owner) {
			refused = append(refused, id)
			continue
		}
		if named[t] {
			continue
		}
		named[t] = true
		ended = ended || v.Status.Terminal()
		c.awaitsCommit = c.awaitsCommit || t.image != 0
		w.tasks = append(w.tasks, t)
	}
	c.park(w)
	for _, t := range w.tasks {
		c.addAwaiter(t, w)
	}
	if ended || len(unknown) > 0 || len(refused) > 0 || e.Until <= c.now {
		c.answerAny(w, TasksReply{Unknown: unknown, Refused: refused}, true)
	}
}

// answerAny adds to a reply which tasks have ended; durably, if it is to be settled.
func (c *Scheduler) answerAny(w *wait, r TasksReply, settled bool) {
	for _, t := range w.tasks {
		c.askedFor(t)
		v, _ := c.told(t)
		if !settled {
			v = c.view(t)
		}
		if v.Status.Terminal() {
			r.Tasks = append(r.Tasks, v)
		}
	}
	c.unpark(w)
	if w.read {
		c.read(w.call, w.tasks...)
	}
	c.out.Replies = append(c.out.Replies, Reply{Call: w.call, Body: r, Settled: settled})
}

func (c *Scheduler) markAny(w *wait) {
	if !w.dirty {
		w.dirty = true
		c.dirtyAnys = append(c.dirtyAnys, w)
	}
}

// wakeAnys answers those who wait for one of several tasks at the end of the step, so that one
// answer carries all that ended in it.
func (c *Scheduler) wakeAnys() {
	for _, w := range c.dirtyAnys {
		if c.waits[w.call] == w {
			c.answerAny(w, TasksReply{}, !w.news)
		}
	}
	c.dirtyAnys = reuse.Emptied(c.dirtyAnys)
}

func (e *Watch) apply(c *Scheduler) {
	j := c.jobs[e.Job]
	if !j.admits(e.Owner) {
		c.fail(e.Call, ErrNotOwner)
		return
	}
	if j == nil {
		if e.Cursor > 0 {
			c.fail(e.Call, ErrCursorAhead)
			return
		}
		j = c.job(e.Job)
	}
	if e.Cursor > j.ends() {
		c.dropJob(j)
		c.fail(e.Call, ErrCursorAhead)
		return
	}
	needs := e.Cursor - min(e.Unconfirmed, e.Cursor)
	f := c.follow(j, e.Watcher, needs)
	if f == nil {
		c.dropJob(j)
		c.fail(e.Call, ErrTooManyWatchers)
		return
	}
	w := &wait{call: e.Call, kind: waitWatch, job: j, cursor: e.Cursor, max: e.Max, until: e.Until, follower: f, read: e.Read, owner: e.Owner}
	c.followerWaits(f, needs)
	w.places = append(w.places, j.watchers.add(c.park(w)))
	if e.Until <= c.now || c.toldEnds(j) > e.Cursor {
		c.answerWatch(w, true)
		return
	}
	c.awaitsCommit = c.awaitsCommit || j.ended > 0
}

func (e *GetJob) apply(c *Scheduler) {
	j := c.jobs[e.Job]
	switch {
	case !j.admits(e.Owner):
		c.fail(e.Call, ErrNotOwner)
	case j == nil:
		c.tell(e.Call, JobReply{})
	case e.Until <= c.now || c.toldOpen(j) == 0:
		c.out.Replies = append(c.out.Replies, Reply{Call: e.Call, Body: c.jobReply(j), Settled: c.tiesSettled(j)})
	default:
		w := c.park(&wait{call: e.Call, kind: waitJob, job: j, until: e.Until, owner: e.Owner})
		w.places = append(w.places, j.watchers.add(w))
		c.awaitsCommit = c.awaitsCommit || j.ended > 0
	}
}

// toldOpen is how many of a job's tasks are open durably.
func (c *Scheduler) toldOpen(j *job) int { return j.open + j.ended - j.created }

// jobReply tells nothing that a crash would take back, and so the owner only once a task of the job is durable.
func (c *Scheduler) jobReply(j *job) JobReply {
	next := c.toldEnds(j)
	r := JobReply{Open: c.toldOpen(j), Ended: len(j.done) - j.ended, Next: next, Watchers: len(j.followers)}
	if j.tasks > j.created || next > 0 {
		r.Owner = j.owner.name
		c.tellTies(j, &r)
	}
	r.Known = r.Open > 0 || r.Watchers > 0 || next > 0
	return r
}

// answerJob tells how a job stands for whose end a call has waited.
func (c *Scheduler) answerJob(w *wait) {
	r := c.jobReply(w.job)
	c.unpark(w)
	c.out.Replies = append(c.out.Replies, Reply{Call: w.call, Body: r, Settled: c.cfg.Commits && c.tiesSettled(w.job)})
}

// answerWatch tells which tasks have ended; durably, if it is to be settled.
func (c *Scheduler) answerWatch(w *wait, settled bool) {
	j := w.job
	r := WatchReply{Open: j.open}
	end := j.ends()
	if settled {
		r.Open += j.ended - j.created
		end = c.toldEnds(j)
	}
	from := max(w.cursor, j.doneBase)
	r.Missed = from - w.cursor
	end = max(from, min(from+uint64(max(w.max, 1)), end))
	told := j.done[from-j.doneBase : end-j.doneBase]
	for _, t := range told {
		r.Tasks = append(r.Tasks, c.view(t))
	}
	r.Next = end
	if w.read {
		c.read(w.call, told...)
	}
	c.unpark(w)
	c.out.Replies = append(c.out.Replies, Reply{Call: w.call, Body: r, Settled: settled})
}

// markJob has the job's watchers answered at the end of the step, so that one answer carries all
// that ended in it.
func (c *Scheduler) markJob(j *job) {
	if !j.dirty {
		j.dirty = true
		c.dirtyJobs = append(c.dirtyJobs, j)
	}
}

func (c *Scheduler) wakeWatchers() {
	for _, j := range c.dirtyJobs {
		settled := !j.news
		j.dirty, j.news = false, false
		for p := j.watchers.head; p != nil; {
			w, next := p.wait, p.next
			switch {
			case w.kind == waitJob:
				if c.toldOpen(j) == 0 {
					c.answerJob(w)
				}
			case !settled || c.toldEnds(j) > w.cursor:
				c.answerWatch(w, settled)
			}
			p = next
		}
	}
	c.dirtyJobs = reuse.Emptied(c.dirtyJobs)
}

func (e *ListWorkers) apply(c *Scheduler) {
	var after []*session
	for id, s := range c.byWorker { // order-free: sorted below
		if id > e.After {
			after = append(after, s)
		}
	}
	slices.SortFunc(after, func(a, b *session) int { return cmp.Compare(a.workerID, b.workerID) })
	var r WorkersReply
	bytes := int64(0)
	for i, s := range after {
		if bytes += s.bytes; i == e.Max || i > 0 && bytes > maxPageBytes {
			r.More = true
			break
		}
		r.Workers = append(r.Workers, s.view())
	}
	c.tell(e.Call, r)
}

// maxPageBytes is how large the registrations are that one page of workers tells of, about, but for one.
const maxPageBytes = 4 << 20

func (s *session) view() WorkerView {
	v := WorkerView{
		ID: s.workerID, URL: s.url, Slots: s.slots, Held: s.leases.size, Resources: s.resources,
		Labels: s.labels, Functions: s.names, Draining: s.drain != nil, Registered: s.registered, LastSeen: s.lastSeen,
	}
	for i, r := range s.resources {
		v.InUse = append(v.InUse, Resource{Name: r.Name, Amount: r.Amount - max(s.left(i), 0)})
	}
	v.SetAside = s.aside != nil
	if s.penalty != nil {
		v.BackedOff = s.penalty.at
	}
	return v
}

func (e *Info) apply(c *Scheduler) {
	stats := c.Stats()
	stats.Tasks = c.toldCounts()
	functions, others := c.depths(e.Functions)
	c.tell(e.Call, InfoReply{
		Stats: stats, OldestReadyAge: c.OldestReadyAge(), RetainedBytes: c.retainedBytes, Watchers: int(c.all.watchers),
		Leases: len(c.leases), Waiting: len(c.waits),
		Objects: len(c.objects.byNum), ObjectBytes: c.objects.bytes - int64(len(c.objects.byNum))*c.cfg.ObjectOverhead,
		Looks: c.looks, Work: c.work, Functions: functions, OtherFunctions: others,
	})
}
