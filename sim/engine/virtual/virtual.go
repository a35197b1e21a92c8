package virtual

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray/clock"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// linger is how long a worker gathers what it has to send, so that what happens at one instant goes
// together. It is odd, and messages arrive and attempts end at even nanoseconds: nothing ends at
// the instant at which a worker goes on to tell of what has ended.
const linger = time.Microsecond + time.Nanosecond

// firstIncarnation makes lease tokens of a run look like those of any controller.
const firstIncarnation = 1000

// virtual is the backend in virtual time: unmodified software on the hosts of a simulation.
type virtual struct {
	*sim.Sim

	run      *engine.Run
	options  *Options
	play     *engine.Play
	injector *faults.Injector

	mu         sync.Mutex
	recorders  map[string]*check.Recorder // of workers
	registries []*prometheus.Registry
	// The disk of the controller's last incarnation; nil: it has none.
	machine *machine
}

// begin has the run take place on a simulation.
func (v *virtual) begin(s *sim.Sim) {
	if v.options.Trace != nil {
		s.Trace(v.options.Trace)
	}
	v.Sim, v.play, v.injector, v.recorders = s, v.run.Play(), s.Injector(), map[string]*check.Recorder{}
}

// onEvent takes in what happens in the simulation, on the goroutine that steps.
func (v *virtual) onEvent(event sim.Event) {
	if !v.run.Over() {
		v.event(event)
	}
	if v.options.OnEvent != nil && !v.run.Ended() {
		v.options.OnEvent(event)
	}
}

// virtualConfig returns the simulation that a scenario asks for.
func virtualConfig(s *scenario.Scenario, seed uint64, onEvent func(sim.Event)) sim.Config {
	latency := s.Topology.Network.Latency
	var drain time.Duration // A worker that has crashed last drains before its goroutines end.
	for i := range s.Topology.Workers {
		g := &s.Topology.Workers[i]
		drain = max(drain, time.Duration(g.DrainGrace)+time.Duration(g.StopGrace))
	}
	return sim.Config{
		Seed: seed, MaxSteps: s.Run.MaxSteps, MaxTime: time.Duration(s.Run.MaxVirtualTime) + engine.EndSlack,
		LeakGrace: drain + sim.DefaultLeakGrace,
		Link: sim.Link{
			Latency: sim.Latency{Min: time.Duration(latency.Min), Mean: time.Duration(latency.Mean), Max: time.Duration(latency.Max)},
			Loss:    float64(s.Topology.Network.Loss),
		},
		OnEvent: onEvent,
	}
}

// event takes in what happens in the simulation.
func (v *virtual) event(event sim.Event) {
	switch event.Kind {
	case sim.EventCrash:
		v.crashed(event.From)
	case sim.EventPause, sim.EventSuspend:
		v.play.Paused(event.From)
	case sim.EventFault:
		v.play.Injected(event.Fault, 1)
	}
}

func (v *virtual) crashed(host string) {
	v.play.Crashed(host)
	if host == scenario.ControllerHost {
		v.play.History.Crash(host)
		return
	}
	v.mu.Lock()
	r := v.recorders[host]
	v.mu.Unlock()
	if r != nil {
		r.Crash()
	}
}

// Crash implements engine.Backend.
func (v *virtual) Crash(host, disk string) {
	switch disk {
	case scenario.DiskLost:
		v.Wipe(host)
	case scenario.DiskPowerLoss, scenario.DiskTorn:
		if m := v.disk(); m != nil {
			m.torn = disk == scenario.DiskTorn
		}
		v.PowerOff(host)
	default:
		v.Sim.Crash(host)
	}
}

// OpenBackup implements engine.Backend.
func (v *virtual) OpenBackup(name string) (store.Store, error) {
	fs := v.machine.fs
	return pebblestore.Open(pebblestore.Config{Dir: fs.PathJoin(backupDir, name), FS: fs, ReadOnly: true})
}

// Injector implements engine.Backend.
func (v *virtual) Injector() engine.Injector { return v.injector }

// Start implements engine.Backend.
func (v *virtual) Start() error {
	v.Host(scenario.ControllerHost, v.controller)
	for i := range v.play.Topology.Workers {
		g := &v.play.Topology.Workers[i]
		for _, name := range g.WorkerHosts() {
			v.Host(name, v.worker(g))
		}
	}
	for i := range v.play.Workload.Clients {
		g := &v.play.Workload.Clients[i]
		for _, name := range g.ClientHosts() {
			v.Host(name, func(ctx context.Context, h *sim.Host) error { return v.play.Client(ctx, client{h, v}, g) })
		}
	}
	return nil
}

// Client implements engine.Backend. The network loses nothing of its calls: whether a run is right
// must not hang on what came of asking.
func (v *virtual) Client(name string, software func(context.Context, engine.Machine) error) {
	v.Sim.Client(name, func(ctx context.Context, h *sim.Host) error {
		h.Do(func() { v.SetLink(name, scenario.ControllerHost, sim.Link{}) })
		return software(ctx, client{h, v})
	})
}

// Scrape implements engine.Backend.
func (v *virtual) Scrape(into map[string]float64) error {
	for _, r := range v.registries {
		if err := check.Scrape(into, r); err != nil {
			return err
		}
	}
	return nil
}

// registry returns where a new incarnation registers its metrics.
func (v *virtual) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.registries = append(v.registries, r)
	return r
}

// controller is the software of the controller.
func (v *virtual) controller(ctx context.Context, h *sim.Host) error {
	cfg := v.play.Topology.Controller
	s, err := v.store(ctx, h)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	c, err := controller.New(controller.Config{
		Store: s, BackupDir: backupDir, Clock: clocks(h),
		Core: core.Config{
			Incarnation: firstIncarnation + uint64(h.Incarnation()), //nolint:gosec // It counts from 1.
			Seed:        h.Rand("core").Uint64(),
			SessionTTL:  time.Duration(cfg.SessionTTL), CancelGrace: time.Duration(cfg.CancelGrace), Retention: time.Duration(cfg.Retention),
			MaxOpenTasks: cfg.MaxOpenTasks, MaxQueuedBytes: int64(cfg.MaxQueuedBytes),
			MaxRetained: cfg.MaxRetainedTasks, MaxRetainedBytes: int64(cfg.MaxRetainedBytes), WatchGrace: time.Duration(cfg.WatchGrace),
		},
		Registerer: v.registry(),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("make controller: %w", err), s.Close())
	}
	_, handler := c.Handler(connect.WithInterceptors(v.injector.Interceptor(h.Name())))
	if v.options.Controller != nil {
		handler = v.options.Controller(handler)
	}
	h.Serve(handler)
	return errors.Join(c.Run(ctx), s.Close())
}

// worker is the software of a worker.
func (v *virtual) worker(g *scenario.WorkerGroup) sim.Software {
	return func(ctx context.Context, h *sim.Host) error {
		if h.Incarnation() == 1 && !started(ctx, h, time.Duration(g.StartAfter)) {
			return nil // The run is over.
		}
		recorder := check.NewRecorder(v.play.History, h.Name())
		v.mu.Lock()
		v.recorders[h.Name()] = recorder
		v.mu.Unlock()
		poisoned := func() {
			h.Do(func() { v.play.Poisoned(h.Name()) })
			h.Fence()
		}
		w, err := worker.New(worker.Config{
			ControllerURL: engine.ControllerURL, ID: h.Name(), Functions: recorder.Functions(engine.Functions(v.play.Scenario, g, v.play.Seed, poisoned)...),
			Slots: g.Slots, Resources: g.Resources, Labels: g.Labels, MaxPrefetch: g.MaxPrefetch,
			StopGrace: time.Duration(g.StopGrace), DrainGrace: time.Duration(g.DrainGrace),
			HTTPClient:    h.Client(),
			ClientOptions: []connect.ClientOption{connect.WithInterceptors(recorder.ClientInterceptor(), v.injector.Interceptor(h.Name()))},
			Registerer:    v.registry(), Rand: h.Rand("worker"), Linger: linger, Clock: clocks(h),
		})
		if err != nil {
			return fmt.Errorf("make worker: %w", err)
		}
		return w.Run(ctx)
	}
}

// clocks are those of a host.
func clocks(h *sim.Host) clock.Clock { return clock.Clock{Wall: h.Now, Monotonic: h.Monotonic} }

// started waits until a worker is to start, and says whether it still is.
func started(ctx context.Context, h *sim.Host, after time.Duration) bool {
	return after == 0 || sleep.For(ctx, after+time.Duration(h.Rand("start").Int64N(int64(engine.Jitter)))) == nil
}

// client is a host of the simulation, as a Machine.
type client struct {
	*sim.Host

	v *virtual
}

// Client implements engine.Machine.
func (c client) Client() connect.HTTPClient { return c.Host.Client() }

// Interceptor implements engine.Machine.
func (c client) Interceptor() connect.Interceptor { return c.v.injector.Interceptor(c.Name()) }
