package system

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/clock"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// linger is how long a worker gathers what it has to send, so that what happens at one instant goes
// together. It is odd, and messages arrive and attempts end at even nanoseconds: nothing ends at
// the instant at which a worker goes on to tell of what has ended.
const linger = time.Microsecond + time.Nanosecond

// firstIncarnation makes lease tokens of a run look like those of any controller.
const firstIncarnation = 1000

// Configure implements virtual.Configurer: a worker that has crashed last drains before its
// goroutines end.
func (s *System) Configure(c *sim.Config) {
	var drain time.Duration
	for i := range s.Topology.Workers {
		g := &s.Topology.Workers[i]
		drain = max(drain, time.Duration(g.DrainGrace)+time.Duration(g.StopGrace))
	}
	c.LeakGrace = drain + sim.DefaultLeakGrace
}

// Software implements engine.System.
func (s *System) Software(h scenario.Host) sim.Software {
	switch {
	case h.Role == cluster.RoleDatabase:
		return s.database
	case h.Role == cluster.RoleController && s.isShared():
		return s.member
	case h.Role == cluster.RoleController:
		return s.controller
	default:
		return s.worker(s.WorkerGroup(h.Group))
	}
}

// interceptor injects the faults of a simulated host's own side.
func (s *System) interceptor(h *sim.Host) connect.Interceptor {
	return s.run.Backend().Injector().Interceptor(h.Name())
}

// OpenBackup implements Place.
func (s *System) OpenBackup(name string) (store.Store, error) {
	fs := s.machine.fs
	return pebblestore.Open(pebblestore.Config{Dir: fs.PathJoin(backupDir, name), FS: fs, ReadOnly: true})
}

// Scrape implements Place.
func (s *System) Scrape(into map[string]float64) error {
	for _, r := range s.registries {
		if err := check.Scrape(into, r); err != nil {
			return err
		}
	}
	return nil
}

// registry returns where a new incarnation registers its metrics.
func (s *System) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registries = append(s.registries, r)
	return r
}

// controller is the software of the controller.
func (s *System) controller(ctx context.Context, h *sim.Host) error {
	records, err := s.store(ctx, h)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	closed := false
	defer func() { // Where the host has crashed while it opened its store, it ends below.
		if !closed {
			_ = records.Close()
		}
	}()
	config := s.controllerConfig(h)
	config.Store, config.BackupDir = records, backupDir
	config.Core.Incarnation = firstIncarnation + uint64(h.Incarnation()) //nolint:gosec // It counts from 1.
	c, err := controller.New(config)
	if err != nil {
		return fmt.Errorf("make controller: %w", err)
	}
	if err := s.serve(h, c.Handler); err != nil {
		return err
	}
	err = c.Run(ctx)
	closed = true
	return errors.Join(err, records.Close())
}

// controllerConfig is that of a controller, but for where it keeps its records.
func (s *System) controllerConfig(h *sim.Host) controller.Config {
	cfg := s.Topology.Controller
	return controller.Config{
		Clock: clocks(h), Keys: keys(h),
		Core: core.Config{
			Seed:       h.Rand("core").Uint64(),
			SessionTTL: time.Duration(cfg.SessionTTL), CancelGrace: time.Duration(cfg.CancelGrace), Retention: time.Duration(cfg.Retention),
			MaxOpenTasks: cfg.MaxOpenTasks, MaxQueuedBytes: int64(cfg.MaxQueuedBytes),
			MaxRetained: cfg.MaxRetainedTasks, MaxRetainedBytes: int64(cfg.MaxRetainedBytes), WatchGrace: time.Duration(cfg.WatchGrace),
			MaxClasses: cfg.MaxClasses, MaxJobs: cfg.MaxJobs, MaxSessions: cfg.MaxSessions, MaxWatchers: cfg.MaxWatchers,
			MaxObjectBytes: int64(cfg.MaxObjectBytes), ObjectGrace: time.Duration(cfg.ObjectGrace), UploadGrace: time.Duration(cfg.ObjectGrace),
			MaxUnknown: cfg.MaxUnknown, MaxGrantBytes: int(cfg.MaxGrant),
		},
		MaxCalls: cfg.MaxCalls, MaxPayloadBytes: int(cfg.MaxPayload),
		MemoryLimit: -1, // That of the machine that simulates is none of the cluster's.
		Registerer:  s.registry(), Inspect: s.inspect(h),
	}
}

// serve has a host serve what a controller's Handler returns.
func (s *System) serve(h *sim.Host, of func(...connect.HandlerOption) (string, http.Handler)) error {
	_, handler := of(connect.WithInterceptors(s.interceptor(h)))
	if s.options.Controller != nil {
		handler = s.options.Controller(handler)
	}
	handler, err := s.guarded(handler)
	if err != nil {
		return fmt.Errorf("guard controller: %w", err)
	}
	h.Serve(handler)
	return nil
}

// keys is what a controller draws its secrets from: here they are anything but.
func keys(h *sim.Host) io.Reader {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], h.Rand("keys").Uint64())
	return rand.NewChaCha8(seed)
}

// worker is the software of a worker.
func (s *System) worker(g *cluster.WorkerGroup) sim.Software {
	return func(ctx context.Context, h *sim.Host) error {
		if h.Incarnation() == 1 && !started(ctx, h, time.Duration(g.StartAfter)) {
			return nil // The run is over.
		}
		recorder := check.NewRecorder(s.history, h.Name())
		recorder.MaxPayload, recorder.Causes = int(s.Topology.Controller.MaxPayload), Causes
		recorder.Asked = Asked
		s.mu.Lock()
		s.recorders[h.Name()] = recorder
		s.mu.Unlock()
		poisoned := func() {
			h.Do(func() { s.Poisoned(h.Name()) })
			h.Fence()
		}
		w, err := worker.New(worker.Config{
			ControllerURL: s.ControllerURL(), ID: cmp.Or(g.ID, h.Name()), Functions: recorder.Functions(Functions(s.Scenario, g, s.run.Seed(), poisoned, recorder.Told)...),
			Slots: g.Slots, Resources: g.Resources, Labels: g.Labels, MaxPrefetch: g.MaxPrefetch, MaxUnreported: int(g.MaxUnreported),
			StopGrace: time.Duration(g.StopGrace), DrainGrace: time.Duration(g.DrainGrace),
			HTTPClient: h.Client(), Token: s.TokenOf(h.Name()),
			ClientOptions: []connect.ClientOption{connect.WithInterceptors(recorder.ClientInterceptor(), s.interceptor(h))},
			Registerer:    s.registry(), Inspect: s.inspect(h), Rand: h.Rand("worker"), Linger: linger, Clock: clocks(h),
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
