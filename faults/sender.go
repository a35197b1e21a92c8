package faults

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
)

// A sender applies what a plan says to the messages that one end of a stream sends. Its methods are
// for one goroutine at a time.
type sender struct {
	injector *Injector
	plan     *activePlan
	point    point
	send     func(any) error
	count    int
	ended    bool // the plan ended the stream

	// turn is for sending and for what follows; a channel, because sending can block.
	turn  chan struct{}
	kept  proto.Message // goes out behind the next message or after a while; nil: none
	err   error         // of sending what was kept
	timer *time.Timer   // sends what is kept
	sent  chan struct{} // closed when timer has done so
}

func newSender(injector *Injector, plan *activePlan, p point, send func(any) error) *sender {
	return &sender{injector: injector, plan: plan, point: p, send: send, turn: make(chan struct{}, 1)}
}

// message sends one message, or does what becomes of it. It waits, and perhaps ends, with ctx.
func (s *sender) message(ctx context.Context, message any) error {
	s.count++
	p := s.point
	p.whole, p.message, p.repeatable = false, s.count, true
	o := s.injector.meet(ctx, s.plan, &p)
	defer o.passed()
	if o.ending == lost && ctx.Err() == nil {
		return nil
	}
	if err := s.injector.ended(ctx, &p, &o); err != nil {
		s.ended = true
		return err
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.err != nil {
		return s.err
	}
	if m, ok := message.(proto.Message); ok && o.keep > 0 && s.kept == nil {
		s.keep(proto.Clone(m), o.keep) // a clone, because the caller may use its message again
		return nil
	}
	for range 1 + o.copies {
		if err := s.send(message); err != nil {
			return err
		}
	}
	return s.release()
}

// keep sets a message aside until another was sent, or for a while. The caller has the turn.
func (s *sender) keep(message proto.Message, longest time.Duration) {
	s.settle()
	s.kept, s.sent = message, make(chan struct{})
	s.timer = time.AfterFunc(longest, func() {
		defer close(s.sent)
		s.turn <- struct{}{}
		defer func() { <-s.turn }()
		_ = s.release() // the next call returns it
	})
}

// release sends what is kept. The caller has the turn.
func (s *sender) release() error {
	if s.kept != nil {
		kept := s.kept
		s.kept = nil
		s.err = s.send(kept)
	}
	return s.err
}

// settle stops the timer, or waits for what it does.
func (s *sender) settle() {
	if s.timer == nil {
		return
	}
	if !s.timer.Stop() {
		<-s.sent
	}
	s.timer = nil
}

// finish sends what is kept, and returns when nothing of the sender runs any more.
func (s *sender) finish() error {
	s.settle()
	return s.release()
}
