package faults

// Reset breaks the connection after some bytes of a body.
const Reset Kind = "reset"

type resetKind struct{ betweenHosts }

func (resetKind) kind() Kind { return Reset }

func (resetKind) read(a *Action, args *arguments) *RuleError { return args.bytes(&a.Bytes) }

func (resetKind) print(a Action, args *printed) { args.bytes(a.Bytes) }

func (resetKind) keep(own *Action, a Action) { own.Bytes = a.Bytes }

func (resetKind) act(m *meeting) { m.outcome.reset = least(m.outcome.reset, m.action.Bytes) }

func (resetKind) begins(m *meeting) bool { return !m.point.passage.ends(m.occasion.state) }

func (resetKind) pass(m *meeting) {
	if m.point.segment.Opens && m.action.Bytes == 0 {
		m.refuse()
		return
	}
	m.end()
}
