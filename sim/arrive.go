package sim

import (
	"context"
	"io"
	"net/http"
)

// arrive takes a message in where it was sent to.
func (s *Sim) arrive(p *packet) {
	k := p.call
	if l := s.route(p.from, p.to); l != nil {
		if l.cut && p.socket != nil {
			s.lose(p, "partition")
			return
		}
		if l.cut {
			s.drop(p, "partition")
			return
		}
		if l.held {
			l.waiting = append(l.waiting, p)
			return
		}
	}
	if p.socket != nil {
		s.arriveSegment(p)
		return
	}
	switch {
	case p.sender != nil && p.sender.dead.Load():
		s.drop(p, "crashed")
		return
	case p.to.paused:
		p.to.arriving = append(p.to.arriving, p)
		return
	}
	switch p.kind {
	case KindRequest:
		s.arriveRequest(p)
	case KindRequestData:
		if k.server == nil || k.server.dead.Load() || k.handled {
			s.drop(p, "late")
			return
		}
		s.arrived(p)
		k.bring(k.up, p)
	case KindCancel:
		if k.server == nil || k.server.dead.Load() || k.handled {
			s.drop(p, "late")
			return
		}
		s.arrived(p)
		s.cancelled(k)
	default:
		s.arriveReply(p)
	}
}

// arrived records that a message is there.
func (s *Sim) arrived(p *packet) {
	s.stats.Delivered++
	s.emit(&Event{
		Kind: EventDeliver, Message: p.kind, From: p.from.name, To: p.to.name, Procedure: p.procedure,
		Attempt: p.to.count, Call: p.call.id, Size: len(p.body), Fault: p.fault,
	})
}

func (s *Sim) arriveRequest(p *packet) {
	k, i := p.call, p.to.current
	if i == nil || i.ended || i.handler.Load() == nil {
		if p.to.dark {
			s.drop(p, "down")
			return
		}
		s.drop(p, "refused")
		if !k.gone.Load() {
			k.lostDown = false
			s.admit(k.resetBy(p.to, errRefused()))
		}
		return
	}
	s.arrived(p)
	k.server = i
	i.in[k.id] = k
	k.ctx, k.cancel = context.WithCancelCause(context.WithValue(i.serving, callerKey{}, k))
	k.writer.call = k
	k.payload.data = p.body
	if p.cut {
		k.payload.err = io.ErrUnexpectedEOF
	}
	s.serve(k)
}

// cancelled tells a handler that its caller is gone.
func (s *Sim) cancelled(k *call) {
	k.cancelled = true
	s.letGo(func() { k.hangUp(context.Canceled) })
}

// letGo has software go on, by what f does, before virtual time does.
func (s *Sim) letGo(f func()) {
	s.later = append(s.later, f)
	s.woken = true
}

// hangUp tells a handler that its connection is gone. Both bodies are at their end before its
// context is: what the handler does once it knows of the one must not depend on whether it was in
// time for the other.
func (k *call) hangUp(err error) {
	k.up.spoil(err)
	k.writer.pipe.halt()
	k.cancel(context.Canceled)
	k.up.reopen()
	k.writer.pipe.reopen()
}

// arriveReply takes in what goes to the caller.
func (s *Sim) arriveReply(p *packet) {
	k := p.call
	if k.gone.Load() || k.answered {
		s.drop(p, "late")
		return
	}
	s.arrived(p)
	first := k.res == nil
	if p.last || p.cut {
		k.answered = true
		s.retire(k)
		k.up.stop()
	}
	switch {
	case p.kind == KindReset && first:
		k.fulfil(nil, p.err)
	case p.kind == KindReset:
		k.down.fail(p.err)
	case p.kind == KindResponseData:
		k.bring(k.down, p)
	case k.writer.pipe != nil && p.reply == nil:
		k.down = k.writer.pipe
		res := k.outgoing(k.writer.status, k.writer.snap, nil) //nolint:bodyclose // Its receiver closes it.
		k.bring(k.down, p)
		k.fulfil(res, nil)
	default:
		w := p.writer()
		k.reply.data, k.reply.owner = p.body, k.client
		if p.cut {
			k.reply.err = io.ErrUnexpectedEOF
		}
		var res *http.Response
		if trailer := w.trailer(); trailer != nil {
			k.reply.end = func() { received(&res.Trailer, trailer) }
		}
		res = k.outgoing(w.status, w.snap, &k.reply) //nolint:bodyclose // Its receiver closes it.
		k.fulfil(res, nil)
	}
}

// writer is what a response was written to.
func (p *packet) writer() *responder {
	if p.reply != nil {
		return p.reply
	}
	return &p.call.writer
}

// bring gives a stream's reader what has arrived.
func (k *call) bring(to *pipe, p *packet) {
	if p.cut {
		to.finish(p.body, io.ErrUnexpectedEOF)
		to.stop()
		return
	}
	to.bring(p.body, p.last)
}
