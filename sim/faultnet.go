package sim

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/faults"
)

// Injector returns the injector of this network, which starts without a plan. Its rules of side
// network apply to every call between hosts; for those of side client and server, software puts an
// interceptor of it into its clients and handlers. Hosts go by their names. The injector's hooks
// are the verbs: crash is Crash, restart is Crash and a later Bounce, pause is Pause and a later
// Resume. What it injects is in the trace as EventFault. Close closes it.
//
// Its rules of side network also act on the messages of connections, see package faults: when a
// message leaves, by the plan that is in force then. Those on hosts strike right after it has left.
// What a host sends to itself is left alone.
//
// Calls and answers of one instant come before the injector one after the other, in the same order
// in each run, so that the numbers of a rule repeat.
func (s *Sim) Injector() *faults.Injector {
	if i := s.injector.Load(); i != nil {
		return i
	}
	s.control("make injector")
	i := faults.New(faults.Config{
		Hooks: faults.Hooks{
			Crash:   func(_ context.Context, f faults.Injection) { s.strike(f) },
			Restart: func(_ context.Context, f faults.Injection) { s.strike(f) },
			Pause:   func(_ context.Context, f faults.Injection) { s.strike(f) },
		},
		Network:     true,
		Connections: true,
		Turn:        s.turn,
		OnRelease:   s.eased,
		PeerName:    s.nameAt,
		OnInject: func(f faults.Injection) {
			if strings.HasPrefix(f.Procedure, faults.Connections) {
				return // Which meet tells of.
			}
			message := KindRequest
			if f.Phase == faults.AfterHandler || f.Phase == faults.ResponseInFlight {
				message = KindResponse
			}
			s.park(&packet{
				kind: kindFault, from: s.lookup(f.From), to: s.lookup(f.To), procedure: f.Procedure, fault: f.Rule.ID,
				fn: func() {
					s.emit(&Event{
						Kind: EventFault, Message: message, From: f.From, To: f.To, Procedure: f.Procedure,
						Code: string(f.Rule.Action.Kind), Fault: f.Rule.ID, Match: f.Match,
					})
				},
			})
		},
	})
	s.injector.Store(i)
	return i
}

// strike has a hook of the injector done by the goroutine that steps.
func (s *Sim) strike(f faults.Injection) {
	p := &packet{kind: kindControl, from: s.lookup(f.Host), done: make(chan struct{}), fn: func() { s.befall(f) }}
	s.park(p)
	<-p.done
}

// turn waits until it is a point's turn to be judged, of those that come at one instant. It says
// whether the point's host is there: what goroutines of a host that has crashed still attempt until
// they notice is nothing that happens.
func (s *Sim) turn(t faults.Turn) bool {
	p := &packet{
		kind: kindTurn, from: s.lookup(t.From), to: s.lookup(t.To), call: &call{}, procedure: string(t.Phase) + t.Procedure,
		done: make(chan struct{}),
	}
	if k, ok := t.Context.Value(callerKey{}).(*call); ok {
		p.call.id = k.id // Calls that are equal in all else have come in some order.
	}
	if m, ok := t.Message.(proto.Message); ok {
		p.body, _ = proto.MarshalOptions{Deterministic: true}.Marshal(m) // What has no encoding does not get far.
	}
	there := true
	if n := s.lookup(t.Host); n != nil {
		p.fn = func() { there = n.current != nil }
	}
	s.park(p)
	<-p.done
	return there
}

// roundTripper is a function as an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// awaitTurn waits until those calls of the same instant that come before this one have met the
// injector.
func (k *call) awaitTurn() {
	k.request = packet{
		kind: kindTurn, from: k.client.node, to: k.target, sender: k.client, call: k, procedure: k.procedure, body: k.body,
		done: make(chan struct{}),
	}
	k.sim.park(&k.request)
	<-k.request.done
}

// through makes a call that an injector has a say in.
func (c *Client) through(i *faults.Injector, k *call) (*http.Response, error) {
	// What waits in the injector must end with the host.
	ctx, cancel := context.WithCancelCause(k.sent.Context())
	unlink := context.AfterFunc(c.inc.ctx, func() {
		if c.inc.dead.Load() {
			cancel(ErrCrashed)
		}
	})
	req := k.sent.WithContext(ctx)
	if len(k.body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(k.body))
	}
	res, err := i.RoundTripper(roundTripper(c.direct), c.inc.node.name).RoundTrip(req)
	if err != nil {
		unlink()
		cancel(err)
		if c.inc.dead.Load() {
			return nil, c.inc.leave(k.streamed)
		}
		return nil, err
	}
	res.Body = &releasing{ReadCloser: res.Body, release: func() {
		unlink()
		cancel(nil)
	}}
	return res, nil
}

// releasing is a body that lets go of its call's context when it is closed.
type releasing struct {
	io.ReadCloser

	release func()
}

// Close implements io.Closer.
func (r *releasing) Close() error {
	err := r.ReadCloser.Close()
	r.release()
	return err
}
