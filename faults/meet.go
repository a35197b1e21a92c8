package faults

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
)

// An ending is how a call ends early, if it does.
type ending int

const (
	goesOn  ending = iota
	lost           // nobody hears of it
	failed         // with an error that the outcome has
	crashed        // with the host
)

// An outcome is what became of a point: what is left for the adapter to do, because only it can.
type outcome struct {
	ending ending
	err    error // of failed, a *connect.Error

	copies   int           // deliveries besides
	later    time.Duration // how much later they are, or 0 for before
	truncate int64         // bytes that pass; below 0: all
	reset    int64         // bytes that pass; below 0: all
	rate     int64         // bytes a second; 0: no limit
	gap      time.Duration // how long after the plan's end a throttled body goes on
	keep     time.Duration // longest that a message of a stream stays behind; 0: it goes out

	overtaken []chan struct{} // to close once what passes has passed
}

// passed tells what was held back to be overtaken that it was.
func (o *outcome) passed() {
	for _, overtaken := range o.overtaken {
		close(overtaken)
	}
	o.overtaken = nil
}

// shaped says whether a body must be cut or slowed.
func (o *outcome) shaped() bool { return o.truncate >= 0 || o.reset >= 0 || o.rate > 0 }

// meet does at a point what the plan says: it counts, waits, calls hooks, and returns the rest. All
// rules are judged before the first one acts, so that one more or less does not shift what the
// others count. The caller calls passed on the outcome, even if the call ended.
func (i *Injector) meet(ctx context.Context, plan *activePlan, p *point) outcome {
	o := outcome{truncate: -1, reset: -1}
	if plan.over() {
		return o
	}
	if i.config.Turn != nil && p.side != Network && plan.expects(p) {
		turn := Turn{Phase: p.phase, Procedure: p.procedure, From: p.from, To: p.to, Host: p.here, Message: p.content, Context: ctx}
		if !i.config.Turn(turn) {
			o.ending = crashed
			return o
		}
	}
	var acting []occasion
	now := time.Now()
	for _, state := range plan.rules {
		if !state.match(p) {
			continue
		}
		c, matches := state.judge(plan.seed, p, now)
		switch {
		case matches && c.fires:
			acting = append(acting, c)
		case matches && state.rule.Action.Kind == Reorder:
			o.passing(state)
		}
	}
	for n := range acting {
		if o.ending != goesOn {
			if acting[n].state.rule.Action.Kind == Reorder {
				o.passing(acting[n].state)
			}
			continue
		}
		i.do(ctx, plan, p, &acting[n], &o)
	}
	return o
}

// passing notes that something passes what waits to be overtaken.
func (o *outcome) passing(state *ruleState) {
	if waiting := state.overtake(); waiting != nil {
		o.overtaken = append(o.overtaken, waiting)
	}
}

// do lets one rule act.
func (i *Injector) do(ctx context.Context, plan *activePlan, p *point, c *occasion, o *outcome) {
	m := &meeting{Injector: i, ctx: ctx, plan: plan, point: p, occasion: c, outcome: o, action: &c.state.rule.Action}
	if c.state.behaviour.begins(m) {
		m.injection = i.announce(p, c, plan.seed)
		c.state.behaviour.act(m)
	}
}

// A meeting is a rule that acts at a point.
type meeting struct {
	*Injector

	ctx       context.Context //nolint:containedctx // Of the call, if it is one.
	plan      *activePlan
	point     *point
	occasion  *occasion
	outcome   *outcome // of a point of a call
	verdict   *Verdict // of one of a connection
	action    *Action
	injection Injection
}

// announce tells counters and observers of an injection.
func (i *Injector) announce(p *point, c *occasion, seed uint64) Injection {
	rule := &c.state.rule
	injection := Injection{
		Rule: *rule, Side: p.side, Phase: p.phase, Procedure: p.procedure, From: p.from, To: p.to,
		Message: rule.Message, Match: c.match,
	}
	if rule.Message != 0 {
		injection.Message = p.message
	}
	if kind := rule.Action.Kind; kind == Delay {
		draws := stream{seed, "latency", rule.ID, entity{p.from, p.to, p.procedure}, c.ordinal}
		injection.Latency = rule.Action.Latency.draw(draws.rand())
	} else if kind.OnHost() {
		if injection.Host = rule.Action.Target; injection.Host == "" {
			if injection.Host = p.to; p.side == Client {
				injection.Host = p.from
			}
		}
	}
	c.state.act()
	i.counts.add(Count{Kind: rule.Action.Kind, Procedure: p.procedure, Phase: p.phase})
	if i.config.OnInject != nil {
		i.config.OnInject(injection)
	}
	return injection
}

// wait does what takes time. If the caller gives up meanwhile, the call is lost.
func (o *outcome) wait(ctx context.Context, during func()) {
	if during(); ctx.Err() != nil {
		o.ending = lost
	}
}

const (
	// gapUnit is how far apart those go on that wake together, and maxGaps how many of one rule
	// have gaps of their own.
	gapUnit = 20 * time.Microsecond
	maxGaps = 1024
)

// gap is how much later one goes on that waits, after what wakes all that wait at one instant: a
// release, the end of a window or of the plan. They go on one after the other, in the order in
// which they came, so that where time is virtual it is the same each time.
func (c *occasion) gap(seed uint64, p *point) time.Duration {
	draws := stream{seed, "gap", c.state.rule.ID, entity{p.from, p.to, p.procedure}, c.ordinal}
	return time.Duration(c.match%maxGaps)*gapUnit + time.Duration(draws.rand().Int64N(int64(gapUnit)))
}

// passTime lets time pass until the caller gives up, the plan ends, or early closes.
func passTime(ctx context.Context, plan *activePlan, early <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-plan.done:
	case <-early:
	}
}

// vanish waits until the caller gives up what was lost, and returns why it did.
func (i *Injector) vanish(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-i.closed:
		if err := ctx.Err(); err != nil {
			return err
		}
		return errClosed
	}
}

// coded returns an error as connect has it for the caller of a call.
func coded(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	}
	return connect.NewError(connect.CodeUnavailable, err)
}

// errCrashed is what a caller gets that survives its own crash.
var errCrashed = errors.New("host crashed")
