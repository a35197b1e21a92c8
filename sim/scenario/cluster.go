package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/sim"
)

// linger is how long a worker gathers what it has to send, so that what happens at one instant goes together.
const linger = time.Microsecond

// firstIncarnation makes lease tokens of a run look like those of any controller.
const firstIncarnation = 1000

// start adds all hosts to the network.
func (e *engine) start() {
	e.sim.Host(ControllerHost, e.controller)
	for i := range e.Topology.Workers {
		g := &e.Topology.Workers[i]
		for _, name := range g.WorkerHosts() {
			e.sim.Host(name, e.worker(g))
		}
	}
	for i := range e.Workload.Clients {
		g := &e.Workload.Clients[i]
		for _, name := range g.ClientHosts() {
			e.sim.Host(name, e.client(g))
		}
	}
}

// registry returns where a new incarnation registers its metrics.
func (e *engine) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.registries = append(e.registries, r)
	return r
}

// controller is the software of the controller.
func (e *engine) controller(ctx context.Context, h *sim.Host) error {
	cfg := e.Topology.Controller
	s, err := e.store(ctx, h)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	c, err := controller.New(controller.Config{
		Store: s, BackupDir: backupDir,
		Core: core.Config{
			Incarnation: firstIncarnation + uint64(h.Incarnation()), //nolint:gosec // It counts from 1.
			Seed:        h.Rand("core").Uint64(),
			SessionTTL:  time.Duration(cfg.SessionTTL), CancelGrace: time.Duration(cfg.CancelGrace), Retention: time.Duration(cfg.Retention),
			MaxOpenTasks: cfg.MaxOpenTasks, MaxQueuedBytes: int64(cfg.MaxQueuedBytes),
		},
		Registerer: e.registry(),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("make controller: %w", err), s.Close())
	}
	_, handler := c.Handler(connect.WithInterceptors(e.injector.Interceptor(h.Name())))
	if e.options.Controller != nil {
		handler = e.options.Controller(handler)
	}
	h.Serve(handler)
	return errors.Join(c.Run(ctx), s.Close())
}

// worker is the software of a worker.
func (e *engine) worker(g *WorkerGroup) sim.Software {
	return func(ctx context.Context, h *sim.Host) error {
		if h.Incarnation() == 1 && !started(ctx, h, time.Duration(g.StartAfter)) {
			return nil // The run is over.
		}
		recorder := e.recorder(h)
		w, err := worker.New(worker.Config{
			ControllerURL: controllerURL, ID: h.Name(), Functions: recorder.Functions(e.functions(h, g)...),
			Slots: g.Slots, Resources: g.Resources, Labels: g.Labels, MaxPrefetch: g.MaxPrefetch,
			StopGrace: time.Duration(g.StopGrace), DrainGrace: time.Duration(g.DrainGrace),
			HTTPClient:    h.Client(),
			ClientOptions: []connect.ClientOption{connect.WithInterceptors(recorder.ClientInterceptor(), e.injector.Interceptor(h.Name()))},
			Registerer:    e.registry(), Rand: h.Rand("worker"), Linger: linger,
		})
		if err != nil {
			return fmt.Errorf("make worker: %w", err)
		}
		return w.Run(ctx)
	}
}

// started waits until a worker is to start, and says whether it still is.
func started(ctx context.Context, h *sim.Host, after time.Duration) bool {
	return after == 0 || pass(ctx, after+time.Duration(h.Rand("start").Int64N(int64(jitter)))) == nil
}
