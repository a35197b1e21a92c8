package faults

import (
	"time"

	"github.com/frayrpc/fray/internal/sleep"
)

// Hold holds back what passes until a Release, [Injector.Release], or the end of the rule's window,
// at most [MaxWait]. What it held goes on in the order in which it came, within milliseconds.
const Hold Kind = "hold"

type holdKind struct{ plain }

func (holdKind) kind() Kind { return Hold }

func (holdKind) act(m *meeting) {
	released, until := m.occasion.state.hold()
	m.outcome.wait(m.ctx, func() {
		wait := MaxWait
		if !until.IsZero() {
			wait = max(0, time.Until(until))
		}
		passTime(m.ctx, m.plan, released, wait)
		_ = sleep.For(m.ctx, m.occasion.gap(m.plan.seed, m.point))
	})
}

func (holdKind) pass(m *meeting) {
	released, until := m.occasion.state.hold()
	if until.IsZero() {
		until = time.Now().Add(MaxWait)
	}
	m.verdict.Wait.holds = append(m.verdict.Wait.holds, held{released, until})
}
