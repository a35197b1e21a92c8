package sim

import (
	"math"
	"time"

	"github.com/frayrpc/fray/internal/chance"
)

// admit takes in what was parked.
func (s *Sim) admit(p *packet) {
	k := p.call
	if p.sender != nil && p.sender.dead.Load() && p.done == nil {
		return
	}
	switch p.kind {
	case kindExit:
		s.exited(p.sender, p.err)
		return
	case kindControl:
		if p.sender == nil || !p.sender.dead.Load() {
			p.fn()
		}
		s.letGo(func() { close(p.done) })
		return
	case kindFault:
		p.fn()
		return
	case kindTurn:
		if p.fn != nil {
			p.fn()
		}
		close(p.done)
		s.settle() // What follows from this one comes before the next.
		return
	case kindWindow:
		s.letGo(p.fn)
		return
	case KindConnect, KindBytes:
		s.admitSegment(p)
		return
	case KindRequest:
		if k.gone.Load() {
			return // Given up at the instant at which it would have left.
		}
		s.calls++
		s.stats.Calls++
		k.id = s.calls
		k.client.out[k.id] = k
	case KindCancel:
		if k.id == 0 || k.lostUp {
			return
		}
		s.retire(k)
	case KindResponse:
		if p.body, p.last = k.writer.buf, true; k.writer.pipe != nil {
			p.body, p.last = k.writer.pipe.take()
		}
		if s.ended(k, p.last) {
			return
		}
	case KindRequestData:
		if k.id == 0 || k.gone.Load() {
			return
		}
		if p.body, p.last = k.up.take(); len(p.body) == 0 && !p.last || k.lostUp {
			return
		}
	case KindResponseData:
		if p.body, p.last = k.writer.pipe.take(); len(p.body) == 0 && !p.last {
			return
		}
		if s.ended(k, p.last) {
			return
		}
	case KindReset:
		if p.fn != nil {
			p.fn()
			s.emit(&Event{Kind: EventPanic, From: p.from.name, Procedure: k.procedure, Attempt: p.from.count, Call: k.id})
		}
		if p.sender != nil && s.ended(k, true) {
			return
		}
	}
	s.number(p)
	s.send(p)
}

// ended takes in that a handler has returned, and says whether the server knows that nobody waits
// for what it sends.
func (s *Sim) ended(k *call, last bool) bool {
	if last {
		k.handled = true
		s.retire(k)
	}
	return k.cancelled || k.lostDown
}

// retire forgets what a call no longer has to be known for.
func (s *Sim) retire(k *call) {
	over := k.answered || k.gone.Load()
	if over {
		delete(k.client.out, k.id)
	}
	if over && k.handled && k.server != nil {
		delete(k.server.in, k.id)
	}
}

// send lets a message leave its host.
func (s *Sim) send(p *packet) {
	if p.socket != nil {
		s.transmit(p)
		return
	}
	if p.from.paused && p.sender != nil {
		p.from.leaving = append(p.from.leaving, p)
		return
	}
	k := p.call
	var fate Fate
	if s.cfg.Judge != nil {
		fate = s.cfg.Judge.Judge(s.describe(p))
		p.fault = fate.Fault
	}
	p.digest = digest(p.body)
	attempt := p.from.count
	s.emit(&Event{
		Kind: EventSend, Message: p.kind, From: p.from.name, To: p.to.name, Procedure: p.procedure, Code: s.code(p),
		Attempt: attempt, Call: k.id, Size: len(p.body), Digest: p.digest, Fault: p.fault,
	})
	l := s.route(p.from, p.to)
	loss := s.cfg.Link.Loss
	if l != nil {
		loss = l.Loss
	}
	switch {
	case l != nil && l.cut:
		s.drop(p, "partition")
		return
	case fate.Drop:
		s.drop(p, "fault")
		return
	case loss > 0 && unit(s.draw(forLoss, p.flow.entity, p.ordinal)) < loss:
		s.drop(p, "loss")
		return
	}
	p.delay += max(fate.Delay, 0)
	switch {
	case fate.Reset:
		s.reset(p)
		return
	case fate.Error != nil && p.kind == KindRequest:
		s.drop(p, "error")
		s.answer(p, fate.Error)
		return
	case fate.Error != nil && p.kind == KindResponse:
		s.replace(p, fate.Error)
	case fate.Truncate && fate.Keep < len(p.body):
		p.body, p.cut = p.body[:max(fate.Keep, 0)], true
	}
	for i := range min(fate.Duplicates, maxDuplicates) {
		s.duplicate(p, uint64(i)) // Small.
	}
	s.schedule(p)
}

// schedule gives a message its time of arrival, or keeps it if its link is held.
func (s *Sim) schedule(p *packet) {
	l := s.route(p.from, p.to)
	if l != nil && l.held {
		l.waiting = append(l.waiting, p)
		return
	}
	at := s.now() + 1 + int64(s.latency(p)) + min(int64(p.delay), math.MaxInt64/4)
	p.delay = 0
	var last *int64
	switch {
	case p.socket != nil:
		last = &p.socket.lastAt
	case p.kind.isUp():
		last = &p.call.lastUp
	default:
		last = &p.call.lastDown
	}
	p.at = even(max(at, *last+1))
	*last = p.at
	s.push(p)
}

// even rounds up to the instants at which messages arrive. Software whose timers end at odd ones
// never has to do with a message, or with what it set off, and with such a timer at the same
// instant.
func even(at int64) int64 { return at + at&1 }

// latency draws how long a message takes.
func (s *Sim) latency(p *packet) time.Duration {
	d := s.cfg.Link.Latency
	if p.socket != nil && p.from == p.to {
		d = loopback
	}
	if l := s.route(p.from, p.to); l != nil {
		d = l.Latency
	}
	bits := s.draw(forLatency, p.flow.entity, p.ordinal)
	// Up to a microsecond more, so that a constant latency does not make things coincide.
	return d.sample(bits) + time.Duration(chance.Mix(bits)%uint64(time.Microsecond)) // Below a thousand.
}

func (s *Sim) push(p *packet) {
	s.seq++
	p.seq = s.seq
	s.queue.push(p)
}

// drop loses a message.
func (s *Sim) drop(p *packet, why string) {
	s.stats.Dropped++
	k := p.call
	if p.kind.isUp() {
		k.lostUp = true
	} else {
		k.lostDown = true
	}
	s.emit(&Event{
		Kind: EventDrop, Message: p.kind, From: p.from.name, To: p.to.name, Procedure: p.procedure, Code: why,
		Attempt: p.to.count, Call: k.id, Fault: p.fault,
	})
}
