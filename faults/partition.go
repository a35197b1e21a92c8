package faults

// Partition drops what passes between two sets of hosts.
const Partition Kind = "partition"

// oneWay is the argument of a partition in one direction only.
const oneWay = "one-way"

type partitionKind struct{ betweenHosts }

func (partitionKind) kind() Kind { return Partition }

func (partitionKind) read(a *Action, args *arguments) *RuleError {
	if w, found := args.take(""); found {
		if a.OneWay = w.text == oneWay; !a.OneWay {
			return at(w.column, "%q is no way to part; use %s, or nothing for both ways; hosts are named by from= and to=", w.text, oneWay)
		}
	}
	return nil
}

func (partitionKind) print(a Action, args *printed) {
	if a.OneWay {
		args.add(oneWay)
	}
}

func (partitionKind) keep(own *Action, a Action) { own.OneWay = a.OneWay }

func (partitionKind) act(m *meeting) { m.outcome.ending = lost }

func (partitionKind) pass(m *meeting) { m.lose() }
