package check

import (
	"fmt"
	"slices"
	"time"
)

const (
	// stopShare is the share of a session's TTL, 1 in so many, for which its worker may have no
	// heartbeat waiting for news at the controller, and orderSlack what the order may take besides.
	stopShare  = 12
	orderSlack = 300 * time.Millisecond
	// stopSlack is what a stop may take once its worker has the order.
	stopSlack = 2 * time.Second
	// stopBeats is how many answers to heartbeats it may take until one has the order: the first
	// may be given while nothing can be committed.
	stopBeats = 2
)

// stopsObeyed holds a cancellation to reach what runs.
//
// When a client was answered that an attempt is being stopped, of stopBeats heartbeats of its worker
// that are sent later and answered one has the order to stop it, unless the lease is over by then.
// While it is calm the order comes as soon as a worker has a heartbeat waiting, as it does for most
// of the time. And an
// order ends the context of the function that runs: one that runs on for longer than stopSlack has
// its context done; while it is calm, by then. No attempt starts that long after the order.
//
// With Config.MayStall nothing is expected of heartbeats. It is vacuous where nothing that runs is
// cancelled.
type stopsObeyed struct {
	oracle

	cfg  *Config
	book *leaseBook
	calm *calm
	// Attempts that are to be told to their workers, in the order in which they were cancelled.
	awaited []*awaitedStop
	// The last answer to a heartbeat, as long as more of it may come.
	beat *Event
	// Orders, by token.
	orders map[uint64]*Event
	starts map[uint64]*Event
	jobs   map[string][]*lease // that are held
}

type awaitedStop struct {
	lease *lease
	asked *Event
	beats int
}

func newStopsObeyed(cfg *Config, b *leaseBook, c *calm) *stopsObeyed {
	return &stopsObeyed{
		oracle: oracle{"stops-obeyed", "A cancelled attempt is stopped: its worker is told with its next heartbeats, and its function's context ends."},
		cfg:    cfg, book: b, calm: c, orders: make(map[uint64]*Event), starts: make(map[uint64]*Event), jobs: make(map[string][]*lease),
	}
}

// Observe implements Oracle. The book has seen e already.
func (o *stopsObeyed) Observe(e *Event, j *Judge) {
	o.settle(e, j)
	o.expire(e, j)
	switch e.Kind {
	case GrantReply:
		if l := o.book.last[e.Task]; l.grant == e {
			o.jobs[e.Job] = append(slices.DeleteFunc(o.jobs[e.Job], func(l *lease) bool { return l.reported != nil || o.book.last[l.grant.Task] != l }), l)
		}
	case CancelReply:
		o.cancelled(e)
	case HeartbeatReply:
		o.beat = e
	case StopOrder:
		o.ordered(e, j)
	case ExecutionStart:
		o.starts[e.Token] = e
		if order := o.orders[e.Token]; order != nil && e.At > order.At+stopSlack {
			j.Violated(e.Task, fmt.Sprintf("has attempt %d started %v after its worker was told to stop it", e.Attempt, e.At-order.At), order, e)
		}
	case ExecutionEnd:
		o.ended(e, j)
	case ReportReply:
		if endsAttempt(e.Outcome) && e.Answer != Unanswered && o.starts[e.Token] == nil {
			delete(o.orders, e.Token)
		}
	default:
	}
}

// cancelled notes the attempts that are to be stopped.
func (o *stopsObeyed) cancelled(e *Event) {
	if e.Answer != Stopping {
		return
	}
	leases := []*lease{o.book.last[e.Task]}
	if e.Task == "" {
		leases = slices.DeleteFunc(slices.Clone(o.jobs[e.Job]), func(l *lease) bool { return !e.follows(l.grant.Seq) })
	}
	for _, l := range leases {
		if l == nil || o.orders[l.grant.Token] != nil || o.gone(l, e) ||
			slices.ContainsFunc(o.awaited, func(a *awaitedStop) bool { return a.lease == l }) {
			continue
		}
		o.awaited = append(o.awaited, &awaitedStop{lease: l, asked: e})
	}
}

// gone says whether there may be nothing to stop any longer.
func (o *stopsObeyed) gone(l *lease, e *Event) bool {
	return o.book.last[l.grant.Task] != l || o.book.over(l, e.Seq, e.At)
}

// settle looks at an answer to a heartbeat that is complete when e comes.
func (o *stopsObeyed) settle(e *Event, j *Judge) {
	beat := o.beat
	if beat == nil || e.Kind == StopOrder && e.Call == beat.Call {
		return
	}
	o.beat = nil
	o.awaited = slices.DeleteFunc(o.awaited, func(a *awaitedStop) bool {
		grant := a.lease.grant
		switch {
		case o.gone(a.lease, e):
			return true
		case grant.Session != beat.Session || !beat.follows(a.asked.Seq):
			return false
		}
		j.Check()
		a.beats++
		if a.beats < stopBeats || o.cfg.MayStall {
			return false
		}
		j.Violated(grant.Task, fmt.Sprintf("was cancelled, and %d answers to heartbeats of worker %s did not say to stop attempt %d", a.beats, grant.Worker, grant.Attempt),
			grant, a.asked, beat)
		return true
	})
}

// bound is within what time an order is to come.
func (o *stopsObeyed) bound(l *lease) time.Duration {
	return o.calm.slack(l.session.ttl/stopShare + orderSlack)
}

// expire looks for orders that should have come.
func (o *stopsObeyed) expire(e *Event, j *Judge) {
	for len(o.awaited) > 0 {
		a := o.awaited[0]
		switch {
		case o.gone(a.lease, e):
		case e.At-a.asked.At <= o.bound(a.lease):
			return
		case o.calm.between(a.asked.At, e.At) && !o.cfg.MayStall:
			o.late(a, e, nil, j)
		default:
			return // It counts heartbeats.
		}
		o.awaited = o.awaited[1:]
	}
}

func (o *stopsObeyed) late(a *awaitedStop, now, order *Event, j *Judge) {
	grant := a.lease.grant
	j.Violated(grant.Task, fmt.Sprintf("was cancelled, and worker %s was not told to stop attempt %d within %v", grant.Worker, grant.Attempt, o.bound(a.lease)),
		grant, a.asked, order, now)
}

// ordered notes an order to stop.
func (o *stopsObeyed) ordered(e *Event, j *Judge) {
	for i, a := range o.awaited {
		if a.lease.grant.Token != e.Token {
			continue
		}
		j.Check()
		o.awaited = slices.Delete(o.awaited, i, i+1)
		o.order(a.lease.grant, e)
		return
	}
	if s := o.starts[e.Token]; s != nil { // For another reason.
		o.order(s, e)
	}
}

// order notes an order to stop an attempt that its worker has.
func (o *stopsObeyed) order(seen, e *Event) {
	if o.orders[e.Token] == nil && seen.Worker == e.Worker {
		o.orders[e.Token] = e
	}
}

// ended looks at what an order did to a function.
func (o *stopsObeyed) ended(e *Event, j *Judge) {
	order, start := o.orders[e.Token], o.starts[e.Token]
	delete(o.orders, e.Token)
	delete(o.starts, e.Token)
	if order == nil || start == nil {
		return
	}
	j.Check()
	if e.At <= order.At+stopSlack {
		return
	}
	stopped := start.At + e.StoppedAfter
	switch {
	case e.Cause == 0:
		j.Violated(e.Task, fmt.Sprintf("has attempt %d run on for %v after its worker was told to stop it, and its context was not done", e.Attempt, e.At-order.At),
			order, e)
	case stopped > order.At+stopSlack && o.calm.between(order.At, stopped):
		j.Violated(e.Task, fmt.Sprintf("has attempt %d stopped only %v after its worker was told to", e.Attempt, stopped-order.At), order, e)
	}
}
