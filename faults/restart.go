package faults

// Restart calls the host's [Hooks]: it is to end, and to start again after a while. If it is this host, the call ends without an answer.
const Restart Kind = "restart"

type restartKind struct{ hostKind }

func (restartKind) kind() Kind { return Restart }

func (restartKind) read(a *Action, args *arguments) *RuleError {
	if err := args.wait(&a.Wait); err != nil {
		return err
	}
	a.Target = args.host()
	return nil
}

func (restartKind) print(a Action, args *printed) {
	args.wait(a.Wait)
	args.named("host", a.Target)
}

func (restartKind) keep(own *Action, a Action) { own.Target, own.Wait = a.Target, a.Wait }
