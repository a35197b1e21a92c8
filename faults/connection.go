package faults

import (
	"slices"
	"strings"
	"time"
)

// Connections begins what a connection has in place of a procedure: it is followed by the port that
// was dialed, as in tcp:5432.
const Connections = "tcp:"

// A Passage is one direction of a connection, for [Injector.Judge]. Its owner sets the fields once.
// It is for one goroutine at a time.
type Passage struct {
	// Phase is RequestInFlight for what the end sends that dialed, and ResponseInFlight for what the
	// other end sends.
	Phase Phase
	// Procedure is [Connections] and the port that was dialed.
	Procedure string
	// From and To are the hosts that dialed and were dialed.
	From, To string

	// What rules of a plan have begun here.
	plan *activePlan
	cuts []cut
	free time.Time // when a throttled link is free again
}

// A cut is where a passage is to end.
type cut struct {
	state *ruleState
	at    int64 // offset of the first byte that does not pass
}

// A Segment is a message of a [Passage]: what asks for the connection, grants it or breaks it off,
// or some bytes.
type Segment struct {
	// Opens: it asks for the connection.
	Opens bool
	// Offset is how many bytes of the passage come before those of the segment, and Size how many it
	// has.
	Offset int64
	Size   int
}

// A Verdict is what the rules in force do to a segment. The zero value lets it pass.
type Verdict struct {
	// Rule is the id of the rule that loses, refuses or cuts it, or else of the first that acts.
	Rule string
	// Lost: it does not arrive. Its sender may send it again, which is judged again.
	Lost bool
	// Refused: the connection that it asks for is refused.
	Refused bool
	// Cut is Reset or Truncate if the connection ends so once Keep bytes of the segment have passed.
	Cut  Kind
	Keep int
	// Wait is what it has to wait for before it goes on.
	Wait Wait
	// Injected is all that was injected. Those on hosts are left to do.
	Injected []Injection

	delay time.Duration
	rate  int64
}

// Judge says what becomes of a segment that is about to travel: by the rules of side [Network] that
// concern connections, of the plan that is in force now. It waits for nothing and calls no hooks,
// so that a simulator can judge segments one after the other in an order of its own.
func (i *Injector) Judge(p *Passage, s Segment) Verdict {
	var v Verdict
	plan := i.active.Load()
	if plan != p.plan {
		p.plan, p.cuts, p.free = plan, nil, time.Time{}
	}
	if plan == nil || plan.over() {
		return v
	}
	at := p.point(s)
	now := time.Now()
	var acting []occasion
	for _, state := range plan.rules {
		if state.match(&at) {
			if c, matches := state.judge(plan.seed, &at, now); matches && c.fires {
				acting = append(acting, c)
			}
		}
	}
	for n := range acting {
		if v.Lost || v.Refused {
			break
		}
		state := acting[n].state
		m := &meeting{Injector: i, plan: plan, point: &at, occasion: &acting[n], verdict: &v, action: &state.rule.Action}
		if !state.behaviour.begins(m) {
			continue
		}
		m.injection = i.announce(&at, &acting[n], plan.seed)
		v.Injected = append(v.Injected, m.injection)
		if v.Rule == "" {
			v.Rule = state.rule.ID
		}
		state.behaviour.pass(m)
	}
	if !v.Lost && !v.Refused {
		p.cut(&v, s)
	}
	if !v.Lost {
		p.keep(&v, s, now)
	}
	return v
}

// Blocks says whether the rules in force let nothing at all pass now. It counts nothing.
func (i *Injector) Blocks(p *Passage) bool {
	plan := i.active.Load()
	if plan == nil || plan.over() {
		return false
	}
	at := p.point(Segment{})
	now := time.Now()
	return slices.ContainsFunc(plan.rules, func(state *ruleState) bool {
		kind := state.rule.Action.Kind
		return (kind == Drop || kind == Partition || kind == Hold) && state.match(&at) && state.always(now)
	})
}

func (p *Passage) point(s Segment) point {
	return point{side: Network, phase: p.Phase, procedure: p.Procedure, from: p.From, to: p.To, whole: true, passage: p, segment: s}
}

// ends says whether a rule is to end the passage already.
func (p *Passage) ends(state *ruleState) bool {
	return p != nil && slices.ContainsFunc(p.cuts, func(c cut) bool { return c.state == state })
}

// cut has a segment end where a rule has said before.
func (p *Passage) cut(v *Verdict, s Segment) {
	end := s.Offset + int64(s.Size)
	for _, c := range p.cuts {
		if c.at <= end {
			end = c.at - 1 // The first of those at one place.
			v.Rule, v.Cut, v.Keep = c.state.rule.ID, c.state.rule.Action.Kind, int(max(0, c.at-s.Offset))
		}
	}
}

// keep adds up how long a segment takes.
func (p *Passage) keep(v *Verdict, s Segment, now time.Time) {
	if v.rate > 0 && s.Size > 0 {
		if p.free.Before(now) {
			p.free = now
		}
		p.free = p.free.Add(time.Duration(float64(s.Size) / float64(v.rate) * float64(time.Second)))
		v.Wait.until = p.free
	}
	if v.delay > 0 {
		if v.Wait.until.IsZero() {
			v.Wait.until = now
		}
		v.Wait.until = v.Wait.until.Add(v.delay)
	}
	if !v.Wait.until.IsZero() || len(v.Wait.holds) > 0 {
		v.Wait.plan = p.plan
	}
}

// lose loses a segment.
func (m *meeting) lose() { m.verdict.Lost, m.verdict.Rule = true, m.occasion.state.rule.ID }

// refuse has a connection refused.
func (m *meeting) refuse() { m.verdict.Refused, m.verdict.Rule = true, m.occasion.state.rule.ID }

// end has the passage end after some bytes.
func (m *meeting) end() {
	p := m.point.passage
	p.cuts = append(p.cuts, cut{m.occasion.state, m.point.segment.Offset + m.action.Bytes})
}

// isConnections says whether a pattern is for connections only.
func isConnections(pattern string) bool { return strings.HasPrefix(pattern, Connections) }

// checkConnection finds what a rule for connections asks of them that they do not have.
func checkConnection(r *Rule) *RuleError {
	switch {
	case !isConnections(r.Procedure):
		return nil
	case r.Side != Network:
		return wrong(fieldSide, "the rule can never act: what is on side %s has calls, and no connections; use side=%s", r.Side, Network)
	case len(r.Headers) > 0:
		return wrong(fieldHeader, "the rule can never act: a connection has no headers; take %s=%s out", fieldHeader, r.Headers[0].Name)
	}
	return behaviourOf(r.Action.Kind).atConnection(r, true)
}
