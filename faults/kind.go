package faults

import "strings"

// A Kind is a sort of fault. Those that end a call keep the rules behind them from it. What is to
// be known of a kind stands in the file of its name.
type Kind string

// A behaviour is all that is to be known of a kind.
type behaviour interface {
	kind() Kind
	// onHost says whether it is done to a host, and not to a message.
	onHost() bool
	// read takes from the arguments in a rule's text what the kind knows, and print adds them.
	read(a *Action, args *arguments) *RuleError
	print(a Action, args *printed)
	// keep takes from an action the fields that the kind has a use for.
	keep(own *Action, a Action)
	// check returns what is wrong with an action by itself, bounds of its numbers apart. checkPlace
	// returns why it cannot be done where a rule wants it.
	check(a Action) *RuleError
	checkPlace(r *Rule) *RuleError
	// begins says whether it acts at all; what then becomes of the point is done. act does it once
	// it is announced.
	begins(m *meeting) bool
	act(m *meeting)
	// atConnection returns why it cannot be done to what opens a connection, or to what follows. pass
	// does it, without waiting.
	atConnection(r *Rule, opens bool) *RuleError
	pass(m *meeting)
}

// behaviours are the kinds of faults there are.
var behaviours = []behaviour{
	delayKind{},
	dropKind{},
	errorKind{},
	duplicateKind{},
	reorderKind{},
	truncateKind{},
	resetKind{},
	throttleKind{},
	partitionKind{},
	holdKind{},
	releaseKind{},
	pauseKind{},
	crashKind{},
	restartKind{},
}

// behaviourOf returns that of a kind, or nil if there is no such kind.
func behaviourOf(k Kind) behaviour {
	for _, b := range behaviours {
		if b.kind() == k {
			return b
		}
	}
	return nil
}

func kinds() []Kind {
	all := make([]Kind, len(behaviours))
	for i, b := range behaviours {
		all[i] = b.kind()
	}
	return all
}

// OnHost says whether it is done to a host, by its [Hooks], and not to a message.
func (k Kind) OnHost() bool {
	b := behaviourOf(k)
	return b != nil && b.onHost()
}

// plain is a kind on messages without arguments that can be anywhere.
type plain struct{}

func (plain) onHost() bool                        { return false }
func (plain) read(*Action, *arguments) *RuleError { return nil }
func (plain) print(Action, *printed)              {}
func (plain) keep(*Action, Action)                {}
func (plain) check(Action) *RuleError             { return nil }
func (plain) checkPlace(*Rule) *RuleError         { return nil }
func (plain) begins(*meeting) bool                { return true }
func (plain) atConnection(*Rule, bool) *RuleError { return nil }

// betweenHosts is a kind that only what lies between hosts can do.
type betweenHosts struct{ plain }

func (betweenHosts) checkPlace(r *Rule) *RuleError {
	if r.Side != Network {
		return never("%s happens on side network only; use %s or %s", r.Action.Kind, RequestInFlight, ResponseInFlight)
	}
	return nil
}

// madeGoodByTCP is a kind that software with a connection does not notice.
type madeGoodByTCP struct{ plain }

func (madeGoodByTCP) atConnection(r *Rule, _ bool) *RuleError {
	return never("TCP makes good a %s before anybody reads; use %s, which costs time as that does", r.Action.Kind, Delay)
}

func (madeGoodByTCP) pass(*meeting) {}

// hostKind is a kind that a hook does to a host. If it is this host that crashes or restarts, the
// call ends without an answer.
type hostKind struct{ plain }

func (hostKind) onHost() bool { return true }

func (hostKind) check(a Action) *RuleError {
	if a.Target != "" && (!isHost(a.Target) || strings.Contains(a.Target, "*")) {
		return a.wrong("%q is no name of a host", a.Target)
	}
	return nil
}

func (hostKind) act(m *meeting) {
	m.config.Hooks.of(m.action.Kind)(m.ctx, m.injection)
	if m.action.Kind != Pause && m.injection.Host == m.point.here {
		m.outcome.ending = crashed
	}
}

// pass leaves the host to whoever judges.
func (hostKind) pass(*meeting) {}

// whileKind is one that does so for a while.
type whileKind struct{ hostKind }

func (whileKind) read(a *Action, args *arguments) *RuleError {
	if err := args.wait(&a.Wait); err != nil {
		return err
	}
	a.Target = args.host()
	return nil
}

func (whileKind) print(a Action, args *printed) {
	args.wait(a.Wait)
	args.named("host", a.Target)
}

func (whileKind) keep(own *Action, a Action) { own.Target, own.Wait = a.Target, a.Wait }
