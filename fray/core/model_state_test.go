package core_test

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// model is what the scheduler should do, written down as plainly as can be: lists that are searched
// from end to end. Which of several tasks a poll is granted it leaves open, and judges. It is told
// everything that the scheduler is told, and foresees everything that the scheduler says.
type model struct {
	cfg       core.Config
	now       core.Time
	gaps      []core.Gap // in which nobody could be heard
	kept      []core.Gap // those that outlive the scheduler
	deadlines []*modelDeadline
	set       int

	known    []*modelTask // in the order of submission
	ended    []*modelTask // of these, in the order of their end, but for those that are kept for others
	moves    []*modelTask // those that have ended, and who needs them is to go on
	jobs     map[string]*modelJob
	payers   map[string]string // the owners that classes of open tasks count for
	sessions []*modelSession   // live, in the order of registration
	attempts map[core.Token]*modelAttempt
	// Workers that have registered since the last restart.
	met    map[string]bool
	parked []*modelCall
	// Who reads the results of what.
	reading map[core.CallID][]*modelTask
	quiet   core.Time // nothing is forgotten before
	back    int       // the last place at the back of a queue
	front   int       // the last place at the front
	turn    int       // counts grants, for whose turn it is
	leases  int       // counts leases, adopted ones too
	last    core.TaskNum
	// The last numbers of calls that were taken; whose turn it is; and how many calls were handed.
	numbers     map[modelCaller]uint64
	turns       map[modelCaller]modelTurn
	handedCalls int

	// What this step should bring.
	replies map[core.CallID]any // a body, an error, or modelAnyGrant
	ends    []*modelTask
	late    []func() // what is due, unless a grant comes before it
	specs   []*modelTask
	forgets []*modelTask
	notes   []core.AttemptEnd
	// Lives whose attempt is over; lives of which a state is written; and the tasks that end, in an order of
	// which some is the scheduler's to choose.
	lostLives   []*modelTask
	checkpoints []core.TaskNum
	order       []core.TaskNum
	durable     bool // a client waits for what it writes
	stats       modelStats
	woken       map[*modelJob]bool
	anys        map[*modelCall]bool
	beats       map[*modelSession]bool
}

type modelStats struct {
	submitted, restored, adopted, refused, granted, expired, leasesExpired, undelivered, stale, duplicate, forgotten uint64
}

type modelDeadline struct {
	at   core.Time
	set  int
	fire func()
}

type modelTask struct {
	num             core.TaskNum
	id, job         string
	shape           *core.Shape
	size            int64
	status          core.Status
	pending         core.PendingReason
	reason          core.FailureReason
	cur             *modelAttempt
	newest, last    core.Token // granted, and accepted from a report
	leased, until   core.Time  // when it was leased last; the end of its backoff
	wrote           modelTimes // by clocks that may since have been set back
	restored, ahead bool       // while it recovers: its attempt was ahead of a free slot
	worker          string
	attempts        uint32
	failures        uint32
	losses, company uint32 // and how many of them beside others
	beside          bool   // while it recovers: others that may have started were at its worker
	deliveries      uint32
	started, cancel bool
	// What it needs, and of that what has not been seen to end; the first of it that did not complete; it
	// is cancelled along with that; and what needs it is to be cancelled along with it.
	needs, waits   []*modelTask
	cause          string
	along, cancels bool
	outlived       bool // it is kept for those alone who need it
	notBefore      core.Time
	submitted, end core.Time
	asked          core.Time // until when a call for it may come again
	place          int
	timer          *modelDeadline
	// Of a life, and whether its incarnation takes calls; of a call, for which life, and how many attempts of it
	// may have run that do not count for nothing.
	actor      *core.NewActor
	live       bool
	mail       *core.NewCall
	to         *modelTask
	mayHaveRun uint32
}

type modelTimes struct{ submitted, leased, failed, end, until core.Time }

type modelJob struct {
	id   string
	base uint64
	done []*modelTask
	// Its tasks that have failed by themselves, the forgotten ones included.
	failed uint64
	turn   int
	// Who it belongs to; empty: it is everybody's.
	owner string
	// Who follows it, by name; and ends that were waited for.
	followers map[string]*modelFollower
	awaited   []modelAwaited
}

type modelFollower struct {
	needs   uint64
	waiting int
	gone    *modelDeadline
}

type modelAwaited struct {
	number uint64
	until  core.Time
}

type modelAttempt struct {
	token            core.Token
	n                uint32
	task             *modelTask
	session          *modelSession
	pollSeq          uint64
	ahead, alone     bool
	granted, running core.Time
	timer            *modelDeadline
	handed           int        // of the model's leases
	life             core.Token // of a call: the lease of the life that it was handed to
	stopping, told   bool
	over             bool
	// How long nothing was heard of its worker, and when that first and last said that it runs
	// though it should have ended.
	unheard             time.Duration
	overdue, stillAfter core.Time
}

type modelSession struct {
	// The registrations before it.
	former                              []string
	reg                                 *core.Register
	token                               core.Token
	attempts                            []*modelAttempt // not over, in the order of their grant
	pollSeq, received, granted          uint64
	beatSeq                             uint64
	ttl, delivery, penalty              *modelDeadline
	heard, answered                     core.Time
	penalties, quick                    int
	unknown, told, kept                 []core.Token
	drain, ownDrain, drainTold, leaving bool
	aside                               bool // as the scheduler said after the step before
	grace                               time.Duration
}

type modelCall struct {
	id       core.CallID
	session  *modelSession // of a poll or a heartbeat
	poll     *core.Poll
	held     int                  // attempts that the session of a poll had when it came
	verdicts []core.ReportVerdict // on what a poll told
	beat     bool
	await    *modelTask
	watch    *core.Watch
	ending   *core.GetJob
	submit   *modelSubmit // of an await that is a submission, too
	job      *modelJob    // whose watcher has submitted
	watcher  string
	any      []*modelTask
	read     bool
	timer    *modelDeadline
}

func (m *model) alarm(at core.Time, fire func()) *modelDeadline {
	m.set++
	d := &modelDeadline{at: at, set: m.set, fire: fire}
	m.deadlines = append(m.deadlines, d)
	return d
}

func (m *model) disarm(d *modelDeadline) {
	m.deadlines = slices.DeleteFunc(m.deadlines, func(x *modelDeadline) bool { return x == d })
}

// fireDue fires what is due, the earliest first.
func (m *model) fireDue() {
	for {
		var next *modelDeadline
		for _, d := range m.deadlines {
			if d.at <= m.now && (next == nil || cmp.Or(cmp.Compare(d.at, next.at), cmp.Compare(d.set, next.set)) < 0) {
				next = d
			}
		}
		if next == nil {
			return
		}
		m.disarm(next)
		next.fire()
	}
}

// next is when the scheduler must be woken.
func (m *model) next() core.Time {
	at := core.Never
	for _, d := range m.deadlines {
		at = min(at, d.at)
	}
	if len(m.moves) > 0 {
		return m.now
	}
	if t := m.forgettable(); t != nil {
		if len(m.ended) > m.cfg.MaxRetained {
			return min(at, m.quiet)
		}
		at = min(at, max(m.expiry(t), m.quiet))
	}
	return at
}

// deaf is how much of the time after an instant counts for nobody.
func (m *model) deaf(since core.Time) (d time.Duration) {
	for _, g := range m.gaps {
		if g.At > since {
			d += g.Lasted
		}
	}
	return d
}

func (m *model) expiry(t *modelTask) core.Time { return t.end.Add(m.cfg.Retention).Add(m.deaf(t.end)) }

func (m *model) task(id string) *modelTask {
	i := slices.IndexFunc(m.known, func(t *modelTask) bool { return t.id == id })
	if i < 0 {
		return nil
	}
	return m.known[i]
}

func (m *model) job(id string) *modelJob {
	if m.jobs[id] == nil {
		m.jobs[id] = &modelJob{id: id, followers: make(map[string]*modelFollower)}
	}
	return m.jobs[id]
}

// admits says whether a call that is confined to an owner's jobs may be about one.
func (m *model) admits(job, owner string) bool {
	j := m.jobs[job]
	return owner == "" || j == nil || j.owner == "" || j.owner == owner
}

// own gives a job to who has just submitted its only task, unless it had some before, and sends others
// away who watch it.
func (m *model) own(j *modelJob, by string) {
	n := 0
	for _, t := range m.known {
		if t.job == j.id {
			n++
		}
	}
	if by == "" || n > 1 || j.base+uint64(len(j.done)) > 0 {
		return
	}
	j.owner = by
	for _, c := range slices.Clone(m.parked) {
		if c.watch != nil && c.watch.Job == j.id && !m.admits(j.id, c.watch.Owner) ||
			c.ending != nil && c.ending.Job == j.id && !m.admits(j.id, c.ending.Owner) {
			m.unpark(c)
			m.replies[c.id] = core.ErrNotOwner
		}
	}
}

func (m *model) dropJob(j *modelJob) {
	for _, t := range m.known {
		if t.job == j.id {
			return
		}
	}
	for _, c := range m.parked {
		if c.watch != nil && c.watch.Job == j.id || c.ending != nil && c.ending.Job == j.id {
			return
		}
	}
	if len(j.followers) == 0 {
		delete(m.jobs, j.id)
	}
}

func (m *model) open() (tasks int, bytes int64) {
	for _, t := range m.known {
		if !t.status.Terminal() {
			tasks++
			bytes += t.size
		}
	}
	return tasks, bytes
}

func modelClass(s *core.Shape) string {
	var b strings.Builder
	b.WriteString(s.Function)
	for _, r := range s.Resources {
		b.WriteString(" " + r.Name + string(rune(r.Amount)))
	}
	for _, l := range s.Labels {
		b.WriteString(" " + l.Name + "=" + l.Value)
	}
	return b.String()
}

// alone says whether the last attempt that the task's losses allow has to have a worker of its own.
func (t *modelTask) alone() bool {
	return t.shape.Role == core.Plain && t.company > 0 && t.losses >= t.shape.MaxWorkerLosses
}

func (t *modelTask) class() string {
	if t.alone() {
		return modelClass(t.shape) + " alone"
	}
	return modelClass(t.shape)
}

// classes are those of open tasks.
func (m *model) classes() map[string]bool {
	cs := make(map[string]bool)
	for _, t := range m.known {
		if !t.status.Terminal() {
			cs[t.class()] = true
		}
	}
	return cs
}

func (m *model) ready(t *modelTask, front bool) {
	if t.call() {
		t.status, t.pending = core.Pending, core.Mailed
		return
	}
	idle := !slices.ContainsFunc(m.known, func(o *modelTask) bool { return o.job == t.job && o.pending == core.Ready })
	if j := m.job(t.job); idle {
		j.turn = max(j.turn, m.turn)
	}
	t.status, t.pending = core.Pending, core.Ready
	if front {
		m.front--
		t.place = m.front
	} else {
		m.back++
		t.place = m.back
	}
}

// queue makes a task ready, under its scheduling timeout while it has not started.
func (m *model) queue(t *modelTask, front bool) {
	m.gone(t)
	m.durable = m.durable || front
	if len(t.waits) > 0 || t.cause != "" {
		if t.status, t.pending = core.Pending, core.Blocked; t.cause != "" {
			m.inVain(t)
		}
		return
	}
	if t.notBefore > m.now {
		t.status, t.pending = core.Pending, core.Delayed
		t.timer = m.alarm(t.notBefore, func() { m.queue(t, false) })
		return
	}
	from := max(t.submitted, t.notBefore)
	for _, n := range t.needs {
		if n.status.Terminal() {
			from = max(from, n.end)
		}
	}
	late := from.Add(t.shape.SchedulingTimeout).Add(m.deaf(from))
	if t.shape.SchedulingTimeout == 0 || t.started {
		m.ready(t, front)
		return
	}
	if front && late <= m.now {
		m.finish(t, core.Failed, core.SchedulingTimeout)
		return
	}
	m.ready(t, front)
	var timer *modelDeadline
	timer = m.alarm(late, func() {
		m.late = append(m.late, func() {
			if (t.pending == core.Ready || t.pending == core.Mailed) && t.timer == timer {
				m.finish(t, core.Failed, core.SchedulingTimeout)
			}
		})
	})
	t.timer = timer
}

func (m *model) finish(t *modelTask, status core.Status, reason core.FailureReason) {
	m.disarm(t.timer)
	m.gone(t)
	t.status, t.pending, t.reason, t.end = status, 0, reason, m.now
	if t.call() && !m.mourned(t.to) {
		m.forgetUnneeded(t.to)
	}
	m.ended = append(m.ended, t)
	m.ends = append(m.ends, t)
	t.wrote.end, m.durable = m.now, true
	j := m.jobs[t.job]
	j.done = append(j.done, t)
	if status == core.Failed && reason != core.DependencyFailed {
		j.failed++
	}
	m.woken[j] = true
	awaited := false
	for _, c := range slices.Clone(m.parked) {
		if c.await == t {
			awaited = awaited || c.job == nil
			m.unpark(c)
			m.read(c, t)
			m.answerAwait(c, j.base+uint64(len(j.done)))
		}
		if slices.Contains(c.any, t) {
			awaited = true
			m.anys[c] = true
		}
	}
	if awaited || t.asked > m.now {
		j.awaited = append(j.awaited, modelAwaited{j.base + uint64(len(j.done)) - 1, m.now.Add(m.cfg.WatchGrace)})
		if len(j.awaited) == 1 {
			m.alarm(j.awaited[0].until, func() { m.awaitedPast(j) })
		}
	}
	for _, n := range t.needs {
		m.forgetUnneeded(n)
	}
	m.endsFor(t)
}

// wants has a new task need others.
func (m *model) wants(t *modelTask, others []*modelTask) {
	for _, n := range others {
		t.needs = append(t.needs, n)
		if n.status == core.Completed && !n.cancels {
			continue
		}
		t.waits = append(t.waits, n)
		m.endsFor(n)
	}
}

// endsFor has those go on who wait for a task, if it has ended.
func (m *model) endsFor(t *modelTask) {
	waits := slices.ContainsFunc(m.known, func(x *modelTask) bool { return slices.Contains(x.waits, t) && !x.status.Terminal() })
	if t.status.Terminal() && waits && !slices.Contains(m.moves, t) {
		m.moves = append(m.moves, t)
	}
}

// move has all go on who wait for what has ended.
func (m *model) move() {
	for len(m.moves) > 0 {
		t := m.moves[0]
		for _, x := range slices.Clone(m.known) {
			if !slices.Contains(x.waits, t) || x.status.Terminal() {
				continue
			}
			x.waits = slices.DeleteFunc(x.waits, func(o *modelTask) bool { return o == t })
			if x.cause == "" && (t.status != core.Completed || t.cancels) {
				if x.cause = t.cause; x.cause == "" {
					x.cause = t.id
				}
				x.along = t.cancels && m.jobs[t.job].owner == m.jobs[x.job].owner
			}
			switch {
			case x.pending != core.Blocked:
			case x.cause != "":
				m.inVain(x)
			case len(x.waits) == 0:
				m.queue(x, false)
			}
		}
		m.moves = m.moves[1:]
		m.forgetUnneeded(t)
	}
}

// inVain ends a task that needs what did not complete.
func (m *model) inVain(t *modelTask) {
	if t.along {
		t.cancels = true
		t.cause = ""
		m.finish(t, core.Cancelled, 0)
		return
	}
	m.finish(t, core.Failed, core.DependencyFailed)
}

// needed says whether an open task needs one.
func (m *model) needed(t *modelTask) bool {
	return slices.ContainsFunc(m.known, func(x *modelTask) bool { return !x.status.Terminal() && slices.Contains(x.needs, t) })
}

// forgetUnneeded forgets a task that was kept for others, if these have ended and nobody reads its result.
func (m *model) forgetUnneeded(t *modelTask) {
	for _, ts := range m.reading {
		if slices.Contains(ts, t) {
			return
		}
	}
	if !t.outlived || m.mourned(t) || m.needed(t) || slices.Contains(m.moves, t) || !slices.Contains(m.known, t) {
		return
	}
	m.known = slices.DeleteFunc(m.known, func(x *modelTask) bool { return x == t })
	m.forgotten(t)
	m.forgets = append(m.forgets, t)
	m.stats.forgotten++
	m.dropJob(m.jobs[t.job])
}

func (m *model) awaitedPast(j *modelJob) {
	j.awaited = slices.DeleteFunc(j.awaited, func(a modelAwaited) bool { return a.until <= m.now })
	if len(j.awaited) > 0 {
		m.alarm(j.awaited[0].until, func() { m.awaitedPast(j) })
	}
}

// read keeps what a call that reads results was told of.
func (m *model) read(c *modelCall, tasks ...*modelTask) {
	for _, t := range tasks {
		if c.read && t.status.Terminal() {
			m.reading[c.id] = append(m.reading[c.id], t)
		}
	}
}

// follow notes that a watcher is there, and returns nil where there are too many.
func (m *model) follow(j *modelJob, id string, needs uint64) *modelFollower {
	f := j.followers[id]
	if f == nil {
		n, own := 0, 0
		for _, o := range m.jobs {
			n += len(o.followers)
			if o.owner == j.owner {
				own += len(o.followers)
			}
		}
		if !modelFits(m.cfg.MaxWatchers, n, own, 1) {
			return nil
		}
		f = &modelFollower{needs: needs}
		j.followers[id] = f
	}
	m.hear(j, id)
	return f
}

func (m *model) hear(j *modelJob, id string) {
	f := j.followers[id]
	m.disarm(f.gone)
	f.gone = nil
	if f.waiting > 0 {
		return
	}
	f.gone = m.alarm(m.now.Add(m.cfg.WatchGrace), func() {
		delete(j.followers, id)
		m.dropJob(j)
	})
}

// back gives a task whose attempt ended without a charge to the front of its queue.
func (m *model) putBack(t *modelTask) {
	if t.cancel {
		m.finish(t, core.Cancelled, 0)
		return
	}
	m.queue(t, true)
}

func (m *model) undelivered(t *modelTask) {
	m.notes = append(m.notes, core.EndUndelivered)
	m.stats.undelivered++
	t.deliveries++
	m.putBack(t)
}

func (m *model) lost(t *modelTask, company bool) {
	m.notes = append(m.notes, core.EndWorkerLost)
	m.lose(t, company)
}

// lose charges a task with an attempt that is gone, though it may have run.
func (m *model) lose(t *modelTask, company bool) {
	if t.call() && !t.cancel && (t.to.cancel || t.to.status == core.Cancelled) {
		m.finish(t, core.Failed, core.ActorDead)
		return
	}
	t.losses++
	t.mayHaveRun++
	if company {
		t.company++
	}
	t.started = true
	if !t.cancel && t.spent() {
		reason := core.WorkerLost
		if t.call() {
			reason = core.ActorRestarted
		}
		m.finish(t, core.Failed, reason)
		return
	}
	if !t.cancel && t.alone() {
		m.pay(t)
	}
	m.putBack(t)
}

// spent says whether a task has no attempt left to lose. A life has one budget for all.
func (t *modelTask) spent() bool {
	if t.life() {
		return t.losses+t.failures > t.shape.MaxWorkerLosses
	}
	return t.losses > t.shape.MaxWorkerLosses
}

func (m *model) failed(t *modelTask, reason core.FailureReason, final bool, after time.Duration) {
	t.failures++
	t.mayHaveRun++
	t.started = true
	switch {
	case t.cancel:
		m.finish(t, core.Cancelled, 0)
	case final || t.failures > t.shape.MaxRetries || t.life() && t.spent():
		m.finish(t, core.Failed, reason)
	default:
		if after == 0 {
			n := float64(t.failures - 1)
			after = time.Duration(min(float64(t.shape.BackoffBase)*math.Pow(t.shape.BackoffFactor, n), float64(t.shape.BackoffCap)))
		}
		m.gone(t)
		t.status, t.pending = core.Pending, core.Backoff
		t.until = m.now.Add(after)
		t.wrote.until, t.wrote.failed, m.durable = t.until, m.now, true
		t.timer = m.alarm(t.until, func() { m.ready(t, false) })
	}
}

func (m *model) park(c *modelCall, until core.Time, vain func()) {
	m.parked = append(m.parked, c)
	c.timer = m.alarm(until, vain)
}

func (m *model) unpark(c *modelCall) {
	m.disarm(c.timer)
	m.parked = slices.DeleteFunc(m.parked, func(x *modelCall) bool { return x == c })
	if c.ending != nil {
		m.dropJob(m.jobs[c.ending.Job])
	}
	if c.watch != nil {
		j := m.jobs[c.watch.Job]
		j.followers[c.watch.Watcher].waiting--
		m.hear(j, c.watch.Watcher)
		m.dropJob(j)
	}
	if c.job != nil {
		c.job.followers[c.watcher].waiting--
		m.hear(c.job, c.watcher)
	}
}

func (m *model) find(is func(c *modelCall) bool) *modelCall {
	if i := slices.IndexFunc(m.parked, is); i >= 0 {
		return m.parked[i]
	}
	return nil
}

// forgettable is the oldest ended task that nobody needs.
func (m *model) forgettable() *modelTask {
	var oldest *modelTask
	for _, j := range m.jobs {
		if len(j.done) == 0 {
			continue
		}
		t := j.done[0]
		needed := m.mourned(t)
		for _, f := range j.followers {
			needed = needed || f.needs <= j.base
		}
		for _, a := range j.awaited {
			needed = needed || a.number <= j.base
		}
		for _, ts := range m.reading {
			needed = needed || slices.Contains(ts, t)
		}
		if !needed && (oldest == nil || cmp.Or(cmp.Compare(t.end, oldest.end), cmp.Compare(t.num, oldest.num)) < 0) {
			oldest = t
		}
	}
	return oldest
}

// forget drops ended tasks that nobody needs past their retention, and the oldest while there are
// too many.
func (m *model) forget() {
	for m.now >= m.quiet {
		t := m.forgettable()
		if t == nil || m.expiry(t) > m.now && len(m.ended) <= m.cfg.MaxRetained {
			return
		}
		m.ended = slices.DeleteFunc(m.ended, func(x *modelTask) bool { return x == t })
		j := m.jobs[t.job]
		j.done, j.base = j.done[1:], j.base+1
		if m.needed(t) {
			t.outlived, t.wrote.end = true, t.end
			continue
		}
		m.known = slices.DeleteFunc(m.known, func(x *modelTask) bool { return x == t })
		m.forgotten(t)
		m.forgets = append(m.forgets, t)
		m.stats.forgotten++
		m.dropJob(j)
	}
}
