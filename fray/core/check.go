package core

import (
	"errors"
	"fmt"
	"slices"

	"github.com/frayrpc/fray/fray/core/share"
)

// Known returns how many tasks there are, ended ones included.
func (c *Scheduler) Known() int { return c.byID.table.Len() }

// Check verifies every invariant of the scheduler's state, and returns all that are broken. It
// looks at everything: for tests and simulations.
func (c *Scheduler) Check() error {
	k := &checker{c: c}
	k.tasks()
	k.queues()
	k.groups()
	k.kinds()
	k.leases()
	k.sessions()
	k.jobs()
	k.retention()
	k.waits()
	k.objects()
	k.dependencies()
	k.actors()
	k.limits()
	k.schedules()
	k.uniques()
	k.gangs()
	k.ties()
	return errors.Join(k.errs...)
}

type checker struct {
	c    *Scheduler
	errs []error
}

// id returns what prints as the id of a task. Most are not printed.
func (k *checker) id(t *task) fmt.Stringer { return taskID{k.c, t} }

type taskID struct {
	c *Scheduler
	t *task
}

func (i taskID) String() string {
	if i.t.spot == 0 {
		return fmt.Sprintf("number %d", i.t.num) // It is forgotten.
	}
	return i.c.id(i.t)
}

func (k *checker) want(ok bool, format string, args ...any) {
	if !ok {
		k.errs = append(k.errs, fmt.Errorf("core: invariant broken: "+format, args...))
	}
}

// tasks: conservation, and each task in just the places that its status says.
func (k *checker) tasks() {
	c := k.c
	var counts [statusCount]int
	var bytes int64
	var last TaskNum
	known := 0
	for t := range c.log.all() {
		k.want(t.num > last, "task numbers rise in the log")
		last = t.num
		known++
		counts[t.status]++
		k.want(c.find(c.id(t)) == t, "task %s is found by its id", k.id(t))
		k.want(c.jobs[t.job.id] == t.job, "task %s is in a known job", k.id(t))
		k.want(c.shapes[t.shape.key] == t.shape, "task %s has a known shape", k.id(t))
		if !t.status.Terminal() {
			bytes += int64(t.size)
		}
		held := t.run != nil && t.run.lease != nil
		k.want(held == t.status.leased(), "task %s is %v and its lease is there: %v", k.id(t), t.status, held)
		k.want((t.pending != 0) == (t.status == Pending), "task %s is %v with pending reason %v", k.id(t), t.status, t.pending)
		k.want((t.reason != 0) == (t.status == Failed), "task %s is %v with failure reason %v", k.id(t), t.status, t.reason)
		k.want(t.timer() == nil || t.status == Pending && t.timer().index >= 0, "task %s is %v and has a timer", k.id(t), t.status)
		k.want(t.pending != Backoff && t.pending != Recovering && t.pending != Delayed || t.timer() != nil, "task %s waits and has a timer", k.id(t))
		if r := t.run; r != nil {
			k.want(uint64(r.failures) <= uint64(t.shape.MaxRetries)+1, "task %s failed %d times with %d retries", k.id(t), r.failures, t.shape.MaxRetries)
			k.want(uint64(r.losses) <= uint64(t.shape.MaxWorkerLosses)+1, "task %s lost %d workers of %d", k.id(t), r.losses, t.shape.MaxWorkerLosses)
			k.want(r.inCompany <= r.losses, "task %s lost %d workers, %d in company", k.id(t), r.losses, r.inCompany)
			k.want(t.status.Terminal() || t.shape.alone == t.lastAlone(), "task %s is of those that run alone", k.id(t))
			k.want(r.failures+r.losses <= r.attempts, "task %s was charged for more than its %d attempts", k.id(t), r.attempts)
			k.want(t.status != Failed || t.reason != Application && t.reason != Timeout || r.failures > 0, "task %s failed for nothing", k.id(t))
		}
	}
	for t, at := range c.notBefore { // order-free: each is checked for itself
		k.want(c.find(c.id(t)) == t && !t.status.Terminal() && at > t.submitted, "task %s, which has a time of its own, is open", k.id(t))
	}
	k.want(known == c.byID.table.Len(), "%d tasks in the log, %d by id", known, c.byID.table.Len())
	k.want(counts == c.counts, "counts by status are %v, should be %v", c.counts, counts)
	for _, j := range c.jobs { // order-free: a sum
		bytes += j.optionBytes()
	}
	k.want(bytes == c.all.bytes, "open tasks have %d bytes, counted %d", bytes, c.all.bytes)
	k.want(c.stats.Submitted+c.stats.Restored == uint64(known)+c.stats.Forgotten,
		"%d submitted, %d restored, %d known and %d forgotten", c.stats.Submitted, c.stats.Restored, known, c.stats.Forgotten)
}

// leases: one current lease a task, each known to its session and within its resources.
func (k *checker) leases() {
	c := k.c
	n := 0
	for _, s := range c.sessions { // order-free: each is checked for itself
		inUse := make([]int64, len(s.resources))
		begun, alone := 0, 0
		for l := s.leases.head; l != nil; l = l.next {
			n++
			k.want(c.leases[l.token] == l && l.session == s, "lease %x is known", l.token)
			if l.mayHaveStarted() {
				begun++
			}
			if l.alone {
				alone++
			}
			k.want(!l.alone || !l.ahead, "task %s runs alone and is not granted ahead", k.id(l.task))
			k.want(!l.current() || l.alone == l.task.shape.alone, "task %s is known to run alone", k.id(l.task))
			for _, r := range l.task.shape.class.resources {
				inUse[s.resource(r.Name)] += r.Amount
			}
			k.want(l.current() || l.stopping, "a lease of task %s that does not count is being stopped", k.id(l.task))
			k.want(!l.current() || l.attempt == l.task.run.attempts, "task %s has its newest attempt leased", k.id(l.task))
			k.want(!l.current() || (l.task.status == Running) == (l.runningAt != 0), "task %s is %v", k.id(l.task), l.task.status)
			k.want(!l.stopping || l.stopTold || s.beat == nil, "the stop of task %s is told to a waiting heartbeat", k.id(l.task))
			k.want(!l.ahead || len(l.task.shape.class.resources) == 0, "task %s with resources is not granted ahead", k.id(l.task))
		}
		k.want(begun == s.begun && alone == s.alone, "worker %s has %d attempts that may have started and %d that run alone, counted %d and %d",
			s.workerID, begun, alone, s.begun, s.alone)
		untold := 0
		for l := s.leases.head; l != nil; l = l.next {
			if l.stopping && !l.stopTold {
				untold++
			}
		}
		k.want(untold == s.untold, "worker %s was not told of %d stops, counted %d", s.workerID, untold, s.untold)
		for i, r := range s.resources {
			k.want(inUse[i] == s.inUse[i], "worker %s uses %d of %s, counted %d", s.workerID, inUse[i], r.Name, s.inUse[i])
			k.want(inUse[i] <= r.Amount || s.lends || len(s.kept) > 0,
				"worker %s uses %d of %s, has %d", s.workerID, inUse[i], r.Name, r.Amount)
		}
	}
	k.want(n == len(c.leases), "%d leases at workers, %d known", n, len(c.leases))
	for t := range c.log.all() {
		if t.run != nil && t.run.lease != nil {
			l := t.run.lease
			k.want(l.task == t && c.leases[l.token] == l, "task %s has a known lease", k.id(t))
			k.want(c.sessions[l.session.token] == l.session, "task %s is leased to a live session", k.id(t))
		}
	}
}

func (k *checker) sessions() {
	c := k.c
	k.want(len(c.sessions) == len(c.byWorker), "one session a worker")
	for _, s := range c.sessions { // order-free: each is checked for itself
		k.want(c.byWorker[s.workerID] == s, "worker %s has its session", s.workerID)
		k.want(s.ttl.index >= 0, "the session of worker %s can expire", s.workerID)
		k.want(s.receivedSeq <= s.pollSeq && s.grantSeq <= s.pollSeq, "poll numbers of worker %s", s.workerID)
		for l := s.leases.head; l != nil; l = l.next {
			k.want(l.pollSeq <= s.receivedSeq || s.delivery != nil || l.runningAt != 0 || !l.current() || l.task.shape.Role == ActorCall,
				"somebody waits for the delivery of task %s", k.id(l.task))
		}
	}
}

func (k *checker) jobs() {
	c := k.c
	tasks, open, ready := make(map[*job]int), make(map[*job]int), make(map[*job]int)
	for t := range c.log.all() {
		tasks[t.job]++
		if !t.status.Terminal() {
			open[t.job]++
		}
		if t.pending == Ready {
			ready[t.job]++
		}
	}
	for _, j := range c.jobs { // order-free: each is checked for itself
		k.want(!j.dropped, "job %s is known", j.id)
		k.want(tasks[j] == j.tasks && open[j] == j.open, "job %s has %d tasks, %d open; counted %d, %d", j.id, tasks[j], open[j], j.tasks, j.open)
		k.want(ready[j] == j.ready, "job %s has %d ready tasks, counted %d", j.id, ready[j], j.ready)
		k.want(len(j.elsewhere) == j.open-j.ready, "job %s has %d open tasks that are not ready, %d listed", j.id, j.open-j.ready, len(j.elsewhere))
		for i, t := range j.elsewhere {
			k.want(t.job == j && !t.status.Terminal() && t.pending != Ready && int(t.next) == i+1, "task %s is listed as open and not ready", k.id(t))
		}
		ended := len(j.done) + len(j.outlived)
		k.want(ended == j.tasks-j.open, "job %s lists %d ended tasks of %d", j.id, ended, j.tasks-j.open)
		k.want(j.owner.name == "" || !c.cfg.Durable || j.num != 0, "job %s has a record of its owner", j.id)
		k.want(j.tasks > 0 || j.watchers.size > 0 || len(j.followers) > 0 || j.objects.size() > 0 || j.uploads > 0, "job %s has something left", j.id)
	}
	k.owners()
}

// owners: what each has, and all together.
func (k *checker) owners() {
	c := k.c
	has, known, bytes := make(map[*owner]usage), make(map[*owner]int), make(map[*job]int64)
	add := func(o *owner, d usage) {
		has[o] = has[o].plus(d)
	}
	for t := range c.log.all() {
		if !t.status.Terminal() {
			bytes[t.job] += int64(t.size)
		}
	}
	for _, j := range c.jobs { // order-free: sums, and each for itself
		k.want(bytes[j] == j.openBytes, "open tasks of job %s have %d bytes, counted %d", j.id, bytes[j], j.openBytes)
		known[j.owner]++
		add(j.owner, j.usage())
	}
	for _, cl := range c.classByKey { // order-free: sums, and each for itself
		k.want((cl.open > 0) == (cl.payer != nil), "class %q has %d open tasks and an owner: %v", cl.key, cl.open, cl.payer != nil)
		if cl.payer != nil {
			add(cl.payer, usage{classes: 1})
		}
	}
	var all usage
	for o, u := range has { // order-free: sums, and each for itself
		all = all.plus(u)
		k.want(c.owners[o.name] == o && o.usage == u && o.known == known[o], "owner %q has %d jobs, %v, counted %d, %v", o.name, known[o], u, o.known, o.usage)
	}
	k.want(len(c.owners) == len(has), "%d owners have something, %d are known", len(has), len(c.owners))
	k.want(all == c.all, "all owners have %v, counted %v", all, c.all)
}

func (k *checker) retention() {
	c := k.c
	var bytes int64
	n, free, followers, reading := 0, 0, 0, make(map[*task]int)
	for _, ts := range c.reading { // order-free: a count
		for _, t := range ts {
			reading[t]++
		}
	}
	for t, a := range c.actors { // order-free: a count
		if a.dead && a.open > 0 {
			reading[t]++
		}
	}
	for _, j := range c.jobs { // order-free: each is checked for itself
		var jobBytes int64
		last := Time(0)
		for _, t := range j.done {
			n++
			jobBytes += int64(t.size)
			k.want(t.status.Terminal() && t.since >= last, "task %s has ended in its turn", k.id(t))
			k.want(int(t.next) == reading[t], "the result of task %s is read by %d calls, counted %d", k.id(t), reading[t], t.next)
			last = t.since
		}
		bytes += jobBytes
		k.want(jobBytes == j.doneBytes, "ended tasks of job %s have %d bytes, counted %d", j.id, jobBytes, j.doneBytes)
		floor := noFloor
		for _, f := range j.followers { // order-free: a minimum, and each for itself
			followers++
			floor = min(floor, f.needs)
			k.want(f.needs <= j.ends(), "watcher %q of job %s needs %d of %d ends", f.id, j.id, f.needs, j.ends())
			k.want((f.gone == nil) == (f.waiting > 0), "watcher %q of job %s waits or may be lost", f.id, j.id)
		}
		k.want(floor == j.floor, "the watchers of job %s need %d, known %d", j.id, floor, j.floor)
		needed := len(j.done) == 0 || j.doneBase >= j.floor || len(j.awaited) > 0 && j.doneBase >= j.awaited[0].number ||
			j.done[0].next > 0 || j.done[0].image != 0
		k.want(needed == (j.freeAt == 0), "job %s is free to forget, or needed", j.id)
		k.want((len(j.awaited) > 0) == c.awaitedJobs[j] && (j.awaitedTimer != nil) == c.awaitedJobs[j], "job %s keeps what was awaited", j.id)
		if j.freeAt > 0 {
			free++
			k.want(c.free[j.freeAt-1] == oldestEnd(j), "job %s is in its place", j.id)
		}
	}
	for i := range c.free {
		k.want(i == 0 || !c.free.Less(i, (i-1)/2), "free jobs are a heap")
	}
	for t := range c.asked { // order-free: each is checked for itself
		k.want(c.find(c.id(t)) == t && !t.status.Terminal(), "task %s that was asked for is open", k.id(t))
	}
	kept, held := make(map[*owner]int64), 0
	for _, j := range c.jobs { // order-free: sums
		kept[j.owner] += j.doneBytes
		if j.held {
			held++
			k.want(slices.Contains(c.held, j), "job %s is listed as held", j.id)
		}
	}
	for _, o := range c.owners { // order-free: each is checked for itself
		k.want(o.kept == kept[o], "of jobs of owner %q %d bytes are kept, counted %d", o.name, kept[o], o.kept)
	}
	k.want(c.heldToSee <= len(c.held) && held <= len(c.held), "%d jobs are held, %d listed", held, len(c.held))
	k.want(free == len(c.free), "%d jobs are free to forget, %d known", free, len(c.free))
	k.want(int64(followers) == c.all.watchers && c.all.watchers <= share.All(int64(c.cfg.MaxWatchers)), "%d watchers, counted %d", followers, c.all.watchers)
	k.want(n == c.retained(), "%d tasks have ended", n)
	k.want(bytes == c.retainedBytes, "ended tasks have %d bytes, counted %d", bytes, c.retainedBytes)
	k.want(c.restored || c.now < c.quietUntil || c.images.Len() > 0 || free == 0 || n <= c.cfg.MaxRetained && bytes <= c.cfg.MaxRetainedBytes,
		"%d tasks and %d bytes are retained", n, bytes)
}

func (k *checker) waits() {
	c := k.c
	awaited := 0
	for _, w := range c.waits { // order-free: each is checked for itself
		k.want(w.timer.index >= 0, "call %d can time out", w.call)
		switch w.kind {
		case waitPoll:
			k.want(w.session.poll == w && c.sessions[w.session.token] == w.session, "poll %d is its session's", w.call)
		case waitBeat:
			k.want(w.session.beat == w, "heartbeat %d is its session's", w.call)
		case waitAwait:
			awaited++
			k.want(!w.task.status.Terminal() || w.task.image != 0, "call %d waits for a task that can end", w.call)
		case waitAny:
			for _, t := range w.tasks {
				k.want(!t.status.Terminal() || t.image != 0, "call %d waits for tasks that can end", w.call)
			}
			awaited += len(w.tasks)
		case waitWatch:
			k.want(c.jobs[w.job.id] == w.job, "call %d watches a known job", w.call)
		}
	}
	for i, t := range c.timers.heap {
		k.want(t.index == i && t.kind != timerWait, "timer %d is in its place", i)
	}
	for i, t := range c.waking.heap {
		k.want(t.index == i && t.kind == timerWait, "timer %d of a wait is in its place", i)
	}
	awaiting := 0
	for t, l := range c.awaiters { // order-free: each is checked for itself
		k.want(c.find(c.id(t)) == t, "awaited task %s is known", k.id(t))
		awaiting += k.waitList(l)
	}
	k.want(awaiting == awaited, "tasks are awaited %d times, calls wait for %d", awaiting, awaited)
	for _, j := range c.jobs { // order-free: each is checked for itself
		k.waitList(&j.watchers)
	}
}

func (k *checker) waitList(l *waitList) int {
	n := 0
	for p := l.head; p != nil; p = p.next {
		n++
		k.want(k.c.waits[p.wait.call] == p.wait, "call %d waits in a list and is known", p.wait.call)
		k.want(p.next == nil && l.tail == p || p.next != nil && p.next.prev == p, "the list of call %d is whole", p.wait.call)
	}
	k.want(n == l.size, "%d calls wait in a list, counted %d", n, l.size)
	return n
}
