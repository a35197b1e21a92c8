package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/frayrpc/fray/cmd/fray/internal/bench"
	"github.com/frayrpc/fray/cmd/fray/internal/fleet"
	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/certs"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/children"
	"github.com/frayrpc/fray/internal/command"
)

// Bounds of what bench starts.
const (
	// benchPatience is how long a process may take to be there.
	benchPatience = 20 * time.Second
	// benchLeave is how long one may take to end.
	benchLeave = 10 * time.Second
	// maxMetrics bounds what a controller shows, in bytes.
	maxMetrics = 16 << 20
)

// benchStage is what a run of bench takes place on: processes that it starts, and a directory for
// their records. Its owner closes it.
type benchStage struct {
	*app

	options    *benchOptions
	run        string
	functions  *bench.Functions
	out        *screen.Screen
	executable string
	environ    []string // of the processes
	dir        string   // for records; empty: they are in memory
	made       bool     // and the one that it is in has been made for it
	starter    *children.Starter
	facts      map[string]string

	stops    []func() error
	watching sync.WaitGroup
	// kill is closed when processes are to end at once: the user is in a hurry, or a part has failed.
	kill     chan struct{}
	killOnce sync.Once
	over     chan struct{}
	failed   chan error // gets why the run has to end
}

func (a *app) newBenchStage(o *benchOptions, run string, out *screen.Screen) (*benchStage, error) {
	executable, err := a.executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	s := &benchStage{
		app: a, options: o, run: run, functions: bench.NewFunctions(run), out: out, executable: executable,
		starter: children.NewStarter(syscall.SIGKILL),
		kill:    make(chan struct{}), over: make(chan struct{}), failed: make(chan error, 1),
	}
	s.watching.Go(func() {
		select {
		case <-a.Hurry:
			s.killAll()
		case <-s.over:
		}
	})
	if o.dataDir != "" {
		_, err := os.Stat(o.dataDir)
		s.made = errors.Is(err, fs.ErrNotExist)
		err = os.MkdirAll(o.dataDir, 0o700)
		if err == nil {
			s.dir, err = os.MkdirTemp(o.dataDir, "fray-bench-")
		}
		if err != nil {
			return nil, errors.Join(command.UsageError("--data-dir: %w", err), s.close())
		}
	}
	return s, nil
}

// close ends all processes, the last one first, and removes the directory.
func (s *benchStage) close() (err error) {
	for _, stop := range slices.Backward(s.stops) {
		err = errors.Join(err, stop())
	}
	close(s.over)
	s.watching.Wait()
	s.starter.Close()
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
		if s.made {
			_ = os.Remove(s.options.dataDir) // Others may have put something there.
		}
	}
	return err
}

// fail has the run end, for a part of the cluster has that should not.
func (s *benchStage) fail(err error) {
	select {
	case s.failed <- err:
	default: // It ends already.
	}
	s.killAll()
}

func (s *benchStage) killAll() { s.killOnce.Do(func() { close(s.kill) }) }

// watch returns a context that ends when a part of the cluster has that should not.
func (s *benchStage) watch(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case err := <-s.failed:
			cancel(err)
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel(nil)
		watching.Wait()
	}
}

// tell says what happens to processes.
func (s *benchStage) tell(format string, args ...any) {
	fmt.Fprintf(s.out.Err, "fray bench: "+format+"\n", args...)
}

// alone prepares for controllers that nobody else has.
func (s *benchStage) alone() {
	s.secureOwn()
	s.TLS.Files, s.TLS.HTTP3 = certs.Files{}, false // Which are for a cluster that others have.
}

// cluster starts workers at the controller that the options name, or at one of its own.
func (s *benchStage) cluster(ctx context.Context) (bench.Target, error) {
	var (
		address string
		pid     int // of the controller; 0: it is another's
	)
	if s.Address != "" {
		var err error
		if address, err = s.ControllerURL(); err != nil {
			return bench.Target{}, err
		}
	} else {
		c, err := s.controller(ctx)
		if err != nil {
			return bench.Target{}, err
		}
		address, pid = c.url, c.pid
	}
	target, c, err := s.target(address)
	if err != nil {
		return bench.Target{}, err
	}
	info, err := ask(ctx, c, c.GetClusterInfo, &frayv1.GetClusterInfoRequest{})
	if err != nil {
		return bench.Target{}, err
	}
	controller := fmt.Sprintf("%s at %s", info.GetVersion(), address)
	switch {
	case s.Address != "":
	case s.dir == "":
		controller = "a process of its own, in memory"
	default:
		controller = fmt.Sprintf("a process of its own, durability %s, below %s", s.options.durability, s.options.dataDir)
	}
	s.facts = clusterFacts(s.options, controller)
	_, err = s.man(ctx, &target, c, address, pid, bench.Crew{Processes: s.options.workers, Workers: 1, Slots: s.options.slots})
	return target, err
}

// man gives a controller its workers, and returns what ends them; the stage does, if not before. The
// target knows them then.
func (s *benchStage) man(ctx context.Context, target *bench.Target, c *client, address string, pid int, size bench.Crew) (stop func() error, err error) {
	crew := s.startWorkers(ctx, address, size)
	if err := s.awaitWorkers(ctx, c, size.Processes*size.Workers); err != nil {
		return crew.stop, err
	}
	target.Slots = size.Processes * size.Workers * size.Slots
	target.Usage = func() map[string]bench.Usage { return crew.usage(pid) }
	target.Memory = func() map[string]bench.Memory { return crew.memory(pid) }
	return crew.stop, nil
}

// target is a controller as workloads know it, with a client that is closed at the end.
func (s *benchStage) target(address string) (bench.Target, *client, error) {
	options, err := s.clientOptions()
	if err != nil {
		return bench.Target{}, nil, err
	}
	c, err := s.connectTo(address)
	if err != nil {
		return bench.Target{}, nil, err
	}
	transport, closeTransport, err := s.Connections(false)
	if err != nil {
		c.close()
		return bench.Target{}, nil, err
	}
	s.stops = append(s.stops, func() error {
		c.close()
		closeTransport()
		return nil
	})
	options = append([]fray.Option{fray.WithControllerAddress(address), fray.WithLogger(s.options.log.Logger(s.out.Err))}, options...)
	return bench.Target{
		// The context of a job context ends its calls: a job is cancelled after an interrupt, too.
		NewJob: func(id string) (*fray.JobContext, error) {
			return fray.NewJobContext(context.Background(), fray.KindFray, append(slices.Clip(options), fray.WithJobID(id))...)
		},
		Metrics: func(ctx context.Context) (bench.Metrics, error) { return s.metrics(ctx, transport, address) },
	}, c, nil
}

// metrics asks a controller for its metrics.
func (s *benchStage) metrics(ctx context.Context, transport http.RoundTripper, address string) (bench.Metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, s.connectTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+access.MetricsPath, http.NoBody)
	if err != nil {
		return nil, err
	}
	if s.Shown != nil {
		req.Header.Set("Authorization", "Bearer "+s.Shown())
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s for metrics: %w", address, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s for metrics: %s", address, res.Status)
	}
	return bench.ParseMetrics(io.LimitReader(res.Body, maxMetrics))
}

// cleanEnviron is the environment without options of commands, which are about clusters of others.
// The token's variables are kept.
func (s *benchStage) cleanEnviron() []string {
	options := map[string]bool{"FRAY_CONFIG": true}
	for _, o := range optionVariables(s.root) {
		options[o] = o != command.TokenFileVariable
	}
	return slices.DeleteFunc(slices.Clone(s.app.Environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return options[name]
	})
}

// benchController is a controller process.
type benchController struct {
	url string
	benchProcess
}

// benchProcess is a process that a stage has started.
type benchProcess struct {
	pid  int
	line string       // the first one that it printed
	stop func() error // may be called again
}

// controller starts a controller, which ends with the stage if not before.
func (s *benchStage) controller(ctx context.Context) (*benchController, error) {
	args := []string{"controller", "--listen", "127.0.0.1:0", "--lifeline"}
	if s.dir == "" {
		args = append(args, "--in-memory")
	} else {
		dir, err := os.MkdirTemp(s.dir, "data-")
		if err != nil {
			return nil, err
		}
		args = append(args, "--data-dir", filepath.Join(dir, "data"), "--durability", s.options.durability)
	}
	p, err := s.start(ctx, "controller", slices.Concat(args, s.options.log.Args())...)
	if err != nil {
		return nil, err
	}
	url, ok := strings.CutPrefix(p.line, announcement)
	if !ok {
		return nil, fmt.Errorf("the controller begins with %q", p.line)
	}
	return &benchController{url, p}, nil
}

// start starts a process of this program, and waits until it has printed a line. It ends with the stage
// if not before.
func (s *benchStage) start(ctx context.Context, what string, args ...string) (p benchProcess, err error) {
	cmd := exec.Command(s.executable, args...) //nolint:noctx // It is this program; it is asked to leave before it is killed.
	cmd.Env = s.environ
	cmd.Stderr = s.out.Err
	read, write := io.Pipe()
	cmd.Stdout = write
	child, err := s.starter.Start(cmd)
	if err != nil {
		return p, fmt.Errorf("start %s: %w", what, err)
	}
	p.pid = cmd.Process.Pid
	var stopped atomic.Bool
	p.stop = sync.OnceValue(func() error {
		defer read.Close()
		stopped.Store(true)
		if !child.Running() {
			return nil // fail has been told of it.
		}
		err := child.Stop(benchLeave, s.kill, func() { s.tell("the %s does not leave, killing it", what) })
		select {
		case <-s.kill:
			return nil
		default:
			return err
		}
	})
	s.watching.Go(func() { // until it ends, by stop at the latest
		<-child.Gone()
		if !stopped.Load() {
			s.fail(fmt.Errorf("the %s has ended: %w", what, cmp.Or(child.Wait(), errors.New("nothing told it to"))))
		}
	})
	s.stops = append(s.stops, p.stop)
	lines := make(chan string, 1)
	go func() { // ends when the pipe is closed, by stop at the latest
		scanner := bufio.NewScanner(read)
		if scanner.Scan() {
			lines <- scanner.Text()
		}
		_, _ = io.Copy(io.Discard, read) // What it says besides is for nobody.
	}()
	timer := time.NewTimer(benchPatience)
	defer timer.Stop()
	select {
	case p.line = <-lines:
		return p, nil
	case err = <-s.failed:
	case <-timer.C:
		err = fmt.Errorf("the %s is not there after %s", what, benchPatience)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	_ = p.stop() // What matters is why.
	return p, err
}

// fresh starts a controller with workers, and returns what ends them.
func (s *benchStage) fresh(ctx context.Context, size bench.Crew) (bench.Target, func() error, error) {
	c, err := s.controller(ctx)
	if err != nil {
		return bench.Target{}, nil, err
	}
	target, connected, err := s.target(c.url)
	if err != nil || size == (bench.Crew{}) {
		return target, c.stop, err
	}
	leave, err := s.man(ctx, &target, connected, c.url, c.pid, size)
	return target, func() error { return errors.Join(leave(), c.stop()) }, err
}

// peer starts the other process of limits.
func (s *benchStage) peer(ctx context.Context) (*bench.Peer, error) {
	p, err := s.start(ctx, "process that sends back", "bench", "peer", "--lifeline")
	if err != nil {
		return nil, err
	}
	var peer bench.Peer
	if err := json.Unmarshal([]byte(p.line), &peer); err != nil {
		return nil, fmt.Errorf("the process that sends back begins with %q: %w", p.line, err)
	}
	return &peer, nil
}

// benchCrew are the worker processes of one controller.
type benchCrew struct {
	stop func() error // may be called again

	mu   sync.Mutex
	pids map[string]int
}

// startWorkers starts workers, which leave with the stage if not before.
func (s *benchStage) startWorkers(ctx context.Context, address string, size bench.Crew) *benchCrew {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	crew := &benchCrew{pids: make(map[string]int)}
	own := []string{"--controller", address, "--number", strconv.Itoa(size.Workers), "--slots", strconv.Itoa(size.Slots), "--run", s.run}
	f := &fleet.Fleet{
		Executable: s.executable, Environ: s.environ, Size: size.Processes, Output: s.out.Err, Tell: s.tell, Hurry: s.kill,
		Command: []string{"bench", "worker"}, Name: s.workerNames(), Args: slices.Concat(own, s.tlsArgs(), s.options.log.Args()),
		Started: func(id string, pid int) {
			crew.mu.Lock()
			defer crew.mu.Unlock()
			crew.pids[id] = pid
		},
		Hopeless: command.ExitUsage,
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.Run(ctx); err != nil {
			s.fail(err)
		}
	})
	crew.stop = func() error {
		cancel()
		running.Wait()
		return nil
	}
	s.stops = append(s.stops, crew.stop)
	return crew
}

// workerNames begins the ids of the workers.
func (s *benchStage) workerNames() string { return "bench-" + s.run }

// awaitWorkers waits until so many workers are there.
func (s *benchStage) awaitWorkers(ctx context.Context, c *client, want int) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.NewTimer(benchPatience)
	defer deadline.Stop()
	for {
		all, err := workersOf(ctx, c)
		if err != nil {
			return err
		}
		n := 0
		for _, w := range all {
			if strings.HasPrefix(w.GetWorkerId(), s.workerNames()+"-") {
				n++
			}
		}
		if n == want {
			return nil
		}
		select {
		case <-ticker.C:
		case err := <-s.failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return fmt.Errorf("%d of %d workers are there after %s", n, want, benchPatience)
		}
	}
}

// usage returns what this process, the workers and the controller have taken so far; 0: it is
// another's.
func (c *benchCrew) usage(controller int) map[string]bench.Usage {
	c.mu.Lock()
	parts := map[string][]int{"client": {os.Getpid()}}
	for _, pid := range c.pids {
		parts["workers"] = append(parts["workers"], pid)
	}
	c.mu.Unlock()
	if controller != 0 {
		parts["controller"] = []int{controller}
	}
	all := make(map[string]bench.Usage)
	for part, pids := range parts {
		if u, ok := bench.UsageOf(pids...); ok {
			all[part] = u
		}
	}
	return all
}

// memory returns what the controller has, and one worker; 0: the controller is another's.
func (c *benchCrew) memory(controller int) map[string]bench.Memory {
	pids := map[string]int{"controller": controller}
	c.mu.Lock()
	for _, pid := range c.pids {
		pids["worker"] = pid
	}
	c.mu.Unlock()
	all := make(map[string]bench.Memory)
	for part, pid := range pids {
		if m, ok := bench.MemoryOf(pid); ok && pid != 0 {
			all[part] = m
		}
	}
	return all
}
