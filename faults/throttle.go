package faults

import (
	"strings"

	"github.com/frayrpc/fray/internal/number"
)

// Throttle passes a body at a rate.
const Throttle Kind = "throttle"

type throttleKind struct{ betweenHosts }

func (throttleKind) kind() Kind { return Throttle }

func (throttleKind) read(a *Action, args *arguments) *RuleError {
	w, err := args.need("a rate, as in throttle(64KiB/s)")
	if err != nil {
		return err
	}
	rate, perSecond := strings.CutSuffix(w.text, "/s")
	if !perSecond {
		return at(w.column, "%q is no rate; write bytes a second, like 64KiB/s", w.text)
	}
	a.Rate, err = parseBytes(word{rate, w.column})
	return err
}

func (throttleKind) print(a Action, args *printed) { args.add(number.FormatSize(a.Rate) + "/s") }

func (throttleKind) keep(own *Action, a Action) { own.Rate = a.Rate }

func (throttleKind) check(a Action) *RuleError {
	if a.Rate == 0 {
		return a.wrong("a rate of %d bytes a second is not above 0", a.Rate)
	}
	return nil
}

func (throttleKind) act(m *meeting) {
	if o := m.outcome; o.rate == 0 || m.action.Rate < o.rate {
		o.rate, o.gap = m.action.Rate, m.occasion.gap(m.plan.seed, m.point)
	}
}

func (throttleKind) pass(m *meeting) {
	if v := m.verdict; v.rate == 0 || m.action.Rate < v.rate {
		v.rate = m.action.Rate
	}
}
