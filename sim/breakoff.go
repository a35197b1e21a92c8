package sim

import (
	"errors"
	"slices"
	"syscall"
	"time"
)

// Sever resets all connections between two hosts, as a gateway in between does that has forgotten
// them. Calls of [Host.Client] go on.
func (s *Sim) Sever(a, b string) {
	s.control("sever")
	from, to := s.mustNode(a), s.mustNode(b)
	s.note(EventSever, a, b)
	sockets := slices.Clone(from.sockets)
	slices.SortFunc(sockets, compareSockets)
	for _, c := range sockets {
		if c.open && c.peer.owner != nil && c.peer.owner.node == to {
			s.sever(c.wire)
		}
	}
}

// refuse has the machine of an end tell the other one that there is no connection.
func (s *Sim) refuse(c *socket) {
	w := c.wire
	from, to := c.owner.node, c.peer.owner.node
	s.transmit(&packet{kind: KindReset, from: from, to: to, segment: segment{socket: c}, procedure: w.procedure})
}

// sever has both ends see a reset, at once.
func (s *Sim) sever(w *wire) {
	for i := range w.ends {
		if c := &w.ends[i]; c.open {
			s.breakOff(c, syscall.ECONNRESET)
		}
	}
}

// breakOff ends an end with an error.
func (s *Sim) breakOff(c *socket, err error) {
	s.forget(c)
	w := c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	if !c.established && !c.isSecond() && w.err == nil {
		w.err = err
		if errors.Is(err, syscall.ECONNRESET) {
			w.err = syscall.ECONNREFUSED
		}
		s.letGo(func() { close(w.settled) })
	}
	s.letGo(c.wake)
}

// expire ends an attempt to connect that has got no answer for so long, unless it is still being made.
func (s *Sim) expire(c *socket, after time.Duration) {
	s.seq++
	s.queue.push(&packet{kind: kindProbe, seq: s.seq, at: even(s.now() + int64(after)), fn: func() {
		switch {
		case !c.open || c.established:
		case c.stalled != nil || c.owner.node.paused:
			s.expire(c, connectRetry)
		default:
			s.breakOff(c, syscall.ETIMEDOUT)
		}
	}})
}

// probe sees from time to time to it that a silent peer is there. What it sends is not in the trace.
func (s *Sim) probe(c *socket) {
	s.seq++
	s.queue.push(&packet{kind: kindProbe, seq: s.seq, at: even(s.now() + int64(probeInterval)), fn: func() {
		if !c.open {
			return
		}
		a, b := c.owner.node, c.peer.owner.node
		switch {
		case s.now()-c.heardAt < int64(probeInterval):
		case b.dark || !s.passable(a, b) || !s.passable(b, a) || s.isBlocked(c) || s.isBlocked(c.peer):
			if c.silent++; c.silent >= probes {
				s.breakOff(c, syscall.ETIMEDOUT)
				return
			}
		case !c.peer.open && !c.peer.endSent:
			s.breakOff(c, syscall.ECONNRESET)
			return
		default:
			c.silent = 0
		}
		s.probe(c)
	}})
}

func (s *Sim) passable(from, to *node) bool {
	l := s.route(from, to)
	return l == nil || !l.cut && !l.held && l.Loss < 1
}

// hangUpSockets ends the connections of a process that is gone. Its machine tells the peers, unless it has
// lost its power.
func (s *Sim) hangUpSockets(i *incarnation, silent bool) {
	s.mu.Lock()
	ports := i.ports
	i.ports = nil
	s.mu.Unlock()
	for _, l := range ports { // order-free: each for itself
		for _, c := range l.shut() {
			c.wire.mu.Lock()
			c.abort = true
			c.wire.mu.Unlock()
		}
	}
	sockets := slices.Clone(i.node.sockets)
	slices.SortFunc(sockets, compareSockets)
	for _, c := range sockets {
		if c.owner != i || !c.open {
			continue
		}
		if silent || !c.established {
			c.gone = silent
			s.breakOff(c, ErrCrashed)
			continue
		}
		c.wire.mu.Lock()
		c.parked = true // There is no need to say it.
		c.close()
		c.wire.mu.Unlock()
		s.admitSegment(&packet{kind: KindBytes, from: i.node, to: c.peer.owner.node, segment: segment{socket: c}, procedure: c.wire.procedure})
	}
}
