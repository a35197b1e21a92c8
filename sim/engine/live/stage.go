package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/wall"
	"github.com/frayrpc/fray/sim/scenario"
)

const (
	// commandTime is how long a command of the operator's may take, and startTime how long a host
	// may take after its start until its fault service answers.
	commandTime = 30 * time.Second
	startTime   = time.Minute
	// leaveTime is how long clients may take to end.
	leaveTime = 10 * time.Second
)

// A stage is the backend: servers that run somewhere, and clients in this process.
type stage struct {
	*wall.Loop

	run    *engine.Run
	config Config
	faults *injector

	// over is done when the run is, and tasks are the goroutines that end then.
	over  context.Context //nolint:containedctx // Clients live as long as the stage.
	end   context.CancelFunc
	tasks sync.WaitGroup

	// For the goroutine of RunUntil.
	servers map[string]*server
	clients map[string]*client
}

// A server is a host that runs somewhere.
type server struct {
	url *url.URL
	// It has ended, and is being started; it was asked to end, which it is left to itself to do; it
	// stands still.
	down, starting, left, paused bool
	// How often it has been started.
	starts int
}

func open(ctx context.Context, run *engine.Run, config Config) (*stage, error) {
	s := &stage{Loop: wall.NewLoop(), run: run, config: config, servers: map[string]*server{}, clients: map[string]*client{}}
	for name, text := range config.Hosts { // order-free: each by itself
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("host %s: %w", name, err)
		}
		s.servers[name] = &server{url: u}
	}
	s.over, s.end = context.WithCancel(ctx)
	s.faults = newInjector(s)
	return s, nil
}

// close ends the clients, and what is left of the faults.
func (s *stage) close() error {
	s.end()
	s.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.tasks.Wait()
	}()
	timer := time.NewTimer(leaveTime)
	defer timer.Stop()
	var err error
	select {
	case <-ended:
	case <-timer.C:
		err = &engine.LeftoverError{Hosts: []string{"a client"}}
	}
	for _, c := range s.clients { // order-free: all of them
		c.transport.CloseIdleConnections()
	}
	s.faults.close()
	return err
}

// Start implements engine.Backend: the clock begins when all servers have answered.
func (s *stage) Start() error {
	if err := s.faults.find(); err != nil {
		return err
	}
	s.Begin()
	if err := s.faults.begin(); err != nil {
		return err
	}
	for _, h := range s.run.HostsOf(scenario.RoleClient) {
		s.start(h.Name, s.run.Work(h))
	}
	s.tasks.Go(s.faults.watch)
	return nil
}

// Rand implements engine.Backend.
func (s *stage) Rand(name string) *rand.Rand { return random(s.run.Seed(), name) }

// random returns a source of randomness that depends on a seed and a name alone.
func random(seed uint64, name string) *rand.Rand { return chance.New(seed, "live/"+name, 0) }

// Mark implements engine.Backend. Nobody reads a trace.
func (*stage) Mark(string) {}

// Hash implements engine.Backend: nothing would repeat the run.
func (*stage) Hash() uint64 { return 0 }

// Stats implements engine.Backend.
func (*stage) Stats() sim.Stats { return sim.Stats{} }

// Injector implements engine.Backend.
func (s *stage) Injector() engine.Injector { return s.faults }

// Client implements engine.Backend.
func (s *stage) Client(name string, software engine.Work) { s.start(name, software) }

// Running implements engine.Backend.
func (s *stage) Running(host string) bool {
	if c := s.clients[host]; c != nil {
		return c.running()
	}
	v := s.servers[host]
	return v != nil && !v.down && !v.left
}

// command has an operator's command done to a host.
func (s *stage) command(line, host, what string) { s.FailIf(s.operate(line, host, what, 0)) }

// operate runs an operator's command for a host, which may take commandTime and a grace on top. What
// it says once the run is over is no error.
func (s *stage) operate(line, host, what string, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(s.over, commandTime+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Env = append(slices.Clone(s.config.Environ), "FRAY_HOST="+host, fmt.Sprintf("FRAY_GRACE=%d", number.Seconds(grace)))
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil && s.over.Err() == nil {
		return fmt.Errorf("%s %s with %q: %w\n%s", what, host, line, err, out)
	}
	return nil
}

// Crash implements engine.Backend. The disk is kept: a scenario that asks for less is not suitable.
func (s *stage) Crash(host, _ string) {
	v := s.servers[host]
	if v == nil || v.down {
		return
	}
	v.down, v.paused = true, false
	s.faults.collect()
	s.command(s.config.Crash, host, "crash")
	s.faults.lost(host)
	s.run.Crashed(host)
}

// Bounce implements engine.Backend. The host counts as running once its fault service has answered.
func (s *stage) Bounce(host string) {
	v := s.servers[host]
	if v == nil || !v.down || v.starting {
		return
	}
	v.starting = true
	v.starts++
	s.command(s.config.Start, host, "start")
	s.tasks.Go(func() {
		err := s.faults.await(host)
		s.Post(func() {
			v.down, v.starting = false, false
			if s.over.Err() == nil {
				s.FailIf(err)
			}
			s.faults.back(host)
		})
	})
}

// Leave implements engine.Backend: the operator's command returns when the host has ended.
func (s *stage) Leave(host string, grace time.Duration) {
	v := s.servers[host]
	if v == nil || v.down {
		return
	}
	s.faults.collect()
	starts := v.starts
	s.tasks.Go(func() {
		err := s.operate(s.config.Stop, host, "stop", grace)
		s.Post(func() {
			if v.down || v.starts != starts {
				return // It was killed meanwhile.
			}
			v.down, v.paused = true, false
			s.FailIf(err)
			s.faults.lost(host)
			s.run.Left(host)
		})
	})
}

// Excuse implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) Excuse(string) {}

// Stop implements engine.Backend: clients end, and servers are left as they are.
func (s *stage) Stop(host string) {
	if c := s.clients[host]; c != nil {
		c.stop()
	} else if v := s.servers[host]; v != nil {
		v.left = true
	}
}

// Pause implements engine.Backend.
func (s *stage) Pause(host string) {
	if v := s.servers[host]; v != nil && !v.down && !v.paused {
		v.paused = true
		s.command(s.config.Pause, host, "pause")
		s.run.Paused(host)
	}
}

// Resume implements engine.Backend.
func (s *stage) Resume(host string) {
	if v := s.servers[host]; v != nil && v.paused {
		v.paused = false
		s.command(s.config.Resume, host, "resume")
	}
}

// RepairAll implements engine.Backend.
func (s *stage) RepairAll() {
	for _, h := range s.run.Hosts() {
		s.Resume(h.Name)
	}
}

// Suspend implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) Suspend(string) {}

// StepClock implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) StepClock(string, time.Duration) {}

// FillDisk implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) FillDisk(string, bool) {}

// FailDisk implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) FailDisk(string, string, int) {}

// SlowDisk implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) SlowDisk(string, time.Duration) {}

// Supervise implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) Supervise(string, bool) {}

// A client is a host of this process.
type client struct {
	stage     *stage
	name      string
	transport *transport
	done      chan struct{}
	stop      context.CancelFunc
}

func (s *stage) start(name string, software engine.Work) {
	ctx, stop := context.WithCancel(s.over)
	c := &client{stage: s, name: name, transport: s.newTransport(), done: make(chan struct{}), stop: stop}
	s.clients[name] = c
	s.tasks.Go(func() {
		defer stop()
		defer close(c.done)
		if err := software(ctx, c); err != nil && ctx.Err() == nil {
			s.Post(func() { s.FailIf(&engine.HostError{Host: name, Err: err}) })
		}
	})
}

func (c *client) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// Name implements engine.Machine.
func (c *client) Name() string { return c.name }

// Client implements engine.Machine.
func (c *client) Client() connect.HTTPClient {
	return &http.Client{Transport: c.stage.faults.local.RoundTripper(c.transport, c.name)}
}

// Dial implements engine.Machine: the port is that of the host's URL, whatever is asked for.
func (c *client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	v := c.stage.servers[host]
	if v == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("the scenario has no server %q", host)}
	}
	return new(net.Dialer).DialContext(ctx, network, v.url.Host)
}

// Interceptor implements engine.Machine.
func (c *client) Interceptor() connect.Interceptor { return c.stage.faults.local.Interceptor(c.name) }

// Rand implements engine.Machine.
func (c *client) Rand(name string) *rand.Rand { return random(c.stage.run.Seed(), c.name+"/"+name) }

// Do implements engine.Machine.
func (c *client) Do(f func()) { c.stage.Do(f) }

// transport calls servers by their names in the scenario.
type transport struct {
	*http.Transport

	servers map[string]*server
}

func (s *stage) newTransport() *transport { return &transport{outgoing.NewTransport(), s.servers} }

var errNoServer = errors.New("the scenario has no server of that name")

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	v := t.servers[req.URL.Hostname()]
	if v == nil {
		return nil, fmt.Errorf("call %q: %w", req.URL.Hostname(), errNoServer)
	}
	local := req.Clone(req.Context())
	local.URL.Scheme, local.URL.Host = v.url.Scheme, v.url.Host
	local.URL.Path = strings.TrimSuffix(v.url.Path, "/") + req.URL.Path
	local.Host = ""
	return t.Transport.RoundTrip(local)
}

// names returns the servers' names, sorted.
func (s *stage) names() []string {
	var names []string
	for name := range s.servers { // order-free: sorted
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// roundTrips is a transport as what carries calls.
type roundTrips struct{ *transport }

// Do implements connect.HTTPClient.
func (t roundTrips) Do(req *http.Request) (*http.Response, error) { return t.RoundTrip(req) }
