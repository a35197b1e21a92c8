package faults

// Crash calls the host's [Hooks]: it is to end. If it is this host, the call ends without an
// answer.
const Crash Kind = "crash"

type crashKind struct{ hostKind }

func (crashKind) kind() Kind { return Crash }

func (crashKind) read(a *Action, args *arguments) *RuleError {
	a.Target = args.host()
	return nil
}

func (crashKind) print(a Action, args *printed) { args.named("host", a.Target) }

func (crashKind) keep(own *Action, a Action) { own.Target = a.Target }
