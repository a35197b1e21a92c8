package faults

// Pause calls the host's [Hooks]: it is to stand still for a while.
const Pause Kind = "pause"

type pauseKind struct{ whileKind }

func (pauseKind) kind() Kind { return Pause }

func (pauseKind) check(a Action) *RuleError {
	if err := checkWait(a); err != nil {
		return err
	}
	return hostKind{}.check(a)
}
