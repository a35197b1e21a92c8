package faults

// Truncate ends a body after some bytes, so that its reader sees an unexpected EOF.
const Truncate Kind = "truncate"

type truncateKind struct{ betweenHosts }

func (truncateKind) kind() Kind { return Truncate }

func (truncateKind) read(a *Action, args *arguments) *RuleError { return args.bytes(&a.Bytes) }

func (truncateKind) print(a Action, args *printed) { args.bytes(a.Bytes) }

func (truncateKind) keep(own *Action, a Action) { own.Bytes = a.Bytes }

func (truncateKind) act(m *meeting) { m.outcome.truncate = least(m.outcome.truncate, m.action.Bytes) }

func (truncateKind) begins(m *meeting) bool { return !m.point.passage.ends(m.occasion.state) }

func (truncateKind) pass(m *meeting) { m.end() }

// least returns the lower of two limits, where one below 0 is none.
func least(a, b int64) int64 {
	if a < 0 {
		return b
	}
	return min(a, b)
}
