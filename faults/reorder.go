package faults

import (
	"time"

	"github.com/frayrpc/fray/internal/sleep"
)

// Reorder holds back what passes until the next match has passed it.
const Reorder Kind = "reorder"

type reorderKind struct{ madeGoodByTCP }

func (reorderKind) kind() Kind { return Reorder }

func (reorderKind) read(a *Action, args *arguments) *RuleError {
	w, err := args.need("the longest that it may hold something back, as in reorder(100ms)")
	if err == nil {
		a.Wait, err = parseDuration(w)
	}
	return err
}

func (reorderKind) print(a Action, args *printed) { args.wait(a.Wait) }

func (reorderKind) keep(own *Action, a Action) { own.Wait = a.Wait }

func (reorderKind) check(a Action) *RuleError { return checkWait(a) }

// checkWait returns what is wrong with an action that does nothing for no time.
func checkWait(a Action) *RuleError {
	if a.Wait == 0 {
		return a.wrong("does nothing for no time; say for how long, as in %s(100ms)", a.Kind)
	}
	return nil
}

func (reorderKind) checkPlace(r *Rule) *RuleError {
	if r.Message != 0 && !r.Side.sends(r.Phase) {
		return notReceived()
	}
	return nil
}

// begins has a call as a whole wait to be overtaken, or overtake what waits. A message of a stream
// stays behind in act.
func (reorderKind) begins(m *meeting) bool {
	if !m.point.whole {
		return true
	}
	c, o := m.occasion, m.outcome
	overtaken, waits := c.state.queue()
	if !waits {
		o.passing(c.state)
		return false
	}
	m.announce(m.point, c, m.plan.seed)
	o.wait(m.ctx, func() {
		passTime(m.ctx, m.plan, overtaken, m.action.Wait)
		c.state.leave(overtaken)
		// Lets what overtook get all the way to whoever waits for it, also where time is virtual.
		draws := stream{m.plan.seed, "reorder", c.state.rule.ID, entity{m.point.from, m.point.to, m.point.procedure}, c.ordinal}
		if passTime(m.ctx, m.plan, nil, reorderGap+time.Duration(draws.rand().Int64N(int64(reorderGap)))); m.plan.over() {
			_ = sleep.For(m.ctx, c.gap(m.plan.seed, m.point))
		}
	})
	return false
}

// reorderGap is the least time between what overtook and what was overtaken.
const reorderGap = 500 * time.Microsecond

func (reorderKind) act(m *meeting) { m.outcome.keep = m.action.Wait }
