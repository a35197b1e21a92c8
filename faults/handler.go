package faults

import (
	"context"
	"io"
	"net/http"

	"connectrpc.com/connect"
)

// Handler returns a handler that applies the faults of side [Network] to what calls a host. host is
// its name; From is as [Config].PeerName says. Put the network's adapter on one end of a wire: on
// both, a rule acts twice.
//
// An injected Error is answered in the caller's protocol, as by a proxy. What is dropped occupies
// its connection until the caller leaves.
//
// It sees calls, and no connections: what takes connections over to serve HTTP/2 on them, as
// h2c.NewHandler does, belongs around it, or their calls pass it by, of which [RuleStatus].Idle
// tells. HTTP/2 that http.Server itself serves needs nothing.
func (i *Injector) Handler(next http.Handler, host string) http.Handler {
	i.mounted.handler.Store(true)
	return &handler{i, next, host, connect.NewErrorWriter()}
}

type handler struct {
	injector *Injector
	next     http.Handler
	host     string
	errors   *connect.ErrorWriter
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if startsHTTP2(r) {
		h.next.ServeHTTP(&taking{w, &h.injector.mounted}, r)
		return
	}
	if h.injector.active.Load() == nil {
		h.next.ServeHTTP(w, r)
		return
	}
	p := point{
		side: Network, phase: RequestInFlight, procedure: procedureOf(r.URL.Path), header: r.Header, whole: true,
		to: h.host, here: h.host, repeatable: repeatable(r),
	}
	plan := h.injector.plan(Network, p.procedure)
	if plan == nil {
		h.next.ServeHTTP(w, r)
		return
	}
	p.from = h.injector.peerName(r.RemoteAddr)
	request := h.injector.meet(r.Context(), plan, &p)
	defer request.passed()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	answer := &reply{ResponseWriter: w, handler: h, request: r, plan: plan, point: p, left: -1, cancel: cancel}
	answer.point.phase, answer.point.repeatable = ResponseInFlight, false
	if request.ending != goesOn || request.reset == 0 {
		answer.end(&request)
		return
	}
	r = h.deliver(r, plan, &request)
	if answer.body = request.shape(r.Context(), plan, r.Body); answer.body != nil {
		r = withBody(r, answer.body)
	} else if !plan.expects(&answer.point) {
		h.next.ServeHTTP(w, r)
		return
	}
	h.next.ServeHTTP(answer.writer(), r.WithContext(ctx))
	request.passed()
	answer.finish()
}

// deliver hands copies of a request to the handler if the plan says so, and returns the one whose
// answer counts.
func (h *handler) deliver(r *http.Request, plan *activePlan, o *outcome) *http.Request {
	if o.copies == 0 {
		return r
	}
	body, err := replay(r)
	if err != nil {
		return r // its own reader finds the same
	}
	for range o.copies {
		again := r.Clone(r.Context()) // handlers may change headers
		again.Body = body()
		if o.later == 0 {
			h.next.ServeHTTP(&discardWriter{header: http.Header{}}, again)
			continue
		}
		wait := o.later
		h.injector.later(r.Context(), plan, func(ctx context.Context) {
			// As net/http does, so that a handler that panics ends nothing else.
			defer func() { _ = recover() }()
			if passTime(ctx, plan, nil, wait); ctx.Err() == nil && !plan.over() {
				h.next.ServeHTTP(&discardWriter{header: http.Header{}}, again.WithContext(ctx))
			}
		})
	}
	return withBody(r, body())
}

// A discardWriter takes an answer that nobody gets.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header       { return w.header }
func (*discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (*discardWriter) WriteHeader(int)             {}
func (*discardWriter) Flush()                      {}

// drain reads what is left of a request, so that net/http notices when the caller leaves.
func drain(r *http.Request) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}
