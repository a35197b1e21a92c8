package fraytest

import (
	"net/http"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/faults"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/outgoing"
)

// clientName is that of job contexts in rules of faults.
const clientName = "client"

// Faults injects faults into the calls of clients and workers, by a plan as package faults reads it,
// from the start until the test ends:
//
//	fraytest.Faults("lost: drop phase=response-in-flight procedure=*/LeaseTasks every=3")
//
// Callers are worker-1 and so on, and client, which from= tells apart. A plan that is wrong fails the
// test at once, and so does one that has a host crash or pause: all are one process here. A rule that
// never acts fails the test in its end, for then the test has not shown what it seems to.
func Faults(plan string) Option { return func(o *options) { o.plan = plan } }

// network injects faults into calls.
type network struct {
	injector *faults.Injector
	serving  connect.Interceptor // of the controller
}

// newNetwork returns a network with the faults of a plan.
func newNetwork(tb testing.TB, text string) *network {
	tb.Helper()
	plan, err := faults.ParsePlan(text)
	if err != nil {
		tb.Fatalf("fraytest: faults: %v", err)
	}
	n := &network{injector: faults.New(faults.Config{
		Procedures: faults.Procedures(frayv1.File_fray_v1_controller_proto, frayv1.File_fray_v1_worker_proto),
		Network:    true,
	})}
	tb.Cleanup(n.injector.Close)                     // After all that calls has ended.
	n.serving = n.injector.Interceptor("controller") // Before the plan, which is checked against what is mounted.
	if err := n.injector.Apply(plan); err != nil {
		tb.Fatalf("fraytest: faults: %v", err)
	}
	return n
}

// end tells of rules that never acted, and lets pass what is held back.
func (n *network) end(tb testing.TB) {
	tb.Helper()
	for _, r := range n.injector.Status().Rules {
		if r.Fired == 0 && !tb.Failed() {
			tb.Errorf("fraytest: the rule %q has never acted; it matched %d times", r.Rule.String(), r.Matched)
		}
	}
	n.injector.Clear()
}

// client returns what carries the calls of a host with this name until the test ends.
func (n *network) client(tb testing.TB, name string) (*http.Client, []connect.ClientOption) {
	tb.Helper()
	client := &http.Client{Transport: n.injector.RoundTripper(outgoing.NewTransport(), name)}
	tb.Cleanup(client.CloseIdleConnections)
	return client, []connect.ClientOption{connect.WithInterceptors(n.injector.Interceptor(name))}
}
