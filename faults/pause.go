package faults

// Pause calls the host's [Hooks]: it is to stand still for a while.
const Pause Kind = "pause"

type pauseKind struct{ hostKind }

func (pauseKind) kind() Kind { return Pause }

func (pauseKind) read(a *Action, args *arguments) *RuleError {
	if err := args.wait(&a.Wait); err != nil {
		return err
	}
	a.Target = args.host()
	return nil
}

func (pauseKind) print(a Action, args *printed) {
	args.wait(a.Wait)
	args.named("host", a.Target)
}

func (pauseKind) keep(own *Action, a Action) { own.Target, own.Wait = a.Target, a.Wait }

func (pauseKind) check(a Action) *RuleError {
	if err := checkWait(a); err != nil {
		return err
	}
	return hostKind{}.check(a)
}
