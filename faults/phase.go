package faults

import "slices"

// A Side is whose doing an injected fault looks like.
type Side string

// The sides of a call.
const (
	// Client faults are the caller's own: an interceptor of its client applies them.
	Client Side = "client"
	// Network faults are those between hosts: [Injector.RoundTripper] and [Injector.Handler] apply
	// them.
	Network Side = "network"
	// Server faults are the callee's own: an interceptor of its handler applies them.
	Server Side = "server"
)

// A Phase is a moment within a call.
type Phase string

// The phases of a call, in their order.
const (
	// RequestBeforeSend is before the client sends anything. Side [Client].
	RequestBeforeSend Phase = "request-before-send"
	// RequestInFlight is before the request arrives. Side [Network].
	RequestInFlight Phase = "request-in-flight"
	// BeforeHandler is when the request arrived and the handler has not seen it. Side [Server].
	BeforeHandler Phase = "before-handler"
	// AfterHandler is when the handler has done all that it does, and nothing has left. Side
	// [Server].
	AfterHandler Phase = "after-handler"
	// ResponseInFlight is when the response has left and the caller has not seen it. Sides
	// [Network] and [Client]. To a client it is the end of the call, so that of a stream is its
	// status.
	ResponseInFlight Phase = "response-in-flight"
)

var (
	sides  = []Side{Client, Network, Server}
	phases = []Phase{RequestBeforeSend, RequestInFlight, BeforeHandler, AfterHandler, ResponseInFlight}
)

// Phases returns all phases in their order.
func Phases() []Phase { return slices.Clone(phases) }

// Sides returns all sides.
func Sides() []Side { return slices.Clone(sides) }

// phases returns the phases in which the adapters of a side act.
func (s Side) phases() []Phase {
	switch s {
	case Client:
		return []Phase{RequestBeforeSend, ResponseInFlight}
	case Network:
		return []Phase{RequestInFlight, ResponseInFlight}
	case Server:
		return []Phase{BeforeHandler, AfterHandler}
	}
	return nil
}

// Side returns the side that a phase alone tells, or none.
func (p Phase) Side() Side {
	switch p {
	case RequestBeforeSend:
		return Client
	case BeforeHandler, AfterHandler:
		return Server
	case RequestInFlight, ResponseInFlight:
		return Network
	}
	return ""
}

// response says whether what passes in a phase goes back to the caller.
func (p Phase) response() bool { return p == AfterHandler || p == ResponseInFlight }

// sends says whether this side sends what passes in this phase, so that it can send it twice or
// later.
func (s Side) sends(p Phase) bool {
	return s == Client && p == RequestBeforeSend || s == Server && p == AfterHandler
}

func (s Side) has(p Phase) bool { return slices.Contains(s.phases(), p) }
