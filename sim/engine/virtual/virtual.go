package virtual

import (
	"context"
	"net"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/disk"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// virtual is the backend in virtual time: unmodified software on the hosts of a simulation.
type virtual struct {
	*sim.Sim

	run      *engine.Run
	options  *Options
	injector *faults.Injector
	// The software knows nothing of the simulation.
	unmodified bool
}

// begin has the run take place on a simulation.
func (v *virtual) begin(s *sim.Sim) {
	if v.options.Trace != nil {
		s.Trace(v.options.Trace)
	}
	v.Sim, v.injector = s, s.Injector()
	c := configOf(v.run, nil)
	v.unmodified = c.Unmodified
}

// onEvent takes in what happens in the simulation, on the goroutine that steps.
func (v *virtual) onEvent(event sim.Event) {
	switch event.Kind {
	case sim.EventCrash:
		v.run.Crashed(event.From)
	case sim.EventExit:
		if event.Code != "" {
			v.run.Failed(event.From)
		} else {
			v.run.Left(event.From)
		}
	case sim.EventPause, sim.EventSuspend:
		v.run.Paused(event.From)
	case sim.EventFault:
		v.run.Injected(event.Fault, 1)
	}
	if v.options.OnEvent != nil && !v.run.Ended() {
		v.options.OnEvent(event)
	}
}

// A Configurer is a system that wants its simulation to be other than the scenario says.
type Configurer interface {
	Configure(c *sim.Config)
}

// configOf returns the simulation that a run asks for.
func configOf(run *engine.Run, onEvent func(sim.Event)) sim.Config {
	network := &run.Scenario.Topology.Network
	latency := network.Latency
	c := sim.Config{
		Seed: run.Seed(), MaxSteps: run.Scenario.Run.MaxSteps, MaxTime: time.Duration(run.Scenario.Run.MaxVirtualTime) + engine.EndSlack,
		Link: sim.Link{
			Latency: sim.Latency{Min: time.Duration(latency.Min), Mean: time.Duration(latency.Mean), Max: time.Duration(latency.Max)},
			Loss:    float64(network.Loss),
		},
		OnEvent: onEvent,
	}
	if own, ok := run.System().(Configurer); ok {
		own.Configure(&c)
	}
	return c
}

// Stop implements engine.Backend. Software that knows nothing of the simulation ends as processes do
// that have no handler for SIGTERM.
func (v *virtual) Stop(host string) {
	if v.unmodified {
		v.Sim.Crash(host)
		return
	}
	v.Sim.Stop(host)
}

// Leave implements engine.Backend.
func (v *virtual) Leave(host string, _ time.Duration) { v.Stop(host) }

// Excuse implements engine.Backend: software that ends without an error is no failure.
func (*virtual) Excuse(string) {}

// disks returns what the system knows of disks; nil: they are the simulation's.
func (v *virtual) disks() engine.Disks {
	d, _ := v.run.System().(engine.Disks)
	return d
}

// Crash implements engine.Backend.
func (v *virtual) Crash(host, disk string) {
	switch disk {
	case scenario.DiskLost:
		v.Wipe(host)
	case scenario.DiskPowerLoss, scenario.DiskTorn:
		if d := v.disks(); d != nil {
			d.Tear(host, disk == scenario.DiskTorn)
		}
		v.PowerOff(host)
	default:
		v.Sim.Crash(host)
	}
}

// FillDisk implements engine.Backend.
func (v *virtual) FillDisk(host string, full bool) {
	if d := v.disks(); d != nil {
		d.Fill(host, full)
		return
	}
	var limit int64
	if full {
		limit = 1
	}
	v.Files(host).SetLimit(limit)
}

// FailDisk implements engine.Backend.
func (v *virtual) FailDisk(host, on string, first int) {
	if d := v.disks(); d != nil {
		d.Fail(host, on, first)
		return
	}
	v.Files(host).Fail(diskOps[on], first)
}

// diskOps are what of a disk fails, by their names.
var diskOps = map[string]disk.Op{
	scenario.DiskReads: disk.Reads, scenario.DiskWrites: disk.Writes, scenario.DiskSyncs: disk.Syncs, scenario.DiskAll: disk.All,
}

// SlowDisk implements engine.Backend.
func (v *virtual) SlowDisk(host string, by time.Duration) {
	if d := v.disks(); d != nil {
		d.Slow(host, by)
		return
	}
	v.Files(host).SetSlow(by)
}

// Injector implements engine.Backend.
func (v *virtual) Injector() engine.Injector { return v.injector }

// Start implements engine.Backend.
func (v *virtual) Start() error {
	for _, h := range v.run.Hosts() {
		if h.Role != scenario.RoleClient {
			v.Host(h.Name, v.run.System().Software(h))
			continue
		}
		work := v.run.Work(h)
		v.Host(h.Name, func(ctx context.Context, h *sim.Host) error { return work(ctx, client{h, v}) })
	}
	return nil
}

// Client implements engine.Backend. The network loses nothing of its calls: whether a run is right
// must not hang on what came of asking.
func (v *virtual) Client(name string, software engine.Work) {
	v.Sim.Client(name, func(ctx context.Context, h *sim.Host) error {
		h.Do(func() {
			for _, server := range v.run.Hosts() {
				if server.Role != scenario.RoleClient {
					v.SetLink(name, server.Name, sim.Link{})
				}
			}
		})
		return software(ctx, client{h, v})
	})
}

// client is a host of the simulation, as a Machine.
type client struct {
	*sim.Host

	v *virtual
}

// Client implements engine.Machine.
func (c client) Client() connect.HTTPClient { return c.Host.Client() }

// Dial implements engine.Machine.
func (c client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.DialContext(ctx, network, address)
}

// Interceptor implements engine.Machine.
func (c client) Interceptor() connect.Interceptor { return c.v.injector.Interceptor(c.Name()) }
