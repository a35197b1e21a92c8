package faults

import (
	"slices"

	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/sleep"
)

// Delay lets time pass.
const Delay Kind = "delay"

type delayKind struct{ plain }

func (delayKind) kind() Kind { return Delay }

func (delayKind) read(a *Action, args *arguments) (err *RuleError) {
	a.Latency, err = readLatency(args)
	return err
}

func readLatency(args *arguments) (l Latency, err *RuleError) {
	l.Distribution = FixedLatency
	w, err := args.need("how long, as in delay(50ms) or delay(uniform, 10ms, 90ms)")
	if err != nil {
		return l, err
	}
	if w.text != "" && 'a' <= w.text[0]|0x20 && w.text[0]|0x20 <= 'z' {
		l.Distribution = Distribution(w.text)
		if !slices.Contains(distributions, l.Distribution) {
			return l, at(w.column, "distribution %q is unknown%s", w.text, didYouMean(w.text, distributions))
		}
		if w, err = args.need("a duration behind " + w.text); err != nil {
			return l, err
		}
	}
	if l.Low, err = parseDuration(w); err != nil {
		return l, err
	}
	if l.Distribution == UniformLatency || l.Distribution == NormalLatency {
		if w, err = args.need("a second duration for " + string(l.Distribution)); err == nil {
			l.High, err = parseDuration(w)
		}
	}
	return l, err
}

func (delayKind) print(a Action, args *printed) {
	if a.Latency.Distribution != FixedLatency {
		args.add(string(a.Latency.Distribution))
	}
	args.add(number.FormatDuration(a.Latency.Low))
	if a.Latency.High != 0 || a.Latency.Distribution == NormalLatency {
		args.add(number.FormatDuration(a.Latency.High))
	}
}

func (delayKind) keep(own *Action, a Action) { own.Latency = a.Latency }

func (delayKind) check(a Action) *RuleError { return checkLatency(a.Latency) }

func checkLatency(l Latency) *RuleError {
	switch {
	case !slices.Contains(distributions, l.Distribution):
		return wrong(fieldAction, "delay: distribution %q is unknown%s", l.Distribution, didYouMean(string(l.Distribution), distributions))
	case l.Low < 0 || l.High < 0:
		return wrong(fieldAction, "delay: %s is negative; nothing arrives before it was sent", min(l.Low, l.High))
	case max(l.Low, l.High) > MaxWait:
		return wrong(fieldAction, "delay: %s is longer than %s; drop loses a message for good", max(l.Low, l.High), MaxWait)
	case l.Distribution == UniformLatency && l.High <= l.Low:
		return wrong(fieldAction, "delay: nothing lies between %s and %s; write the lower one first", l.Low, l.High)
	case (l.Distribution == FixedLatency || l.Distribution == ExponentialLatency) && l.High != 0:
		return wrong(fieldAction, "delay: %s takes one duration", l.Distribution)
	case l.Low == 0 && l.High == 0:
		return wrong(fieldAction, "delay: no time at all is no delay; say how long, as in delay(50ms)")
	}
	return nil
}

func (delayKind) pass(m *meeting) { m.verdict.delay += m.injection.Latency }

func (delayKind) act(m *meeting) {
	m.outcome.wait(m.ctx, func() {
		if passTime(m.ctx, m.plan, nil, m.injection.Latency); m.plan.over() {
			_ = sleep.For(m.ctx, m.occasion.gap(m.plan.seed, m.point))
		}
	})
}
