package faults

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/frayrpc/fray/internal/glob"
)

// An activePlan is a plan in force: its rules and what became of them.
type activePlan struct {
	seed    uint64
	rules   []*ruleState
	started time.Time
	expires time.Time     // zero: never
	done    chan struct{} // closed when it is no longer in force
}

func newActivePlan(plan Plan) *activePlan {
	a := &activePlan{seed: plan.Seed, started: time.Now(), done: make(chan struct{})}
	for _, rule := range plan.Rules {
		rule = rule.normal()
		state := &ruleState{rule: rule, behaviour: behaviourOf(rule.Action.Kind), released: make(chan struct{}), ordinals: map[entity]uint64{}}
		state.opens, state.flows = state.behaviour.atConnection(&rule, true) == nil, state.behaviour.atConnection(&rule, false) == nil
		if rule.Event == "" {
			state.armed = a.started
		}
		a.rules = append(a.rules, state)
	}
	return a
}

// again returns the plan with its counts, as it goes on after an interruption.
func (a *activePlan) again() *activePlan {
	return &activePlan{seed: a.seed, rules: a.rules, started: a.started, expires: a.expires, done: make(chan struct{})}
}

// end lets pass all that the plan holds back.
func (a *activePlan) end() { close(a.done) }

func (a *activePlan) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// concerns says whether a side has anything to do for a procedure, whatever the phase.
func (a *activePlan) concerns(side Side, procedure string) bool {
	return slices.ContainsFunc(a.rules, func(s *ruleState) bool { return s.rule.Side == side && s.matchProcedure(procedure) })
}

// expects says whether there may be something to do at a point.
func (a *activePlan) expects(p *point) bool {
	return slices.ContainsFunc(a.rules, func(s *ruleState) bool { return s.match(p) })
}

// release ends the hold of a rule.
func (a *activePlan) release(id string) bool {
	for _, state := range a.rules {
		if state.rule.ID == id && state.rule.Action.Kind == Hold {
			state.release()
			return true
		}
	}
	return false
}

// A point is where in a call something can be injected.
type point struct {
	side           Side
	phase          Phase
	procedure      string
	from, to, here string // here is which of the two this process is
	header         http.Header
	whole          bool // the call itself, which one message can be too
	message        int  // its number in the stream, or 0 if there is none
	repeatable     bool // what passes can be sent again
	content        any  // the one message of a unary call, where it is known

	passage *Passage // of a connection; nil: it is in a call
	segment Segment
}

// ruleMaxEntities bounds how many entities have numbers of their own in a rule; all others share
// theirs.
const ruleMaxEntities = 1 << 14

// A ruleState is a rule in force.
type ruleState struct {
	rule      Rule
	behaviour behaviour
	// It can be done to what opens a connection, and to what follows.
	opens, flows bool

	mu       sync.Mutex
	armed    time.Time // when windows and counts started; zero: the event has not come
	count    uint64    // of matches since then
	matched  uint64
	fired    uint64
	ordinals map[entity]uint64 // of matches, which never start anew
	freed    bool              // of a hold: it holds no more
	released chan struct{}     // of a hold: closed when freed
	waiting  chan struct{}     // of a reorder: closed once what waits is overtaken; nil: nothing waits
}

// An occasion is one match and what was decided for it.
type occasion struct {
	state   *ruleState
	fires   bool
	match   uint64
	ordinal uint64
}

func (s *ruleState) matchProcedure(procedure string) bool {
	return s.rule.Procedure == "" || glob.Match(s.rule.Procedure, procedure)
}

// match says whether a rule concerns a point, time, chance and numbers apart.
func (s *ruleState) match(p *point) bool {
	r := &s.rule
	switch {
	case r.Side != p.side, r.Phase != "" && r.Phase != p.phase:
		return false
	case r.Message == 0 && !p.whole, r.Message != 0 && p.message == 0, r.Message > 0 && r.Message != p.message:
		return false
	case !s.matchProcedure(p.procedure), !s.matchHosts(p):
		return false
	case p.passage != nil && p.segment.Opens && !s.opens, p.passage != nil && !p.segment.Opens && !s.flows:
		return false
	}
	return !slices.ContainsFunc(r.Headers, func(want Header) bool { return !slices.Contains(p.header[want.Name], want.Value) })
}

// matchHosts is about caller and callee, but for a partition about who sends what passes, and to
// whom.
func (s *ruleState) matchHosts(p *point) bool {
	r := &s.rule
	if r.Action.Kind != Partition {
		return r.From.match(p.from) && r.To.match(p.to)
	}
	sender, receiver := p.from, p.to
	if p.phase.response() {
		sender, receiver = receiver, sender
	}
	return r.From.match(sender) && r.To.match(receiver) || !r.Action.OneWay && r.From.match(receiver) && r.To.match(sender)
}

// judge counts a match and decides whether the rule acts on it.
func (s *ruleState) judge(seed uint64, p *point, now time.Time) (c occasion, matches bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.armed.IsZero() || s.freed || !s.rule.Window.contains(now.Sub(s.armed)) {
		return occasion{}, false
	}
	s.count++
	s.matched++
	who := entity{p.from, p.to, p.procedure}
	if _, known := s.ordinals[who]; !known && len(s.ordinals) >= ruleMaxEntities {
		who = entity{}
	}
	s.ordinals[who]++
	c = occasion{state: s, match: s.matched, ordinal: s.ordinals[who]}
	c.fires = s.selects(s.count)
	if c.fires && s.rule.Probability > 0 {
		draws := stream{seed, "probability", s.rule.ID, who, c.ordinal}
		c.fires = draws.rand().Float64() < s.rule.Probability
	}
	return c, true
}

// selects says whether the numbers of the rule allow the n-th match.
func (s *ruleState) selects(n uint64) bool {
	r := &s.rule
	if n <= r.After {
		return false
	}
	n -= r.After
	return (r.Nth == 0 || n == r.Nth) && (r.Every == 0 || n%r.Every == 0) && (r.First == 0 || n <= r.First)
}

// always says whether the rule acts on all that matches now.
func (s *ruleState) always(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.rule
	return !s.armed.IsZero() && !s.freed && r.Window.contains(now.Sub(s.armed)) &&
		r.Probability == 0 && r.Nth == 0 && r.Every <= 1 && r.First == 0 && s.count >= r.After
}

// act counts that the rule acts.
func (s *ruleState) act() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fired++
}

// arm starts the rule, or starts it anew.
func (s *ruleState) arm(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.count = now, 0
	if s.freed {
		s.freed, s.released = false, make(chan struct{})
	}
}

func (s *ruleState) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.freed {
		s.freed = true
		close(s.released)
	}
}

// hold returns what to wait for, and until when if the window of the rule ends.
func (s *ruleState) hold() (released <-chan struct{}, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rule.Window.Until > 0 {
		until = s.armed.Add(s.rule.Window.Until)
	}
	return s.released, until
}

// overtake returns what to close once something has passed, or nil.
func (s *ruleState) overtake() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.waiting
	s.waiting = nil
	return waiting
}

// queue returns what to wait for until it is overtaken, unless something waits already.
func (s *ruleState) queue() (overtaken chan struct{}, waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting != nil {
		return nil, false
	}
	s.waiting = make(chan struct{})
	return s.waiting, true
}

// leave takes back what queue did.
func (s *ruleState) leave(overtaken chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == overtaken {
		s.waiting = nil
	}
}

func (s *ruleState) status() RuleStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return RuleStatus{Rule: s.rule, Matched: s.matched, Fired: s.fired}
}
