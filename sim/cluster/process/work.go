package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/clock"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
)

// Work is a worker's process: the runtime's own worker, with the functions of the scenario, until
// ctx is done or the parent at the other end of conn is gone. All that it sees goes to the parent's
// history before anything comes of it.
//
// It returns an error when the worker cannot go on, or when the parent is gone; the process must
// end then, whatever still runs.
func Work(ctx context.Context, conn net.Conn, stderr io.Writer) error {
	p := newParent(conn)
	ended := make(chan error, 1)
	go func() { ended <- work(ctx, p, stderr) }() // Ends with the process at the latest.
	select {
	case err := <-ended:
		return err
	case <-p.gone:
		return errGone
	}
}

func work(ctx context.Context, p *parent, stderr io.Writer) error {
	s, err := p.hello()
	if err != nil {
		return err
	}
	file, err := cluster.Parse(s.File, s.Text)
	if err != nil {
		return fmt.Errorf("read scenario: %w", err)
	}
	own := cluster.Of(file)
	g := own.WorkerGroup(s.Group)
	if g == nil {
		return fmt.Errorf("set up worker: the scenario has no group %q", s.Group)
	}
	injector := faults.New(p.faults())
	defer injector.Close()
	transport, err := newTransport(s.Address, s.Controller, s.TLS)
	if err != nil {
		return err
	}
	policy, err := s.policy()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address+":0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	recorder := check.NewRecorder(p, s.Host)
	recorder.MaxPayload, recorder.Causes = int(own.Topology.Controller.MaxPayload), system.Causes
	recorder.Asked = system.Asked
	registry := prometheus.NewRegistry()
	w, err := worker.New(worker.Config{
		ControllerURL: "http://" + cluster.ControllerHost, ID: cmp.Or(g.ID, s.Host),
		Functions: recorder.Functions(system.Functions(own, g, s.Seed, func() {
			p.ask(request{Poisoned: true})
			select {} // The end of this process is under way.
		}, recorder.Told)...),
		Slots: g.Slots, Resources: g.Resources, Labels: g.Labels, MaxPrefetch: g.MaxPrefetch, MaxUnreported: int(g.MaxUnreported),
		StopGrace: time.Duration(g.StopGrace), DrainGrace: time.Duration(g.DrainGrace),
		HTTPClient:    &http.Client{Transport: injector.RoundTripper(transport, s.Host)},
		ClientOptions: []connect.ClientOption{connect.WithInterceptors(recorder.ClientInterceptor(), injector.Interceptor(s.Host))},
		Clock:         clock.Clock{Wall: clock.SetBy(s.ClockFile)},
		Token:         s.Token, TLS: s.TLS, Access: policy,
		Listener: listener, Middleware: []func(http.Handler) http.Handler{faults.WithService(injector)},
		Registerer: registry, Rand: random(s.Seed, fmt.Sprint("worker/", s.Host, "/", s.Start)),
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("make worker: %w", err), listener.Close())
	}
	scheme := "http://"
	if s.TLS.Cert != "" {
		scheme = "https://"
	}
	plan, err := faults.ParsePlan(p.ask(request{Ready: scheme + listener.Addr().String()}).Faults)
	if err == nil {
		err = injector.Apply(plan)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("apply faults: %w", err), listener.Close())
	}
	if err := w.Run(ctx); err != nil {
		return fmt.Errorf("run worker: %w", err)
	}
	metrics := map[string]float64{}
	if err := check.Scrape(metrics, registry); err != nil {
		return err
	}
	p.ask(request{Metrics: metrics})
	return nil
}

// policy returns who may call the worker; nil: everybody.
func (s *setup) policy() (func() *access.Policy, error) {
	if s.Access == "" {
		return nil, nil //nolint:nilnil // Nobody is asked, which is nothing wrong.
	}
	policy, err := access.Parse("callers", s.Access)
	if err != nil {
		return nil, err
	}
	return func() *access.Policy { return policy }, nil
}

// faults returns an injector's configuration that leaves to the parent what a host cannot do to
// itself, or to others, and whether it is done: the rule may have struck elsewhere as often as it
// may.
func (p *parent) faults() faults.Config {
	hook := func(_ context.Context, i faults.Injection) {
		p.ask(request{Strike: &strike{i.Rule.ID, i.Rule.Action.Kind, i.Host, i.Rule.Action.Wait}})
	}
	return faults.Config{
		Hooks: faults.Hooks{Pause: hook, Crash: hook, Restart: hook},
		OnInject: func(i faults.Injection) {
			if !i.Rule.Action.Kind.OnHost() {
				p.ask(request{Injected: i.Rule.ID})
			}
		},
	}
}

// random returns a source of randomness that depends on a seed and a name alone.
func random(seed uint64, name string) *rand.Rand {
	h := chance.Hash(chance.HashBasis, name)
	return rand.New(rand.NewPCG(seed^h, h))
}
