package faults

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/glob"
)

// Bounds of a [Rule] and a [Plan].
const (
	// MaxRules is the most rules of a plan.
	MaxRules = 1024
	// MaxRuleText is the longest text of one rule, in bytes.
	MaxRuleText = 8 << 10
	// MaxWait is the longest time that a rule may name.
	MaxWait = 24 * time.Hour
	// MaxCopies is the most further deliveries of one message.
	MaxCopies = 16
)

// EveryMessage as a rule's Message selects all messages.
const EveryMessage = -1

// A Rule says where, in which phase, when, and what to inject. It is plain data: it prints as one
// line of text that [ParseRule] reads back as the same rule. The zero value of every field but ID
// and Action asks for nothing. A rule must not be changed once a plan with it is applied.
type Rule struct {
	// ID names the rule in its plan: letters, digits, '-', '_' and '.'. What is left to chance
	// depends on it.
	ID string
	// Action is what to inject.
	Action Action

	// Side is whose doing it looks like. Empty: that of Phase, else [Network].
	Side Side
	// Phase is the moment within a call. Empty: the first that the side has; a partition concerns
	// both.
	Phase Phase
	// Message selects the n-th message of a stream in the direction of Phase, or [EveryMessage], in
	// place of the stream as a whole. The one message of a unary call is its first. 0: the call.
	Message int

	// Procedure is a pattern such as "/acme.v1.PingService/*" in which each * stands for any text.
	// For connections it is "tcp:" and a port or *, see doc.go. Empty: all.
	Procedure string
	// From and To are the hosts of caller and callee. For a partition they are its two sides.
	// Empty: all.
	From, To Hosts
	// Headers must all be among those of the request.
	Headers []Header

	// Probability is that of acting on a match, above 0 and at most 1. 0: always.
	Probability float64
	// After skips so many matches; Nth, Every and First then count on from 1. All that are set must
	// hold.
	After uint64
	// Nth acts on that match only, Every on each n-th one, First on so many at the start. 0: no
	// such limit.
	Nth, Every, First uint64
	// Window is when to act, counted from the moment when the plan was applied, or the event came.
	Window Window
	// Event names what the host must announce with [Injector.Signal] first. Empty: nothing.
	Event string
}

// A Window is the time from From until Until; the zero value is all time.
type Window struct {
	From  time.Duration
	Until time.Duration // 0: without end
}

func (w Window) contains(elapsed time.Duration) bool {
	return elapsed >= w.From && (w.Until == 0 || elapsed < w.Until)
}

// A Header is a name and one value that it has.
type Header struct {
	Name  string // canonical, as http.CanonicalHeaderKey has it
	Value string
}

// Hosts is a set of patterns for names of hosts, in which each * stands for any text. A pattern
// without a port matches a host with any.
type Hosts []string

// match says whether the set has a host; an empty one has all.
func (h Hosts) match(host string) bool {
	if len(h) == 0 {
		return true
	}
	bare := withoutPort(host)
	return slices.ContainsFunc(h, func(pattern string) bool {
		return glob.Match(pattern, host) || bare != host && glob.Match(pattern, bare)
	})
}

// withoutPort returns the host of host:port, and anything else as it is.
func withoutPort(address string) string {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 || strings.Count(address, ":") > 1 && !strings.HasSuffix(address[:colon], "]") {
		return address
	}
	return strings.Trim(address[:colon], "[]")
}

// Phases returns the phases in which the rule acts: one, or for a partition without a phase both of
// the network.
func (r Rule) Phases() []Phase {
	normal := r.normal()
	if normal.Phase == "" {
		return normal.Side.phases()
	}
	return []Phase{normal.Phase}
}

// normal returns the rule with everything said that follows from the rest.
func (r Rule) normal() Rule {
	r.Side = cmp.Or(r.Side, r.Phase.Side(), Network)
	if r.Phase == "" && r.Action.Kind != Partition {
		if phases := r.Side.phases(); len(phases) > 0 {
			r.Phase = phases[0]
		}
	}
	if r.Procedure == "*" {
		r.Procedure = ""
	}
	r.From, r.To = r.From.normal(), r.To.normal()
	r.Headers = slices.Clone(r.Headers)
	for i := range r.Headers {
		r.Headers[i].Name = http.CanonicalHeaderKey(r.Headers[i].Name)
	}
	if len(r.Headers) == 0 {
		r.Headers = nil
	}
	if r.Probability == 1 {
		r.Probability = 0
	}
	r.Action = r.Action.normal()
	return r
}

func (h Hosts) normal() Hosts {
	if len(h) == 0 || slices.Contains(h, "*") {
		return nil
	}
	return slices.Clone(h)
}
