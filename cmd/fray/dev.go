package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/fleet"
	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/fray/dashboard"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// devOptions are those of the dev command.
type devOptions struct {
	listen    string
	workers   int
	slots     int
	allowExec bool
	tls       bool
	store     storeOptions
	log       command.Log
	token     string // that was chosen for this cluster; empty: the environment has one
}

func (a *app) newDev() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a controller and workers on this machine",
		Long: `Run a controller and worker processes on this machine, until Ctrl-C. A worker that dies is started again; try it with
kill -9.

Tasks and results are kept in memory, or with --data-dir over restarts. The workers execute the commands that tasks ask for,
as "fray worker --allow-exec" does. So dev listens on this machine only; with another address, it wants --allow-exec too. And
it refuses callers without its token, which it prints: a new one each time, unless FRAY_TOKEN is set.`,
		Example: "  fray dev --workers 4",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.dev(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:7070", "`address` of the controller; port 0 picks a free one")
	command.Between(cmd.Flags(), &o.workers, 1, maxLocalWorkers, "workers", 2, "how many worker processes")
	command.Between(cmd.Flags(), &o.slots, 0, limit.Slots, "slots", 0, "how many tasks each runs at once; 0: the CPUs divided among them")
	cmd.Flags().BoolVar(&o.allowExec, "allow-exec", false, "let other machines have commands executed, too")
	cmd.Flags().BoolVar(&o.tls, "tls", false, "speak TLS, with a certificate that is made for this cluster")
	a.AddTokenFlag(cmd.Flags())
	addStoreFlags(cmd, &o.store, "")
	o.log.AddFlags(cmd.Flags(), "warn")
	return cmd
}

// maxLocalWorkers bounds the worker processes that one command starts on its machine.
const maxLocalWorkers = 10_000

// devSessionTTL is short, for who kills a worker here wants to see what happens.
const devSessionTTL = 5 * time.Second

func (a *app) dev(ctx context.Context, o devOptions) (err error) {
	if !command.IsLoopback(o.listen) && !o.allowExec {
		return command.UsageError("whoever can reach %s could execute commands here: pass --allow-exec if that is what you want", o.listen)
	}
	if err := a.CheckToken(); err != nil {
		return err
	}
	o.token = a.secureOwn()
	if err := command.HideToken(); err != nil {
		return err
	}
	if o.tls {
		remove, err := a.secureOwnTLS(o.listen)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	o.slots = slotsFor(o.slots, o.workers)
	log := screen.Shared(a.Stderr)
	cluster, err := a.startCluster(ctx, clusterOptions{
		controller: controllerOptions{listen: o.listen, sessionTTL: devSessionTTL, store: o.store, log: o.log},
		workers:    o.workers, slots: o.slots,
		args:   append([]string{"--drain-grace", "2s"}, o.log.Args()...),
		output: log, tell: func(format string, args ...any) { fmt.Fprintf(log, "fray dev: "+format+"\n", args...) },
	})
	if err != nil {
		return err
	}
	announce(a.Stdout, cluster.url)
	if err := a.introduce(ctx, cluster.url, o); err != nil && ctx.Err() == nil {
		fmt.Fprintf(log, "fray dev: %v\n", err)
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.Stderr, "\nfray dev: stopping; once more to kill")
	case <-cluster.failed:
	}
	err = cluster.stop()
	var interrupt *command.SignalError
	if errors.As(err, &interrupt) {
		return nil
	}
	return err
}

// introduce waits for the workers, and says what can be done with them.
func (a *app) introduce(ctx context.Context, url string, o devOptions) error {
	c, err := a.connectTo(url)
	if err != nil {
		return err
	}
	defer c.close()
	const patience, pause = 10 * time.Second, 20 * time.Millisecond
	c.timeout = patience
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for registered := 0; registered < o.workers; {
		all, err := workersOf(ctx, c)
		if err != nil {
			return err
		}
		if registered = len(all); registered == o.workers {
			break
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d workers have registered so far", registered, o.workers)
		}
	}
	token, signIn := "", ""
	if o.token != "" {
		signIn = dashboard.SignIn(o.token)
		token = "\n  export " + command.TokenVariable + "=" + o.token
	}
	if o.tls {
		token += "\n  export FRAY_CA=" + a.TLS.CA
	}
	fmt.Fprintf(a.Stdout, `%s with %s each execute the commands that tasks ask for. Try it:

  export FRAY_CONTROLLER_ADDRESS=%s%s
  fray submit --wait -- echo hello
  fray workers

Or look at it with a browser: %s/%s

Ctrl-C ends it.
`, wording.Count(number.Clamp[uint64](o.workers), "worker"), wording.Count(number.Clamp[uint64](o.slots), "slot"), url, token, url, signIn)
	return nil
}

// slotsFor returns how many slots each of some workers has if the user did not say.
func slotsFor(slots, workers int) int {
	if slots > 0 {
		return slots
	}
	return max(1, runtime.NumCPU()/workers)
}

// clusterOptions say what a cluster on this machine is like.
type clusterOptions struct {
	controller     controllerOptions
	workers, slots int
	args           []string             // of the workers, besides those that make them part of the cluster
	argsOf         func(i int) []string // those of one of them, from 0 on; nil: they have none of their own
	output         io.Writer
	tell           func(format string, args ...any)
}

// cluster is a controller in this process, and a fleet of workers.
type cluster struct {
	url string
	// Closed when a part of it has ended that should not have.
	failed chan struct{}

	ctx         context.Context //nolint:containedctx // It is the life of the cluster.
	endFleet    context.CancelFunc
	endServer   context.CancelFunc
	fleet       sync.WaitGroup
	server      sync.WaitGroup
	mu          sync.Mutex
	err         error
	failureOnce sync.Once
}

// startCluster starts a cluster, whose owner stops it. It begins to end when ctx does.
func (a *app) startCluster(ctx context.Context, o clusterOptions) (*cluster, error) {
	a.TLS.HTTP3 = false // Which is for networks.
	executable, err := a.executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	server, closeStore, err := a.newServer(ctx, o.controller, o.controller.log.Logger(o.output), command.NewRegistry())
	if err != nil {
		return nil, err
	}
	if err := server.Listen(ctx); err != nil {
		return nil, errors.Join(err, closeStore())
	}
	c := &cluster{url: server.URL(), failed: make(chan struct{}), ctx: ctx}
	// The controller outlives the workers, which take their leave of it.
	var serverCtx, fleetCtx context.Context
	serverCtx, c.endServer = context.WithCancel(context.WithoutCancel(ctx))
	fleetCtx, c.endFleet = context.WithCancel(ctx)
	f := &fleet.Fleet{
		Executable: executable, Environ: a.Environ, Size: o.workers, Output: o.output, Tell: o.tell, Hurry: a.Hurry,
		Args:     slices.Concat([]string{"--controller", c.url, "--allow-exec", "--slots", strconv.Itoa(o.slots)}, a.tlsArgs(), o.args),
		ArgsOf:   o.argsOf,
		Hopeless: command.ExitUsage,
	}
	over := make(chan struct{})
	c.server.Go(func() {
		defer close(over)
		c.end(errors.Join(server.Run(serverCtx), closeStore()))
	})
	select {
	case <-server.Ready():
	case <-over:
		c.endServer()
		c.endFleet()
		return nil, c.err
	}
	c.fleet.Go(func() { c.end(f.Run(fleetCtx)) })
	return c, nil
}

// end notes how a part of the cluster ended.
func (c *cluster) end(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	c.err = errors.Join(c.err, err)
	c.mu.Unlock()
	c.failureOnce.Do(func() { close(c.failed) })
}

// stop ends the workers, then the controller, and waits for all of it. It returns what went wrong,
// or why ctx ended.
func (c *cluster) stop() error {
	c.endFleet()
	c.fleet.Wait()
	c.endServer()
	c.server.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return c.err
}
