package faults

import (
	"math"
	"strconv"

	"github.com/frayrpc/fray/internal/number"
)

// Duplicate delivers a request or message again: at once, with the answer of the last delivery; or
// a while after the first, with nobody to hear the answer. What cannot be read twice, as a request
// of unknown length, is left alone.
const Duplicate Kind = "duplicate"

type duplicateKind struct{ madeGoodByTCP }

func (duplicateKind) kind() Kind { return Duplicate }

func (duplicateKind) read(a *Action, args *arguments) (err *RuleError) {
	if w, found := args.take("copies"); found {
		if a.Copies, err = parseCount("copies", w, math.MaxInt32); err != nil {
			return err
		}
	}
	if w, found := args.take("later"); found {
		a.Wait, err = parseDuration(w)
	}
	return err
}

func (duplicateKind) print(a Action, args *printed) {
	if a.Copies > 1 {
		args.named("copies", strconv.Itoa(a.Copies))
	}
	if a.Wait != 0 {
		args.named("later", number.FormatDuration(a.Wait))
	}
}

func (duplicateKind) keep(own *Action, a Action) { own.Copies, own.Wait = a.Copies, a.Wait }

func (duplicateKind) checkPlace(r *Rule) *RuleError {
	switch {
	case r.Message != 0 && !r.Side.sends(r.Phase):
		return notReceived()
	case r.Message == 0 && r.Phase.response():
		return never("a caller takes one answer; duplicate requests, or messages of a stream")
	case r.Message != 0 && r.Action.Wait != 0:
		return never("the copy of a message directly follows it; drop later=%s", r.Action.Wait)
	case r.Side != Network && r.Action.Wait != 0:
		return never("only the network delivers a request a while later; use side=network or drop later=%s", r.Action.Wait)
	}
	return nil
}

// notReceived says why a message cannot be duplicated or reordered by its receiver.
func notReceived() *RuleError {
	return never("a message can be sent twice or later, not received so; use phase=%s or phase=%s", RequestBeforeSend, AfterHandler)
}

func (duplicateKind) begins(m *meeting) bool { return m.point.repeatable }

func (duplicateKind) act(m *meeting) {
	o := m.outcome
	o.copies, o.later = o.copies+m.action.Copies, max(o.later, m.action.Wait)
}
