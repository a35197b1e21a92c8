package core

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

// The tasks of a gang start together or not at all: they are offered in one submission and taken in whole, and are
// granted in one step. Each waits, Ganged, until all that are open wait. Then the first of them, the gang's
// leader, queues in place of all, in a class of its own.
//
// When it is the leader's turn, and there is no room for all, the gang gathers: workers that it could use are kept
// for it, and get only what has a higher priority, until there is. Gangs that gather have an order, by priority and
// by when they began: the first gets what two could use, so that no two wait for each other.
//
// When an attempt of one is over without the task's end, those of the others are stopped, at no charge, and all
// start anew. What has completed stays. One that fails or is cancelled takes the others along.

const (
	// maxGang is how many tasks a gang may have.
	maxGang = 1024
	// maxGathering is how many gangs gather at the same time.
	maxGathering = 16
	// maxUrged is how many workers of those that gangs keep are looked at when something of a higher priority
	// becomes ready.
	maxUrged = 64
	// gangPlace names a resource that a gang's leader needs, and each worker has one of at any time: it parts
	// leaders from others. No specification can name it.
	gangPlace = "\x00"
)

// Gang is what a task has besides that is of a gang. All of one are offered by one Submit, side by side, with the
// same shape.
type Gang struct {
	// The gang's name in its job.
	ID string
	// How many tasks it has, up to 1024.
	Size int
}

// gang is one with open tasks.
type gang struct {
	// Its job and its name. No other with open tasks has both.
	key nameKey
	// How many are open; and those that are, in the order of their numbers, unless it is over.
	open    int
	members []*task
	// How many of them wait for all others, and who queues in place of all that do; nil: they are not all there.
	waiting int
	leader  *task
	// How often its leader queued.
	queued uint64
	// It is not taken in, or restored, whole yet.
	forming bool
	// An attempt of one is over, and those of others may not be.
	broken bool
	// One has not completed: all are to end.
	over bool

	// Workers that are kept for it, while it gathers, and how many of its tasks have room there now.
	kept      []*session
	places    int
	gathers   bool
	shelvedAt int // its place in class.shelf, from 1; 0: it is not there
}

// takeGang takes a gang in, if it may, whole.
func (o *offering) takeGang(c *Scheduler, tasks []NewTask, results []SubmitResult) {
	known := false
	for i := range tasks {
		known = known || c.find(tasks[i].ID) != nil
	}
	if !known {
		if i, r := o.mayTakeGang(c, tasks); r.Verdict != SubmitCreated {
			for k := range results {
				results[k] = SubmitResult{Verdict: SubmitGangRefused, Name: i}
			}
			results[i] = r
			return
		}
	}
	g := &gang{key: nameKey{o.Job, tasks[0].Gang.ID}, forming: true, members: make([]*task, 0, len(tasks))}
	for i := range tasks {
		if known && c.find(tasks[i].ID) == nil {
			results[i] = SubmitResult{Verdict: SubmitGangGone}
			continue
		}
		o.gang = g
		results[i] = o.take(c, &tasks[i])
	}
	o.gang = nil
	c.formed(g)
}

// mayTakeGang says whether a gang may be taken in of which no task is known; or which of its tasks is refused, and
// why.
func (o *offering) mayTakeGang(c *Scheduler, tasks []NewTask) (int, SubmitResult) {
	if c.gangByName[nameKey{o.Job, tasks[0].Gang.ID}] != nil {
		return 0, SubmitResult{Verdict: SubmitGangNamed}
	}
	if f := o.jobFailed(c); f != nil {
		return 0, SubmitResult{Verdict: SubmitJobFailed, ID: f.id}
	}
	taken := usage{bytes: int64(o.optionBytes())}
	for i := range tasks {
		if v := c.room(o.Submit, taken, tasks[i].size()); v != SubmitCreated {
			return i, SubmitResult{Verdict: v}
		}
		taken.tasks, taken.bytes = taken.tasks+1, taken.bytes+int64(clampSize(tasks[i].size()))
		if _, v, name := c.findNeeds(o.Submit, &tasks[i]); v != SubmitCreated {
			return i, SubmitResult{Verdict: v, Name: name}
		}
	}
	sh := c.intern(tasks[0].Shape)
	defer c.release(sh)
	if c.classFor(sh, o.Submit) == nil {
		return 0, SubmitResult{Verdict: SubmitTooManyClasses}
	}
	return 0, SubmitResult{Verdict: SubmitCreated}
}

// enrol has an open task be of a gang.
func (c *Scheduler) enrol(t *task, g *gang) {
	g.members = append(g.members, t)
	g.open++
	c.gangs[t], c.gangByName[g.key] = g, g
}

// formed notes that a gang is whole, of those of its tasks that are open. After a restart some may be at workers:
// if not all are, an attempt was over.
func (c *Scheduler) formed(g *gang) {
	g.forming = false
	g.broken = slices.ContainsFunc(g.members, func(t *task) bool { return t.pending != Recovering })
	c.callUp(g)
}

// restoreGang has an open task be of a gang again, if it was of one.
func (c *Scheduler) restoreGang(t *task, n *Gang) {
	if n == nil {
		return
	}
	key := nameKey{t.job.id, n.ID}
	g := c.gangByName[key]
	if g == nil {
		g = &gang{key: key, forming: true}
		c.restoredGangs = append(c.restoredGangs, g)
	}
	c.enrol(t, g)
}

// formRestored has gangs go on that are restored.
func (c *Scheduler) formRestored() {
	for _, g := range c.restoredGangs {
		c.formed(g)
	}
	c.restoredGangs = nil
}

// muster has a pending task of a gang wait for the others.
func (c *Scheduler) muster(t *task) {
	c.waitAside(t, Ganged)
	g := c.gangs[t]
	g.waiting++
	c.callUp(g)
}

// callUp has a gang queue if all of it wait.
func (c *Scheduler) callUp(g *gang) {
	if g.forming || g.over || g.leader != nil || g.waiting < len(g.members) || g.waiting == 0 {
		return
	}
	g.broken, g.leader = false, g.members[0]
	c.shapeLeader(g.leader, len(g.members))
	c.pushReady(g.leader, g.leader.attempts() > 0)
}

// shapeLeader gives a leader the shape of those of a gang with so many open tasks. Bounds on classes do not refuse
// what was accepted before.
func (c *Scheduler) shapeLeader(t *task, n int) {
	if t.shape.leads == n {
		return
	}
	c.closed(t)
	c.reshape(t, variant{leads: n})
	c.classFor(t.shape, nil)
	c.opened(t)
}

// quit takes a task that ends out of its gang, before anything of it changes. It returns nil if that is over, or
// the task is of none.
func (c *Scheduler) quit(t *task) *gang {
	if t.shape.Gang == 0 {
		return nil
	}
	g := c.gangs[t]
	delete(c.gangs, t)
	if g.open--; g.open == 0 {
		delete(c.gangByName, g.key)
	}
	if g.over {
		return nil
	}
	if t.pending == Ganged || t.pending == Ready {
		g.waiting--
		c.standDown(g)
	}
	at := slices.Index(g.members, t)
	g.members = slices.Delete(g.members, at, at+1)
	return g
}

// standDown takes a gang from its queue, of which not all wait any longer.
func (c *Scheduler) standDown(g *gang) {
	t := g.leader
	if t == nil {
		return
	}
	switch {
	case g.gathers:
		c.scatter(g)
	case g.shelvedAt > 0:
		t.shape.class.unshelve(g)
	default:
		c.removeReady(t)
		c.waitAside(t, Ganged)
	}
	g.leader = nil
}

// hasEnded has what is left of a gang go on when one of it has ended.
func (c *Scheduler) hasEnded(g *gang, t *task) {
	if t.status == Completed {
		c.callUp(g)
	} else {
		c.cancelGang(g, t.cancelsDependants())
	}
}

// cancelGang cancels all that is open of a gang.
func (c *Scheduler) cancelGang(g *gang, withDependants bool) {
	if g == nil || g.over {
		return
	}
	c.standDown(g)
	g.over = true
	for _, t := range g.members {
		c.cancel(t, withDependants)
	}
	g.members = nil
}

// disband has all of a gang start anew, an attempt of which is over.
func (c *Scheduler) disband(t *task) {
	if t.shape.Gang == 0 {
		return
	}
	g := c.gangs[t]
	if g.broken || g.over {
		return
	}
	g.broken = true
	for _, other := range g.members {
		if l := other.lease(); l != nil {
			c.recall(l)
		}
	}
}

// recall asks the worker to end an attempt because the task is to start anew with its gang. It is waited for, however
// long that takes: nobody else waits, and no attempt is to run beside the next.
func (c *Scheduler) recall(l *lease) {
	if !l.stopping {
		l.recalled = true
		c.stop(l)
	}
}

// roomFor returns how many tasks of a class a worker has room for now, which may ask for work or not.
func (c *Scheduler) roomFor(s *session, cl *class) int {
	if s.poll == nil || s.penalty != nil || c.silent(s) || s.alone > 0 || s.aside != nil {
		return 0
	}
	n := min(s.poll.freeSlots(), s.poll.max)
	for _, r := range cl.resources {
		n = min(n, int(s.freeNow(r.Name)/r.Amount))
	}
	return max(n, 0)
}

// capacity returns how many tasks of a class all workers have room for that could run them if they were idle.
func (cl *class) capacity() int {
	n := 0
	for _, k := range cl.group.kinds {
		n += k.capacity(cl)
	}
	return n
}

// capacity returns how many tasks of a class its workers have room for while they are idle.
func (k *kind) capacity(cl *class) int {
	most := maxGang
	for _, r := range cl.resources {
		i := slices.IndexFunc(k.resources, func(x Resource) bool { return x.Name == r.Name })
		most = min(most, int(k.resources[i].Amount/r.Amount))
	}
	n := 0
	for slots, workers := range k.bySlots { // order-free: a sum
		n += min(slots, most) * workers
	}
	return n
}

// gather has the gang whose leader is first in q start, or have workers kept for it until it can.
func (c *Scheduler) gather(q *jobQueue) {
	t := q.tasks.head
	g, cl := c.gangs[t], q.class
	c.looks += uint64(len(cl.group.kinds))
	if cl.capacity() < len(g.members) {
		c.removeReady(t)
		c.waitAside(t, Ganged)
		c.shelve(cl, g)
		return
	}
	c.takeReady(q)
	c.waitAside(t, Ganged)
	g.gathers = true
	at := len(c.gathering)
	for at > 0 && c.gathering[at-1].leader.shape.Priority < t.shape.Priority {
		at--
	}
	c.gathering = slices.Insert(c.gathering, at, g)
	var asking []*session
	n := 0
	for at := range cl.group.polls.all { // Those that wait longest first.
		c.looks++
		if room := c.roomFor(at.item, cl); room > 0 {
			asking = append(asking, at.item)
			if n += room; n >= len(g.members) {
				break
			}
		}
	}
	for _, s := range asking {
		c.keepFor(g, s)
	}
	c.startIfThere(g)
}

// keepFor keeps a worker for a gang that gathers.
func (c *Scheduler) keepFor(g *gang, s *session) {
	c.keepNoMore(s)
	s.gang, s.gangAt = g, len(g.kept)
	g.kept = append(g.kept, s)
	c.withdraw(s)
	c.recount(s)
}

// keepNoMore ends that a worker is kept for a gang, if it is.
func (c *Scheduler) keepNoMore(s *session) {
	g := s.gang
	if g == nil {
		return
	}
	g.places -= s.gangRoom
	last := len(g.kept) - 1
	g.kept[s.gangAt] = g.kept[last]
	g.kept[s.gangAt].gangAt = s.gangAt
	g.kept[last] = nil
	g.kept = g.kept[:last]
	s.gang, s.gangAt, s.gangRoom = nil, 0, 0
}

// recount counts anew how many of a gang's tasks have room at a worker that is kept for it.
func (c *Scheduler) recount(s *session) {
	if g := s.gang; g != nil {
		g.places -= s.gangRoom
		s.gangRoom = c.roomFor(s, g.leader.shape.class)
		g.places += s.gangRoom
	}
}

// keptFor sees which gang a worker that asks for work is kept for, and says whether there is one and the worker has
// nothing of a higher priority to do.
func (c *Scheduler) keptFor(s *session) bool {
	if len(c.gathering) == 0 {
		return false
	}
	for _, g := range c.gathering {
		if g == s.gang {
			break
		}
		c.looks++
		if cl := g.leader.shape.class; g.places < len(g.members) && slices.Contains(cl.group.kinds, s.kind) && c.roomFor(s, cl) > 0 {
			c.keepFor(g, s)
			break
		}
	}
	c.recount(s)
	if s.gang == nil {
		return false
	}
	if s.poll.freeSlots() > s.poll.max { // It is to ask for all that has become free since.
		c.dismissPoll(s)
		return true
	}
	return !s.urged()
}

// urged says whether something is ready for a worker that is kept for a gang and goes before it.
func (s *session) urged() bool {
	for _, g := range s.kind.groups {
		if first := g.turns.first; first != nil && s.gang.yields(first.item) {
			return true
		}
	}
	return false
}

// yields says whether what has a turn is granted to workers that are kept for the gang.
func (g *gang) yields(t *turn) bool { return t.priority > g.leader.shape.Priority }

// urge has workers that are kept for gangs be offered what became ready and goes before these.
func (c *Scheduler) urge(t *turn) {
	left := maxUrged
	for _, g := range c.gathering {
		if !g.yields(t) {
			continue
		}
		for _, s := range g.kept[:min(left, len(g.kept))] {
			left--
			c.looks++
			if s.kind != nil && slices.Contains(t.group.kinds, s.kind) {
				c.offer(s)
			}
		}
	}
}

// startGangs starts those that have gathered, and says whether there were any.
func (c *Scheduler) startGangs() (some bool) {
	for i := 0; i < len(c.gathering); {
		if c.startIfThere(c.gathering[i]) {
			some = true
		} else {
			i++
		}
	}
	return some
}

// startIfThere starts a gang if there is room for all of it, and reports whether it gathers no longer.
func (c *Scheduler) startIfThere(g *gang) bool {
	if g.places < len(g.members) {
		return false
	}
	for _, s := range slices.Clone(g.kept) { // Time has passed in which they may have fallen silent.
		c.looks++
		c.recount(s)
	}
	if g.places < len(g.members) {
		return false
	}
	t := g.leader
	if c.holdsUp(t.job) {
		c.scatter(g)
		c.pushReady(t, true)
		return true
	}
	workers := c.scatterTo(g)
	members := g.members
	g.waiting, g.leader = 0, nil
	for _, w := range workers {
		n := min(w.room, len(members))
		if n > 0 {
			c.grantGang(w.session, members[:n])
			members = members[n:]
		}
	}
	for _, w := range workers {
		c.offer(w.session)
	}
	return true
}

// grantGang grants a waiting poll tasks of a gang.
func (c *Scheduler) grantGang(s *session, members []*task) {
	gs, bytes := make([]Grant, 0, len(members)), 0
	for _, t := range members {
		grant, size := c.grant(c.lease(t, s, s.poll.seq, false))
		if bytes += size; bytes > c.cfg.MaxGrantBytes {
			grant.Along = make([]TaskNum, len(grant.Along)) // They are fetched.
		}
		gs = append(gs, grant)
	}
	c.handOver(s, gs, bytes)
}

// keptRoom is a worker that was kept for a gang, and for how many of its tasks it has room.
type keptRoom struct {
	session *session
	room    int
}

// scatterTo ends that a gang gathers, and returns which workers were kept for it.
func (c *Scheduler) scatterTo(g *gang) []keptRoom {
	workers := make([]keptRoom, len(g.kept))
	for i, s := range g.kept {
		workers[i] = keptRoom{s, s.gangRoom}
	}
	for len(g.kept) > 0 {
		c.keepNoMore(g.kept[len(g.kept)-1])
	}
	g.gathers, g.kept = false, nil
	full := len(c.gathering) == maxGathering
	c.gathering = slices.DeleteFunc(c.gathering, func(other *gang) bool { return other == g })
	if full { // Others may gather now.
		for _, gr := range c.groups { // order-free: each is looked at for itself
			if gr.leads() && gr.ready > 0 {
				c.stir(gr)
			}
		}
	}
	return workers
}

// scatter ends that a gang gathers, whose workers have other work again.
func (c *Scheduler) scatter(g *gang) {
	for _, w := range c.scatterTo(g) {
		c.offer(w.session)
	}
}

// shelve has a gang wait for workers, because all that there are have no room for it.
func (c *Scheduler) shelve(cl *class, g *gang) {
	cl.shelf = append(cl.shelf, g)
	g.shelvedAt = len(cl.shelf)
	if !cl.shelved {
		cl.shelved = true
		c.shelves = append(c.shelves, cl)
	}
}

func (cl *class) unshelve(g *gang) {
	last := len(cl.shelf) - 1
	other := cl.shelf[last]
	cl.shelf[g.shelvedAt-1], other.shelvedAt = other, g.shelvedAt
	cl.shelf[last] = nil
	cl.shelf = reuse.Trimmed(cl.shelf[:last])
	g.shelvedAt = 0
}

// fleetGrew has gangs queue that all workers have room for, now that there is one more of a kind.
func (c *Scheduler) fleetGrew(k *kind) {
	still := c.shelves[:0]
	for _, cl := range c.shelves {
		c.looks++
		if len(cl.shelf) > 0 && (!slices.Contains(cl.group.kinds, k) || cl.capacity() < cl.leads) {
			still = append(still, cl)
			continue
		}
		gs := cl.shelf
		cl.shelf, cl.shelved = nil, false
		slices.SortFunc(gs, func(a, b *gang) int { return cmp.Compare(a.leader.num, b.leader.num) })
		for _, g := range gs {
			g.shelvedAt = 0
			c.pushReady(g.leader, false)
		}
	}
	clear(c.shelves[len(still):])
	c.shelves = still
}

// fleetShrank has gangs wait for workers that gather and that all workers have no room for any longer.
func (c *Scheduler) fleetShrank() {
	for _, g := range slices.Clone(c.gathering) {
		if cl := g.leader.shape.class; cl.capacity() < len(g.members) {
			c.scatter(g)
			c.shelve(cl, g)
		}
	}
}

// explainGang says what a task waits for that is of a gang and waits for the others, or for room.
func (c *Scheduler) explainGang(t *task) (PendingReason, string) {
	g := c.gangs[t]
	n := len(g.members)
	switch {
	case g.waiting < n:
		return Ganged, fmt.Sprintf("%d of the %d tasks of its gang are not ready to start with it", n-g.waiting, n)
	case g.leader == nil:
		return Ganged, ""
	}
	cl := g.leader.shape.class
	switch {
	case cl.group.workers == 0:
		return NoEligibleWorker, c.explain(cl)
	case g.shelvedAt > 0:
		return NoEligibleWorker, fmt.Sprintf("all workers that can run it have room for %d of the %d tasks of its gang", cl.capacity(), n)
	case g.gathers:
		return Ganged, fmt.Sprintf("%d of the %d places are free that its gang needs at once", min(g.places, n), n)
	default:
		return Ganged, fmt.Sprintf("its gang waits for its turn to have %d places at once", n)
	}
}
