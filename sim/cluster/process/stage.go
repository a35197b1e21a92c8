package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/internal/children"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/wall"
	"github.com/frayrpc/fray/sim/scenario"
)

// Bounds of what processes may take.
const (
	startTime = 30 * time.Second
	leaveTime = 10 * time.Second
)

// A stage is the backend: the controller and the workers of a scenario as processes, and its
// clients in this one.
type stage struct {
	*wall.Loop

	ctx     context.Context //nolint:containedctx // It is the run's, which the stage is.
	run     *engine.Run
	play    *system.System // in the run
	config  Config
	dir     string // for files of the run
	net     addresses
	numbers map[string]int // of hosts
	starter *children.Starter
	faults  *injector
	http    *http.Client // for operators' calls
	// Of certificates; nil: nobody speaks TLS.
	authority *certs.Authority
	address   string // of the controller

	controller *child
	workers    map[string]*workerHost
	clients    map[string]*client
	// over is done when the run is, and tasks are the goroutines that end then.
	over  context.Context //nolint:containedctx // Clients live as long as the stage.
	end   context.CancelFunc
	tasks sync.WaitGroup
	// What the hosts' wall clocks were set by.
	clocks map[string]time.Duration
	// Hosts that may end by themselves.
	excused map[string]bool
	// Hosts that were asked to end.
	stopping []string
	// begun is closed when workers may begin.
	begun chan struct{}

	mu      sync.Mutex
	metrics map[string]float64 // of workers that have ended
}

// open makes the stage of a run. Nothing runs on it yet.
func open(ctx context.Context, run *engine.Run, config Config) (*stage, error) {
	dir, err := os.MkdirTemp("", "fray-sim-")
	if err != nil {
		return nil, fmt.Errorf("make directory for the run: %w", err)
	}
	s := &stage{
		Loop: wall.NewLoop(), ctx: ctx, run: run, play: system.Of(run), config: config, dir: dir, net: newAddresses(), numbers: map[string]int{},
		starter: children.NewStarter(syscall.SIGKILL), workers: map[string]*workerHost{}, clients: map[string]*client{}, begun: make(chan struct{}),
		metrics: map[string]float64{}, clocks: map[string]time.Duration{}, excused: map[string]bool{},
	}
	s.over, s.end = context.WithCancel(ctx)
	s.play.At(s)
	for i, h := range run.Hosts() {
		s.numbers[h.Name] = i
	}
	s.faults = newInjector(s)
	if err := s.secureRun(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// close ends all that is left, and says what had not ended by itself when it was asked to.
func (s *stage) close() error {
	s.end()
	s.Close()
	var left []string
	for _, name := range s.stopping {
		if s.Running(name) {
			left = append(left, name)
		}
	}
	var panicked error
	if s.controller != nil {
		s.controller.kill()
		panicked = s.controller.unexpected()
	}
	for _, name := range s.names() {
		if w := s.workers[name]; w.child != nil {
			w.kill()
			panicked = errors.Join(panicked, w.child.unexpected())
		}
	}
	s.starter.Close()
	s.faults.local.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.tasks.Wait()
	}()
	timer := time.NewTimer(leaveTime)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		left = append(left, "a client")
	}
	s.http.CloseIdleConnections()
	for _, c := range s.clients { // order-free: all of them
		c.transport.CloseIdleConnections()
	}
	err := os.RemoveAll(s.dir)
	switch {
	case panicked != nil:
		return panicked
	case len(left) > 0:
		slices.Sort(left)
		return &engine.LeftoverError{Hosts: slices.Compact(left)}
	case err != nil:
		return fmt.Errorf("remove directory of the run: %w", err)
	}
	return nil
}

// Start implements engine.Backend: the clock begins when all processes are there, and all begin
// with it.
func (s *stage) Start() error {
	if err := s.startController(); err != nil {
		return err
	}
	var late []*workerHost
	for i := range s.play.Topology.Workers {
		g := &s.play.Topology.Workers[i]
		for _, name := range g.Hosts() {
			w := &workerHost{stage: s, name: name, group: g, awaited: g.StartAfter > 0}
			s.workers[name] = w
			if w.awaited {
				late = append(late, w)
				continue
			}
			if err := w.start(); err != nil {
				return err
			}
		}
	}
	for _, h := range s.run.Hosts() {
		if w := s.workers[h.Name]; w != nil && w.child != nil {
			if _, err := await(s, w.child, w.ready, "is not ready"); err != nil {
				return err
			}
		}
	}
	s.Begin()
	if err := s.faults.begin(); err != nil {
		return err
	}
	close(s.begun)
	for _, w := range late {
		s.At(time.Duration(w.group.StartAfter), w.startLate)
	}
	for _, h := range s.run.HostsOf(scenario.RoleClient) {
		s.startClient(h.Name, s.run.Work(h))
	}
	s.tasks.Go(s.faults.watch)
	return nil
}

// await waits for the first word of a process that starts.
func await[T any](s *stage, c *child, word <-chan T, lack string) (said T, err error) {
	select {
	case said = <-word:
	case <-c.Gone():
		err = c.endedByItself()
	case <-time.After(startTime):
		err = fmt.Errorf("start %s: it %s after %v", c.name, lack, startTime)
	case <-s.ctx.Done():
		err = context.Cause(s.ctx)
	}
	return said, err
}

// Rand implements engine.Backend.
func (s *stage) Rand(name string) *rand.Rand { return random(s.run.Seed(), name) }

// Mark implements engine.Backend. Nobody reads a trace.
func (*stage) Mark(string) {}

// Client implements engine.Backend.
func (s *stage) Client(name string, software engine.Work) {
	s.numbers[name] = len(s.numbers)
	s.startClient(name, software)
}

// process returns the process of a host: nil if it has none now.
func (s *stage) process(host string) *child {
	c := s.controller
	if w := s.workers[host]; w != nil {
		c = w.child
	} else if host != cluster.ControllerHost {
		c = nil
	}
	if c == nil || !c.Running() {
		return nil
	}
	return c
}

// Running implements engine.Backend.
func (s *stage) Running(host string) bool {
	if c := s.clients[host]; c != nil {
		return c.running()
	}
	if w := s.workers[host]; w != nil && w.awaited {
		return true
	}
	return s.process(host) != nil
}

// Crash implements engine.Backend. The disk is kept: a scenario that asks for less is not suitable.
func (s *stage) Crash(host, _ string) {
	c := s.process(host)
	if c == nil {
		return
	}
	if host == cluster.ControllerHost {
		s.faults.collect([]string{host})
	}
	c.kill()
	s.crashed(host)
}

// dataDir is where the controller keeps its records.
func (s *stage) dataDir() string { return filepath.Join(s.dir, "data") }

// backupDir is where it keeps copies of them.
func (s *stage) backupDir() string { return filepath.Join(s.dir, "backups") }

// FillDisk implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) FillDisk(string, bool) {}

// FailDisk implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) FailDisk(string, string, int) {}

// SlowDisk implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) SlowDisk(string, time.Duration) {}

// Supervise implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) Supervise(string, bool) {}

// OpenBackup implements system.Place.
func (s *stage) OpenBackup(name string) (store.Store, error) {
	return pebblestore.Open(pebblestore.Config{Dir: filepath.Join(s.backupDir(), name), ReadOnly: true})
}

// crashed notes that a process died that was to die.
func (s *stage) crashed(host string) {
	if w := s.workers[host]; w != nil {
		w.died()
	}
	s.run.Crashed(host)
}

// Bounce implements engine.Backend.
func (s *stage) Bounce(host string) {
	if s.Running(host) {
		return
	}
	start := s.startController
	if w := s.workers[host]; w != nil {
		start = w.start
	}
	s.FailIf(start())
}

// Stop implements engine.Backend.
func (s *stage) Stop(host string) {
	s.stopping = append(s.stopping, host)
	if c := s.clients[host]; c != nil {
		c.stop()
		return
	}
	s.ask(host)
}

// ask has the process of a host end by itself: once, as a second signal says not to wait.
func (s *stage) ask(host string) {
	if w := s.workers[host]; w != nil && !w.begun() {
		w.awaited = false
		w.kill() // It would not hear a signal yet.
		s.Post(func() { s.run.Left(host) })
		return
	}
	if c := s.process(host); c != nil && !c.asked {
		c.asked = true
		c.Ask()
	}
}

// Leave implements engine.Backend.
func (s *stage) Leave(host string, _ time.Duration) {
	if host == cluster.ControllerHost {
		s.faults.collect([]string{host})
	}
	s.ask(host)
}

// Excuse implements engine.Backend.
func (s *stage) Excuse(host string) {
	s.excused[host] = true
	if c := s.process(host); c != nil {
		c.excused = true
	}
}

// Pause implements engine.Backend.
func (s *stage) Pause(host string) {
	c := s.process(host)
	if c == nil || c.paused {
		return
	}
	c.paused = true
	_ = c.Signal(syscall.SIGSTOP) // it may have ended
	s.run.Paused(host)
}

// Suspend implements engine.Backend. No scenario that asks for it is suitable.
func (*stage) Suspend(string) {}

// clockFile is what sets the wall clock of a host.
func (s *stage) clockFile(host string) string { return filepath.Join(s.dir, host+".clock") }

// StepClock implements engine.Backend: the clock is that of the host's processes, this one's and
// later ones'.
func (s *stage) StepClock(host string, by time.Duration) {
	s.clocks[host] += by
	// A reader of the file finds the old text or the new one.
	temporary := s.clockFile(host) + ".new"
	err := os.WriteFile(temporary, []byte(s.clocks[host].String()), 0o600)
	if err == nil {
		err = os.Rename(temporary, s.clockFile(host))
	}
	if err != nil {
		s.FailIf(fmt.Errorf("set the clock of %s: %w", host, err))
	}
}

// Resume implements engine.Backend.
func (s *stage) Resume(host string) {
	if c := s.process(host); c != nil && c.paused {
		c.paused = false
		_ = c.Signal(syscall.SIGCONT) // it may have ended
	}
}

// RepairAll implements engine.Backend.
func (s *stage) RepairAll() {
	s.Resume(cluster.ControllerHost)
	for _, name := range s.names() {
		s.Resume(name)
	}
}

// names returns the workers' names, sorted.
func (s *stage) names() []string { return slices.Sorted(maps.Keys(s.workers)) }

// Hash implements engine.Backend: nothing would repeat the run.
func (*stage) Hash() uint64 { return 0 }

// Stats implements engine.Backend.
func (*stage) Stats() sim.Stats { return sim.Stats{} }

// Injector implements engine.Backend.
func (s *stage) Injector() engine.Injector { return s.faults }

// strike does what a rule does to hosts, by the word of a process in which it acts, unless it has
// done it often enough.
func (s *stage) strike(a strike) {
	if !s.faults.mayStrike(a.Rule) {
		return
	}
	s.run.Injected(a.Rule, 1)
	switch a.Kind {
	case faults.Pause:
		s.Pause(a.Host)
		s.After(a.Wait, func() { s.Resume(a.Host) })
	case faults.Restart:
		s.Crash(a.Host, scenario.DiskKept)
		s.After(a.Wait, func() { s.startAgain(a.Host) })
	default:
		s.Crash(a.Host, scenario.DiskKept)
	}
}

// startAgain starts a host that was to be down for a while, unless somebody has started it meanwhile.
func (s *stage) startAgain(host string) {
	if !s.Running(host) {
		s.Bounce(host)
	}
}

// Scrape implements system.Place: workers have told theirs when they ended.
func (s *stage) Scrape(into map[string]float64) error {
	s.mu.Lock()
	for name, value := range s.metrics { // order-free: sums
		into[name] += value
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, callTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.scheme()+s.address+"/metrics", http.NoBody)
	if err != nil {
		return fmt.Errorf("read metrics of the controller: %w", err)
	}
	if token := s.play.TokenOf(system.ReaderName); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("read metrics of the controller: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("read metrics of the controller: %s", res.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		return fmt.Errorf("read metrics of the controller: %w", err)
	}
	return check.Scrape(into, prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		return slices.Collect(maps.Values(families)), nil // order-free: check.Scrape adds up by name
	}))
}

// A client is a host of this process.
type client struct {
	stage     *stage
	name      string
	transport *transport
	done      chan struct{}
	stop      context.CancelFunc
}

func (s *stage) startClient(name string, software engine.Work) {
	files, err := s.certify(name)
	var transport *transport
	if err == nil {
		transport, err = newTransport(s.net.of(s.numbers[name]), s.address, files)
	}
	if err != nil {
		s.FailIf(err)
		return
	}
	c := &client{stage: s, name: name, transport: transport, done: make(chan struct{})}
	s.clients[name] = c
	ctx, stop := context.WithCancel(s.over)
	c.stop = stop
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

// Dial implements engine.Machine.
func (c *client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.transport.DialContext(ctx, network, address)
}

// Interceptor implements engine.Machine.
func (c *client) Interceptor() connect.Interceptor { return c.stage.faults.local.Interceptor(c.name) }

// Rand implements engine.Machine.
func (c *client) Rand(name string) *rand.Rand { return random(c.stage.run.Seed(), c.name+"/"+name) }

// Do implements engine.Machine.
func (c *client) Do(f func()) { c.stage.Do(f) }
