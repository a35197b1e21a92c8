package faults

// Release ends another rule's hold, for good.
const Release Kind = "release"

type releaseKind struct{ plain }

func (releaseKind) kind() Kind { return Release }

func (releaseKind) read(a *Action, args *arguments) *RuleError {
	w, err := args.need("the id of the rule whose hold ends, as in release(stuck)")
	a.Target = w.text
	return err
}

func (releaseKind) print(a Action, args *printed) { args.add(quoteWord(a.Target)) }

func (releaseKind) keep(own *Action, a Action) { own.Target = a.Target }

func (releaseKind) check(a Action) *RuleError {
	if !isName(a.Target) {
		return a.wrong("%q is no id of a rule; name the rule whose hold ends, as in release(stuck)", a.Target)
	}
	return nil
}

func (releaseKind) act(m *meeting) { m.release(m.plan, m.action.Target) }

func (releaseKind) pass(m *meeting) { m.release(m.plan, m.action.Target) }
