package sim

import (
	"fmt"
	"slices"

	"github.com/frayrpc/fray/faults"
)

// kept is a message of a connection that a rule keeps, or that comes after one.
type kept struct {
	packet *packet
	wait   faults.Wait
}

// passage returns one direction of a connection between two hosts, as an injector has it. What a
// host sends to itself is not on the network: nil.
func (c *socket) passage(from, to *node) *faults.Passage {
	if c.direction == nil && from != to {
		phase := faults.RequestInFlight
		if c.isSecond() {
			phase, from, to = faults.ResponseInFlight, to, from
		}
		c.direction = &faults.Passage{Phase: phase, Procedure: c.wire.procedure, From: from.name, To: to.name}
	}
	return c.direction
}

// meet has the injector judge a message of a connection, and tells of what it injects.
func (s *Sim) meet(p *packet) (v faults.Verdict) {
	i := s.injector.Load()
	if i == nil {
		return v
	}
	passage := p.socket.passage(p.from, p.to)
	if passage == nil {
		return v
	}
	v = i.Judge(passage, faults.Segment{Opens: p.kind == KindConnect, Offset: p.offset, Size: len(p.body)})
	for _, f := range v.Injected {
		s.woken = true // To release is to park.
		s.emit(&Event{
			Kind: EventFault, Message: p.kind, From: p.from.name, To: p.to.name, Procedure: p.procedure,
			Code: string(f.Rule.Action.Kind), Call: p.socket.wire.id, Fault: f.Rule.ID, Match: f.Match,
		})
		if f.Rule.Action.Kind.OnHost() {
			s.seq++
			s.queue.push(&packet{kind: kindTimer, seq: s.seq, at: s.now(), fn: func() { s.befall(f) }})
		}
	}
	return v
}

// befall does to a host what a rule says.
func (s *Sim) befall(f faults.Injection) {
	if s.lookup(f.Host) == nil {
		_ = s.fail(fmt.Errorf("fault %s: there is no host %q", f.Rule.ID, f.Host))
		return
	}
	switch f.Rule.Action.Kind {
	case faults.Crash:
		s.Crash(f.Host)
	case faults.Restart:
		s.Crash(f.Host)
		s.After(f.Rule.Action.Wait, func() {
			if !s.Running(f.Host) { // Nobody has started it meanwhile, to whom it would be another crash.
				s.Bounce(f.Host)
			}
		})
	case faults.Pause:
		s.Pause(f.Host)
		s.After(f.Rule.Action.Wait, func() { s.Resume(f.Host) })
	}
}

// keep has a message travel once it has waited, and after all that its end has sent before.
func (s *Sim) keep(p *packet, wait faults.Wait) {
	c := p.socket
	if len(c.kept) == 0 && wait.Over() {
		s.schedule(p)
		return
	}
	c.kept = append(c.kept, kept{p, wait})
	if len(c.kept) == 1 {
		s.keepers = append(s.keepers, c)
		s.keeping.Store(int32(len(s.keepers))) //nolint:gosec // Few.
		s.lookAgain(c)
	}
}

// lookAgain has the messages that an end keeps go on when the first has waited.
func (s *Sim) lookAgain(c *socket) {
	s.seq++
	s.queue.push(&packet{kind: kindTimer, seq: s.seq, at: max(s.now(), int64(c.kept[0].wait.Until().Sub(s.start))), fn: func() { s.letPass(c) }})
}

// letPass lets those messages travel that have waited, up to the first that has not.
func (s *Sim) letPass(c *socket) {
	passed := false
	for len(c.kept) > 0 && c.kept[0].wait.Over() {
		p := c.kept[0].packet
		c.kept, passed = c.kept[1:], true
		s.schedule(p)
	}
	switch {
	case !passed:
	case len(c.kept) > 0:
		s.lookAgain(c)
	default:
		c.kept = nil
		s.keepers = slices.DeleteFunc(s.keepers, func(other *socket) bool { return other == c })
		s.keeping.Store(int32(len(s.keepers))) //nolint:gosec // Few.
	}
}

// eased has the goroutine that steps look at all that is kept, in the order in which keeping began.
func (s *Sim) eased() {
	if s.keeping.Load() == 0 {
		return
	}
	s.park(&packet{kind: kindControl, done: make(chan struct{}), fn: func() {
		for _, c := range slices.Clone(s.keepers) {
			s.letPass(c)
		}
	}})
}

// turnAway refuses a connection in the name of the host that it was for.
func (s *Sim) turnAway(p *packet, wait faults.Wait) {
	s.vanish(p, "refused")
	reply := &packet{
		kind: KindReset, from: p.to, to: p.from, segment: segment{socket: p.socket.peer}, procedure: p.procedure, fault: p.fault,
		delay: s.latency(p), // It has to go there and back.
	}
	s.number(reply)
	s.keep(reply, wait)
}

// endBy has a connection end with this message, as a rule says.
func (p *packet) endBy(v *faults.Verdict) {
	keep := min(v.Keep, len(p.body))
	switch {
	case v.Cut == faults.Reset:
		p.body, p.last, p.cut = p.body[:keep], false, true
	case v.Cut == faults.Truncate && p.kind == KindBytes && (!p.last || keep < len(p.body)):
		p.body, p.last, p.early = p.body[:keep], true, true
	}
}

// isBlocked says whether rules let nothing pass from one end of a connection to the other.
func (s *Sim) isBlocked(c *socket) bool {
	i := s.injector.Load()
	if i == nil {
		return false
	}
	passage := c.passage(c.owner.node, c.peer.owner.node)
	return passage != nil && i.Blocks(passage)
}
