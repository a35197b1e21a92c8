package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/fray/worker/execfn"
	"github.com/frayrpc/fray/internal/children"
	"github.com/frayrpc/fray/internal/limit"
)

// workerOptions are those of the worker command.
type workerOptions struct {
	id         string
	slots      int
	resources  map[string]int64
	labels     map[string]string
	listen     string
	advertise  string
	drainGrace time.Duration
	stopGrace  time.Duration
	allowExec  bool
	open       bool
	sandbox    sandboxOptions
	lifeline   bool
	outputDir  string
	accessFile string
	metrics    string // where to listen for these
	profiles   string // as well
	faults     faultOptions
	log        logOptions
}

func (a *app) newWorker() *cobra.Command {
	var o workerOptions
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run a worker that executes commands",
		Long: `Run a worker: it leases tasks from a controller, executes them, and reports how they ended. It tries to reach its
controller for ever.

This worker executes commands, if --allow-exec lets it: whoever can submit to the controller then runs what they
like as this user. So it needs a credential to show to its controller: FRAY_TOKEN, --token-file or --tls-cert. The options
that begin with --exec say what commands see and may do. A program of your own executes Go functions, with the package
fray/worker.

SIGTERM and SIGINT make it take no new tasks, end those that it runs within the drain grace, and leave. A second signal
stops them at once.`,
		Example: `  fray worker --controller http://10.0.0.5:7070 --token-file /etc/fray/token --allow-exec
  fray worker --controller http://10.0.0.5:7070 --allow-exec --slots 4 --resources gpu=2 --labels zone=a
  fray worker --allow-exec --exec-user nobody --exec-allow ffmpeg --exec-limit memory=4GiB`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runWorker(cmd.Context(), o) },
	}
	a.addAddressFlag(cmd)
	a.addTLSFlags(cmd, asClient|asServer)
	cmd.Flags().StringVar(&o.id, "id", "", "`name` of the worker in the cluster (default: host name and a random suffix)")
	between(cmd, &o.slots, 0, limit.Slots, "slots", 0, "how many tasks run at once; 0: one for each CPU")
	resources(cmd, &o.resources, "what tasks can ask for a share of")
	labels(cmd, &o.labels, "what tasks can require of their worker")
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:0", "`address` for health, metrics and tasks of this worker; empty: none")
	cmd.Flags().StringVar(&o.advertise, "advertise-url", "", "where others reach that `URL` (default: where it listens)")
	durationFlag(cmd, &o.drainGrace, "drain-grace", worker.DefaultDrainGrace, "how long running tasks may go on after SIGTERM")
	durationFlag(cmd, &o.stopGrace, "stop-grace", worker.DefaultStopGrace, "how long a stopped task may take to end")
	cmd.Flags().BoolVar(&o.allowExec, "allow-exec", false, "execute the commands that tasks ask for")
	addOpenFlag(cmd, &o.open, "execute commands, and be made to misbehave, for everybody who reaches the controller or this worker")
	addSandboxFlags(cmd, &o.sandbox)
	mayBeEmpty(cmd, "listen")
	addAccessFlag(cmd, &o.accessFile)
	addMetricsFlag(cmd, &o.metrics)
	addProfileFlag(cmd, &o.profiles)
	addLifelineFlag(cmd, &o.lifeline)
	cmd.Flags().StringVar(&o.outputDir, "output-dir", "", "the `directory` of the map that this worker serves, for what commands print")
	if err := cmd.Flags().MarkHidden("output-dir"); err != nil {
		panic(err)
	}
	addFaultFlags(cmd, &o.faults)
	addLogFlags(cmd, &o.log, "info")
	return cmd
}

func (a *app) runWorker(ctx context.Context, o workerOptions) (err error) {
	address, err := a.controllerURL()
	if err != nil {
		return err
	}
	secure, err := a.tlsFiles()
	if err != nil {
		return err
	}
	if !o.allowExec {
		return usageError("this worker has nothing to execute: it knows no functions but commands, and --allow-exec is not given.\n" +
			"To execute Go functions, write a program that runs fray/worker with them.")
	}
	a.listed = o.accessFile != ""
	served, err := a.checkFaults(o.faults, o.open, o.listen != "")
	if err := errors.Join(a.checkExec(address, o.open), err); err != nil {
		return err
	}
	if o.id == "" {
		o.id = workerName()
	}
	o.slots = cmp.Or(o.slots, runtime.NumCPU())
	if err := hideToken(); err != nil {
		return err
	}
	registry := newRegistry()
	noFaults, err := a.injectFaults(o.faults, o.id, faultsCalled, served, registry)
	if err != nil {
		return err
	}
	defer noFaults()
	logger := o.log.logger(a.stderr)
	endProfiles, err := serveProfiles(ctx, o.profiles, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endProfiles()) }()
	commands, endCommands, err := o.commands(a.stderr, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endCommands()) }()
	policy, err := a.policy(logger, o.accessFile)
	if err != nil {
		return err
	}
	if o.listen == "" && o.accessFile == "" {
		policy = nil // There is nothing to let anybody in to.
	}
	http3 := a.dialer()
	if a.seams.httpClient != nil {
		http3 = nil // That client speaks it.
	}
	var linger time.Duration
	if o.outputDir != "" {
		linger = mapLinger
	}
	w, err := worker.New(worker.Config{
		ControllerURL: address, ID: o.id, Functions: []fray.Function{commands},
		Slots: o.slots, Resources: o.resources, Labels: o.labels,
		ListenAddress: o.listen, AdvertiseURL: o.advertise,
		Access: policy, MetricsAddress: o.metrics,
		TLS:        secure,
		DrainGrace: orNone(o.drainGrace), StopGrace: max(o.stopGrace, time.Millisecond),
		HTTP3: http3, HTTPClient: a.seams.httpClient, ClientOptions: a.seams.clientOptions,
		HandlerOptions: a.seams.handlerOptions, Middleware: a.seams.middleware, Linger: linger,
		Registerer: registry, Gatherer: registry, Logger: logger,
	})
	if err != nil {
		return usageError("%w", err)
	}
	// What its commands leave behind falls to it: it can be found and collected.
	release := children.Adopt()
	defer release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	defer close(ended)
	go func() { // waits for no more than the end of this function, which follows
		select {
		case <-a.hurry:
			w.Close()
		case <-ended:
		}
	}()
	parent := os.Getppid()
	var cut atomic.Bool
	if o.lifeline {
		go a.watchLifeline(func(cause error) {
			cut.Store(true)
			cancel(cause)
			w.Close()
		})
	}
	err = w.Run(ctx)
	if o.outputDir != "" && (cut.Load() || os.Getppid() != parent) {
		// The map has been killed, and cannot do it.
		err = errors.Join(err, os.RemoveAll(o.outputDir))
	}
	return err
}

// commands is the function that runs commands. What comes with it is to be called when the worker
// has ended.
func (o *workerOptions) commands(stderr io.Writer, logger *slog.Logger) (fray.Function, func() error, error) {
	if o.outputDir != "" { // Who runs a map sees nothing but errors of its workers, and has to know why it does not go on.
		logger = (&logOptions{level: "warn", format: o.log.format}).logger(stderr)
	}
	cfg, end, err := o.sandbox.config(logger)
	if err != nil {
		return nil, nil, err
	}
	cfg.OutputDir = o.outputDir
	return execfn.New(cfg), end, nil
}

// orNone is a grace as worker.Config has it, where 0 means the default.
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._:-]+`)

// workerName is a name that no other worker has.
func workerName() string {
	host, err := os.Hostname()
	host = strings.Trim(notInName.ReplaceAllString(host, "-"), "-._:")
	if err != nil || host == "" {
		host = "worker"
	}
	var suffix [3]byte
	_, _ = rand.Read(suffix[:]) // never fails
	return host[:min(len(host), 100)] + "-" + hex.EncodeToString(suffix[:])
}
