package sim

import (
	"cmp"
	"math"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/internal/chance"
)

// How connections live through a bad network: as on Linux, whose documentation of tcp(7) and
// ip-sysctl has these numbers, and with the keepalive of package net.
const (
	connectRetry   = time.Second // doubles each time
	connectRetries = 6           // for 127 s
	bytesRetry     = 200 * time.Millisecond
	bytesRetryMax  = 2 * time.Minute
	bytesRetries   = 15 // for 924.6 s
	connectTimeout = connectRetry<<(connectRetries+1) - connectRetry
	probeInterval  = 15 * time.Second
	probes         = 9

	// splitOneIn is how many of the messages with bytes travel in two pieces.
	splitOneIn = 8
)

// loopback is the latency of a host's connections to itself, unless SetLink says otherwise.
var loopback = Latency{Min: 10 * time.Microsecond, Mean: 20 * time.Microsecond, Max: 200 * time.Microsecond}

// kernel is what a host's machine knows of a socket. Only the stepping goroutine uses it.
type kernel struct {
	open        bool // it is known
	established bool
	gone        bool // by loss of power: what it sent is lost
	entity      uint64
	sent, heard uint64 // messages with bytes
	lastAt      int64  // arrival of what was sent last
	// What is to be sent again, and what has to come after it, in order.
	stalled *packet
	waiting []*packet
	// The end of what is sent has left, and has arrived; that of the peer has.
	endSent, endArrived, endHeard bool
	heardAt                       int64
	silent                        int // probes without answer
	// What was sent and is held up on the network, in order.
	kept      []kept
	direction *faults.Passage // nil: it was not asked for yet
	bytes     int64           // that were sent
	cutOff    bool            // what was sent last was not the end, but has arrived as that
}

// segment is what of a packet only those of connections have.
type segment struct {
	socket *socket // that sends it
	port   uint16  // of a KindConnect
	place  uint64  // in the order of bytes, from 1; 0: it comes first
	tries  int     // how often it was lost
	offset int64   // how many bytes were sent before
	early  bool    // its sender does not know that it is the last
}

// isSecond says which end it is.
func (c *socket) isSecond() bool { return c == &c.wire.ends[1] }

func compareSockets(a, b *socket) int {
	second := func(c *socket) int {
		if c.isSecond() {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.wire.id, b.wire.id), cmp.Compare(second(a), second(b)))
}

// known has the machine know of an end.
func (s *Sim) known(c *socket, owner *incarnation, local, remote netip.AddrPort) {
	c.owner, c.open = owner, true
	c.local, c.remote = *net.TCPAddrFromAddrPort(local), *net.TCPAddrFromAddrPort(remote)
	c.heardAt = s.now()
	owner.node.sockets = append(owner.node.sockets, c)
}

// forget undoes known.
func (s *Sim) forget(c *socket) {
	c.open, c.stalled, c.waiting = false, nil, nil
	n := c.owner.node
	n.sockets = slices.DeleteFunc(n.sockets, func(other *socket) bool { return other == c })
}

// admitSegment takes in what software has to say to its end of a connection.
func (s *Sim) admitSegment(p *packet) {
	c, w := p.socket, p.socket.wire
	if p.kind == KindConnect {
		w.mu.Lock()
		abandoned := w.abandoned
		w.mu.Unlock()
		if abandoned {
			return
		}
		s.stats.Connections++
		w.id = uint64(s.stats.Connections) //nolint:gosec // Counts from 1.
		s.mu.Lock()
		port := p.from.nextPort()
		s.mu.Unlock()
		s.known(c, p.sender, netip.AddrPortFrom(p.from.ip(), port), netip.AddrPortFrom(p.to.ip(), p.port))
		s.number(p)
		c.entity = chance.Mix(p.flow.entity) ^ p.ordinal
		c.peer.entity = chance.Mix(c.entity)
		s.transmit(p)
		s.expire(c, connectTimeout)
		return
	}
	w.mu.Lock()
	p.body, p.last = c.pending, c.ended
	abort := c.abort && c.ended
	c.pending, c.parked = nil, false
	w.mu.Unlock()
	switch {
	case !c.open || c.endSent || len(p.body) == 0 && !p.last:
	case abort:
		s.refuse(c)
		s.forget(c)
	default:
		if bits := s.draw(forSplit, c.entity, c.sent+1); len(p.body) > 1 && bits%splitOneIn == 0 {
			first := *p
			at := 1 + int(bits>>32)%(len(p.body)-1)
			first.body, p.body, first.last = p.body[:at:at], p.body[at:], false
			s.transmit(&first)
		}
		s.transmit(p)
	}
}

// transmit lets a message leave, the first time or again.
func (s *Sim) transmit(p *packet) {
	c := p.socket
	switch {
	case p.from.paused && p.sender != nil:
		p.from.leaving = append(p.from.leaving, p)
		return
	case p.kind == KindBytes && p.place == 0:
		c.sent++
		p.place, p.offset = c.sent, c.bytes
		c.bytes += int64(len(p.body))
		c.endSent = c.endSent || p.last
	}
	if c.stalled != nil && p.kind != KindReset {
		c.wait(p)
		return
	}
	s.number(p)
	var fate Fate
	if s.cfg.Judge != nil {
		fate = s.cfg.Judge.Judge(&Message{
			Kind: p.kind, From: p.from.name, To: p.to.name, Procedure: p.procedure, Ordinal: p.ordinal, Call: c.wire.id, Time: s.Elapsed(),
			Body: p.body, Last: p.last,
		})
	}
	verdict := s.meet(p)
	p.fault = cmp.Or(fate.Fault, verdict.Rule)
	event := s.about(EventSend, p)
	event.Digest = digest(p.body)
	if p.tries > 0 {
		event.Code = "again"
	}
	s.emit(event)
	l, loss := s.route(p.from, p.to), s.cfg.Link.Loss
	switch {
	case l != nil:
		loss = l.Loss
	case p.from == p.to:
		loss = 0
	}
	switch {
	case l != nil && l.cut:
		s.lose(p, "partition")
	case fate.Drop || verdict.Lost:
		s.lose(p, "fault")
	case loss > 0 && unit(s.draw(forLoss, p.flow.entity, p.ordinal)) < loss:
		s.lose(p, "loss")
	case fate.Reset || fate.Error != nil:
		s.sever(c.wire)
	case verdict.Refused:
		s.turnAway(p, verdict.Wait)
	default:
		if fate.Truncate && fate.Keep < len(p.body) {
			p.body, p.cut = p.body[:max(fate.Keep, 0)], true
		}
		p.endBy(&verdict)
		p.delay = max(fate.Delay, 0)
		s.keep(p, verdict.Wait)
	}
}

// about is an event about a message of a connection.
func (s *Sim) about(kind EventKind, p *packet) *Event {
	at := p.from
	if kind != EventSend {
		at = p.to
	}
	return &Event{
		Kind: kind, Message: p.kind, From: p.from.name, To: p.to.name, Procedure: p.procedure, Attempt: at.count,
		Call: p.socket.wire.id, Size: len(p.body), Fault: p.fault,
	}
}

// wait keeps a message until what comes before it is on its way.
func (c *socket) wait(p *packet) {
	i, _ := slices.BinarySearchFunc(c.waiting, p, func(a, b *packet) int { return cmp.Compare(a.place, b.place) })
	c.waiting = slices.Insert(c.waiting, i, p)
}

// lose loses a message, which its sender's machine notices and sends again, up to a time.
func (s *Sim) lose(p *packet, why string) {
	s.vanish(p, why)
	c := p.socket
	if p.kind == KindReset || !c.open {
		return
	}
	if c.stalled != nil && c.stalled != p {
		if c.stalled.place < p.place {
			c.wait(p)
			return
		}
		c.wait(c.stalled)
	}
	c.stalled = p
	p.tries++
	retry, limit, retries := bytesRetry, bytesRetryMax, bytesRetries
	if p.kind != KindBytes {
		retry, limit, retries = connectRetry, math.MaxInt64, connectRetries
	}
	pause := min(retry<<(p.tries-1), limit)
	s.seq++
	s.queue.push(&packet{kind: kindTimer, seq: s.seq, at: s.now() + int64(pause), fn: func() {
		switch {
		case c.stalled != p || c.gone:
		case p.tries > retries:
			s.breakOff(c, syscall.ETIMEDOUT)
		default:
			c.stalled = nil
			s.transmit(p)
			for c.stalled == nil && len(c.waiting) > 0 {
				next := c.waiting[0]
				c.waiting = c.waiting[1:]
				s.transmit(next)
			}
		}
	}})
}

// vanish records that a message is gone.
func (s *Sim) vanish(p *packet, why string) {
	s.stats.Dropped++
	event := s.about(EventDrop, p)
	event.Code = why
	s.emit(event)
}

// arriveSegment takes in a message where it was sent to.
func (s *Sim) arriveSegment(p *packet) {
	c, peer := p.socket, p.socket.peer
	switch {
	case c.gone && p.kind != KindReset:
		s.vanish(p, "crashed")
		return
	case c.cutOff && p.kind == KindBytes:
		s.vanish(p, "late")
		return
	case p.to.dark:
		s.lose(p, "down")
		return
	case p.to.paused:
		p.to.arriving = append(p.to.arriving, p)
		return
	case p.kind == KindBytes && p.place != peer.heard+1 && peer.open:
		s.lose(p, "behind")
		return
	}
	s.stats.Delivered++
	s.emit(s.about(EventDeliver, p))
	peer.heardAt, peer.silent = s.now(), 0
	switch p.kind {
	case KindConnect:
		s.arriveConnect(p)
	case KindAccept:
		if !p.cut {
			s.arriveAccept(peer)
		}
	case KindReset:
		if peer.open {
			s.breakOff(peer, syscall.ECONNRESET)
		}
	default:
		s.arriveBytes(p)
	}
	switch {
	case p.cut:
		s.sever(c.wire)
	case p.early:
		c.cutOff, c.endSent = true, true
		if c.open {
			s.breakOff(c, syscall.ECONNRESET)
		}
	}
}

// arriveConnect takes in that a host wants a connection.
func (s *Sim) arriveConnect(p *packet) {
	c, end := p.socket, p.socket.peer
	i := p.to.current
	var l *listener
	if i != nil && !i.ended {
		s.mu.Lock()
		l = i.ports[p.port]
		s.mu.Unlock()
	}
	reply := &packet{kind: KindReset, from: p.to, to: p.from, segment: segment{socket: end}, procedure: p.procedure}
	switch {
	case l == nil:
		s.transmit(reply)
	case !l.offer(end):
		s.lose(p, "backlog")
	default:
		s.known(end, i, c.remote.AddrPort(), c.local.AddrPort())
		end.established = true
		s.letGo(l.wake)
		reply.kind = KindAccept
		s.transmit(reply)
		s.probe(end)
	}
}

// arriveAccept takes in that there is a connection.
func (s *Sim) arriveAccept(c *socket) {
	w := c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.open && w.abandoned {
		s.forget(c)
	}
	if !c.open {
		s.refuse(c)
		return
	}
	c.established = true
	s.letGo(func() { close(w.settled) })
	s.probe(c)
}

// arriveBytes takes in what a peer has written, or its end.
func (s *Sim) arriveBytes(p *packet) {
	from, c := p.socket, p.socket.peer
	if !c.open {
		s.refuse(c)
		return
	}
	c.heard++
	w := c.wire
	w.mu.Lock()
	deaf := c.deaf && len(p.body) > 0
	refused := deaf && c.shut
	switch {
	case deaf:
		from.makeRoom(len(p.body))
	default:
		c.buf = append(c.buf, p.body...)
	}
	c.eof = c.eof || p.last
	w.mu.Unlock()
	if refused {
		s.refuse(c)
		s.forget(c)
		return
	}
	s.letGo(c.wake)
	if p.last {
		from.endArrived, c.endHeard = true, true
		for _, end := range []*socket{from, c} {
			if end.endArrived && end.endHeard && end.open {
				s.forget(end)
			}
		}
	}
}
