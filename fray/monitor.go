package fray

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Bounds of the monitor.
const (
	// lookAfter is how long calls of a group are open before the controller is asked whether a
	// worker can run them; the time to the next look doubles up to lookAtMost.
	lookAfter  = time.Second
	lookAtMost = time.Minute
	// maxLooks is how many groups are looked at in a row, and maxTold how often the logger is told
	// of one.
	maxLooks = 16
	maxTold  = 8
)

// group is the acknowledged open calls that the same workers can run.
type group struct {
	key    string
	calls  int
	sample *call // the latest that was acknowledged; nil: it has ended
	since  time.Time
	look   time.Time
	looks  int
	detail string // why no worker can run them; "": it is not known that none can
	told   int
}

// join counts an acknowledged call in its group, with t.mu held.
func (t *tracker) join(c *call) {
	key := c.group()
	g := t.groups[key]
	if g == nil {
		now := time.Now()
		g = &group{key: key, since: now, look: now.Add(lookAfter)}
		t.groups[key] = g
		if t.next.IsZero() || g.look.Before(t.next) {
			t.next = g.look
			signal(t.formed)
		}
	}
	g.calls++
	g.sample = c
}

// part takes a call out of its group, with t.mu held.
func (t *tracker) part(c *call) {
	key := c.group()
	g := t.groups[key]
	if g.sample == c {
		g.sample = nil
	}
	if g.calls--; g.calls == 0 {
		delete(t.groups, key)
	}
}

// detail returns why no worker can run c; "" if that is not known.
func (t *tracker) detail(c *call) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g := t.groups[c.group()]; g != nil && c.acked > 0 {
		return g.detail
	}
	return ""
}

// due returns groups to look at, by their keys, and when there is the next; the zero time: there is
// none.
func (t *tracker) due(now time.Time) (groups []*group, next time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.groups { // order-free: sorted below
		if !g.look.After(now) {
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(a, b *group) int { return cmp.Compare(a.key, b.key) })
	groups = groups[:min(len(groups), maxLooks)]
	for _, g := range groups {
		g.look = now.Add(min(lookAfter<<min(g.looks+1, 10), lookAtMost))
		g.looks++
		if g.sample == nil {
			g.sample = t.latest(g.key)
		}
	}
	t.next = time.Time{}
	for _, g := range t.groups { // order-free: a minimum
		if t.next.IsZero() || g.look.Before(t.next) {
			t.next = g.look
		}
	}
	return groups, t.next
}

// latest returns the acknowledged call of a group with the greatest id. It looks at all of them.
func (t *tracker) latest(key string) *call {
	var latest *call
	for _, first := range t.calls { // order-free: a maximum
		for c := first; c != nil; c = c.twin {
			if c.acked > 0 && (latest == nil || c.id > latest.id) && c.group() == key {
				latest = c
			}
		}
	}
	return latest
}

// monitor asks the controller now and then whether there are workers that can run what is open, and
// tells the logger if there are none: nothing else says why a task waits that was accepted.
type monitor struct {
	link
	tracker *tracker
	seed    uint64 // of when exactly it looks
}

func newMonitor(l link, t *tracker) *monitor {
	return &monitor{link: l, tracker: t, seed: l.jc.rand.Uint64()}
}

func (m *monitor) run(ctx context.Context) {
	for ctx.Err() == nil {
		groups, next := m.tracker.due(time.Now())
		for _, g := range groups {
			m.look(ctx, g)
		}
		m.wait(ctx, next)
	}
}

// wait waits until the next look is due, or a group comes that is to be looked at before.
func (m *monitor) wait(ctx context.Context, next time.Time) {
	var later <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(time.Until(next) + 1 + dial.Jitter(m.seed, uint64(next.UnixNano()), lookAfter/20)) // within: a key
		defer timer.Stop()
		later = timer.C
	}
	select {
	case <-later:
	case <-m.tracker.formed:
	case <-ctx.Done():
	}
}

// look asks how one call of a group stands, once: where the controller does not answer, others ask
// until it does, and that no worker can run a task is not what it waits for.
func (m *monitor) look(ctx context.Context, g *group) {
	m.tracker.mu.Lock()
	sample := g.sample
	m.tracker.mu.Unlock()
	if sample == nil {
		return
	}
	err := m.outages.err()
	var res *frayv1.GetTaskResponse
	if err == nil {
		err = m.outages.do(ctx, "GetTask", dial.Policy{Attempts: 1}, 0, func(ctx context.Context) (err error) {
			res, err = m.client.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: sample.id})
			return err
		})
	}
	if err != nil {
		m.tracker.mu.Lock()
		defer m.tracker.mu.Unlock()
		g.looks-- // It was none.
		return
	}
	detail := ""
	if res.GetTask().GetPendingReason() == frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER {
		if detail = res.GetTask().GetPendingDetail(); detail == "" {
			detail = "no worker has all that it asks for" // An earlier controller does not tell what.
		}
	}
	m.tracker.mu.Lock()
	changed := g.detail != detail
	g.detail = detail
	calls, since := g.calls, g.since
	if changed {
		g.told++
	}
	tell := changed && g.told <= maxTold
	m.tracker.mu.Unlock()
	switch {
	case !tell:
	case detail != "":
		m.jc.logger.WarnContext(ctx, "tasks wait: no worker can run them", "job_id", m.jc.jobID, "function", sample.function.Name(),
			"reason", detail, "tasks", calls, "for", time.Since(since).Round(time.Millisecond), "task_id", sample.id)
	default:
		m.jc.logger.InfoContext(ctx, "there is a worker for tasks that waited", "job_id", m.jc.jobID, "function", sample.function.Name())
	}
}
