package core_test

import (
	"slices"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// modelDisk is what is to outlive a scheduler. Leases do not: their tasks recover.
type modelDisk struct {
	known []modelTask // in the order of submission
	ended []core.TaskNum
	jobs  map[string]modelJob // how many of a job's ended tasks are forgotten, and whose it is
}

type modelSpec struct {
	id        string
	shape     *core.Shape
	submitted core.Time
	needs     []string
	notBefore core.Time
	actor     *core.NewActor
	mail      *core.NewCall
}

// What becomes of a scheduler.
const (
	modelKill  = "kill"  // Its process dies.
	modelPower = "power" // Its machine does, and with it what nobody waited for.
	// The same beside a store with relaxed durability, which loses what a client was told, too.
	modelRelaxed = "relaxed"
)

// token is the first of this incarnation.
func (m *model) token() core.Token { return core.Token(m.cfg.Incarnation<<40) + 1 }

// save copies what outlives the scheduler.
func (m *model) save() *modelDisk {
	disk := &modelDisk{jobs: make(map[string]modelJob)}
	for _, t := range m.known {
		c := *t
		if a := t.cur; a != nil {
			c.status, c.pending, c.ahead = core.Pending, core.Recovering, a.ahead && a.running == 0
		}
		c.cur, c.timer, c.live = nil, nil, false
		disk.known = append(disk.known, c)
		disk.jobs[t.job] = modelJob{base: m.jobs[t.job].base, owner: m.jobs[t.job].owner, failed: m.jobs[t.job].failed}
	}
	for _, t := range m.ended {
		disk.ended = append(disk.ended, t.num)
	}
	return disk
}

// load foretells the scheduler that goes on from what was saved, at first without the time that
// recovering takes.
func (m *model) load(disk *modelDisk) {
	for _, a := range m.attempts {
		a.over = true
	}
	*m = model{
		cfg: m.cfg, now: m.now, gaps: slices.Clone(m.kept), attempts: m.attempts, jobs: make(map[string]*modelJob), payers: make(map[string]string), met: make(map[string]bool),
		reading: make(map[core.CallID][]*modelTask), numbers: make(map[modelCaller]uint64), turns: make(map[modelCaller]modelTurn),
	}
	m.goOn(disk)
	byNum := make(map[core.TaskNum]*modelTask)
	for id, stored := range disk.jobs {
		m.job(id).base, m.job(id).owner, m.job(id).failed = stored.base, stored.owner, stored.failed
	}
	for i := range disk.known {
		t := disk.known[i]
		t.restored, t.submitted, t.until = true, min(t.wrote.submitted, m.now), t.wrote.until
		t.asked = 0
		byNum[t.num], m.last = &t, t.num
		m.stats.restored++
		if t.call() {
			if t.to = nil; m.task(t.mail.Actor) != nil && m.task(t.mail.Actor).life() { // Else it is forgotten before its calls.
				t.to = m.task(t.mail.Actor)
				m.taken(&t)
			}
		}
		needs := t.needs
		t.needs, t.waits, t.along = nil, nil, false
		m.known = append(m.known, &t)
		if t.status.Terminal() {
			t.end = min(t.wrote.end, m.now)
		} else {
			t.cause = ""
			others := make([]*modelTask, 0, len(needs))
			for _, n := range needs {
				others = append(others, byNum[n.num])
			}
			m.wants(&t, others)
		}
		switch {
		case t.status.Terminal() || t.pending == core.Recovering:
		case t.until != 0:
			// It may take longer than it was to, but not twice as long.
			t.pending = core.Backoff
			whole := t.until.Sub(t.wrote.failed)
			t.until = min(t.until.Add(m.deaf(min(t.wrote.failed, m.now))), m.now.Add(whole))
			t.timer = m.alarm(t.until, func() { m.ready(&t, false) })
		default:
			m.queue(&t, false)
		}
		if !t.status.Terminal() {
			m.pay(&t)
		}
	}
	for _, t := range m.known {
		if t.outlived && !m.needed(t) {
			m.moves = append(m.moves, t)
		}
	}
	for _, t := range m.known {
		t.beside = slices.ContainsFunc(m.known, func(o *modelTask) bool {
			return o != t && o.pending == core.Recovering && !o.ahead && o.worker == t.worker
		})
	}
	last := core.Time(0)
	for _, num := range disk.ended {
		t := byNum[num]
		t.end = max(min(t.wrote.end, m.now), last)
		last = t.end
		m.ended = append(m.ended, t)
		m.jobs[t.job].done = append(m.jobs[t.job].done, t)
	}
}

// goOn has what passed since the newest record count for nobody.
func (m *model) goOn(disk *modelDisk) {
	newest := core.Time(0)
	for i := range disk.known {
		t := &disk.known[i]
		newest = max(newest, t.wrote.submitted, t.wrote.leased, t.wrote.end)
		// That a backoff is over is not recorded.
		if !t.status.Terminal() && t.pending != core.Recovering && t.wrote.until != 0 {
			newest = max(newest, t.wrote.failed)
		}
	}
	for _, g := range m.gaps {
		newest = max(newest, g.At)
	}
	if newest > 0 && newest < m.now {
		m.gaps = append(m.gaps, core.Gap{At: m.now, Lasted: m.now.Sub(newest)})
	}
	m.kept = slices.Clone(m.gaps)
	m.now = max(m.now, newest) // The clock may have been set back.
}

// awaitWorkers gives workers a session's time to present what they hold.
func (m *model) awaitWorkers() {
	for _, t := range slices.Backward(m.known) {
		if t.pending != core.Recovering {
			continue
		}
		t.timer = m.alarm(m.now.Add(m.cfg.SessionTTL), func() { m.unclaimed(t, true) })
	}
}

// adopt foretells whether a worker is given back an attempt of before.
func (m *model) adopt(s *modelSession, h *core.Held) bool {
	t := m.task(h.Task)
	if t == nil || !t.restored || t.status != core.Pending || h.Token.SameIncarnation(m.token()) {
		return false
	}
	if a := m.attempts[h.Token]; a != nil && !a.over {
		return false
	}
	same := h.Token == t.newest && h.Attempt == t.attempts && t.pending == core.Recovering
	lost := h.Token > t.newest && h.Attempt > t.attempts
	if !same && !lost || !s.can(t.shape) {
		return false
	}
	if t.call() && (t.to.cur == nil || t.to.cur.session != s || m.busy(t.to) >= t.to.concurrency()) || t.life() && len(m.hand(t)) > 0 {
		return false
	}
	m.leases++
	a := &modelAttempt{token: h.Token, n: h.Attempt, task: t, session: s, granted: m.now, alone: t.alone(), handed: m.leases}
	if t.call() {
		a.life = t.to.cur.token
	}
	a.ahead = h.Phase == core.HeldQueued && (same && t.ahead || lost && len(t.shape.Resources) == 0 && !t.alone() && !t.call())
	m.disarm(t.timer)
	t.status, t.pending, t.cur, t.worker = core.Leased, 0, a, s.reg.WorkerID
	t.newest, t.attempts, t.leased, t.wrote.leased, t.wrote.until = h.Token, h.Attempt, m.now, m.now, 0
	m.attempts[h.Token] = a
	s.attempts = append(s.attempts, a)
	m.stats.adopted++
	if h.Phase == core.HeldRunning {
		m.running(a)
	}
	if t.cancel {
		m.stopCancelled(a)
	}
	return true
}

// missed foretells what becomes of what a worker was granted before a restart and does not present
// when it first registers.
func (m *model) missed(e *core.Register) {
	if m.met[e.WorkerID] {
		return
	}
	m.met[e.WorkerID] = true
	for _, t := range slices.Backward(slices.Clone(m.known)) {
		presented := slices.ContainsFunc(e.Held, func(h core.Held) bool { return h.Task == t.id })
		if t.status != core.Pending || t.pending != core.Recovering || t.worker != e.WorkerID || presented {
			continue
		}
		m.disarm(t.timer)
		m.unclaimed(t, e.Fresh)
	}
}

func (m *model) unclaimed(t *modelTask, died bool) {
	m.stats.leasesExpired++
	if t.ahead || !died {
		m.undelivered(t)
	} else {
		m.lost(t, t.beside)
	}
}

// held lists what a worker presents when it registers: mostly what it holds.
func (d *modelDriver) held(w *modelWorker) []core.Held {
	var held []core.Held
	present := func(a *modelAttempt) {
		held = append(held, core.Held{Task: a.task.id, Attempt: a.n, Token: a.token, Phase: core.HeldPhase(d.int("phase", 1, 3))})
	}
	for _, a := range w.held {
		if d.chance("present", 90) {
			present(a)
		}
	}
	for len(d.granted) > 0 && d.chance("another's", 20) {
		present(pick(d, "attempt", d.granted))
		h := &held[len(held)-1]
		switch d.int("lie", 0, 9) {
		case 0:
			h.Attempt++
		case 1:
			h.Attempt--
		case 2:
			h.Task = pick(d, "task", d.ids)
		}
	}
	return held
}

// commit files a step's records. Those that a client waits for are durable at once, and with them
// all before.
func (d *modelDriver) commit(records []core.Record) {
	for i := range records {
		r := &records[i]
		if !d.m.cfg.Durable && r.Kind < core.RecordCheckpoint && r.Kind != core.RecordSpec && r.Kind != core.RecordEnd && r.Kind != core.RecordForget {
			d.t.Fatalf("task %d has record %d, and nothing is durable", r.Task, r.Kind)
		}
		if r.Kind == core.RecordSpec {
			t := d.m.specs[slices.IndexFunc(d.m.specs, func(t *modelTask) bool { return t.num == r.Task })]
			spec := modelSpec{id: t.id, shape: t.shape, submitted: t.submitted, notBefore: t.notBefore, actor: t.actor, mail: t.mail}
			for _, n := range t.needs {
				spec.needs = append(spec.needs, n.id)
			}
			d.specs[r.Task] = spec
		}
	}
	if !d.m.cfg.Durable {
		return
	}
	if !d.unsynced {
		d.ledger.commit(records)
	}
	if d.m.durable != slices.ContainsFunc(records, func(r core.Record) bool { return !r.Lazy }) {
		d.t.Fatalf("a client waits for what is written: %v, should: %v: %+v", !d.m.durable, d.m.durable, records)
	}
	if d.m.durable && !d.unsynced {
		d.disk = d.m.save()
	}
}

// doom has the next step's effects lost.
func (d *modelDriver) doom() {
	if d.m.cfg.Durable {
		d.doomed = pick(d, "death", []string{modelKill, modelPower, modelRelaxed})
	}
}

// die has the scheduler decide, and end before any client learns what; or before it is durable,
// though one did.
func (d *modelDriver) die(how string, events []core.Event) (out core.Effects) {
	if how == modelRelaxed {
		d.unsynced = true
		out = d.step(events...)
		d.unsynced = false
		d.restart(modelPower)
		return out
	}
	d.s.Step(d.m.now, &out, events...)
	d.restart(how)
	return core.Effects{}
}

// restart has the scheduler end, and another go on from what is durable. Workers know nothing of
// it.
func (d *modelDriver) restart(how string) {
	m := d.m
	if !m.cfg.Durable {
		return
	}
	if how == modelKill {
		d.disk = m.save()
	}
	m.cfg.Incarnation++
	if d.chance("clock set back", 10) {
		m.now = m.now.Add(-time.Duration(d.int("by", 1, 100)) * time.Second)
	}
	m.load(d.disk)
	s, err := d.ledger.restore(m.cfg, m.now, how == modelPower, func(r *core.Restored) {
		spec := d.specs[r.Num]
		r.ID, r.Shape, r.Submitted, r.NeedsTasks = spec.id, spec.shape, spec.submitted, spec.needs
		r.NotBefore, r.Actor, r.ActorCall = spec.notBefore, spec.actor, spec.mail
	})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		d.t.Fatal(err)
	}
	if s.Now() != m.now {
		d.t.Fatalf("time goes on at %v, should at %v", s.Now().Sub(epoch), m.now.Sub(epoch))
	}
	d.s = s
	clear(d.recorded)
	for _, t := range m.known {
		d.recorded[t.num] = core.RecordSpec
		if t.status.Terminal() {
			d.recorded[t.num] = core.RecordEnd
		}
	}
	took := time.Duration(d.int("recovery", 0, 3)*d.int("seconds", 0, 9)) * time.Second
	if m.now = m.now.Add(took); took > 0 {
		m.gaps = append(m.gaps, core.Gap{At: m.now, Lasted: took})
		for _, t := range m.known {
			if (t.pending == core.Ready || t.pending == core.Mailed) && t.timer != nil {
				t.timer.at = t.timer.at.Add(took)
			}
		}
	}
	m.awaitWorkers()
	m.quiet = m.now.Add(m.cfg.WatchGrace)
	d.step()
}
