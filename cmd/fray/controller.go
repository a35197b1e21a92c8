package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray/clock"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/h3"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/stamp"
)

// controllerOptions are those of the controller command, and what dev and map start theirs with.
type controllerOptions struct {
	listen         string
	sessionTTL     time.Duration
	retention      time.Duration
	cancelGrace    time.Duration
	maxQueuedTasks int
	maxQueuedBytes int
	maxObjectBytes int
	objectGrace    time.Duration
	maxInFlight    int
	maxRetained    int
	retainedBytes  int
	watchGrace     time.Duration
	maxPayload     int
	store          storeOptions
	lifeline       bool
	open           bool
	wallClockFile  string
	accessFile     string
	auditLog       string
	metricsListen  string
	profileListen  string
	faults         faultOptions
	log            logOptions
}

func (a *app) newController() *cobra.Command {
	var o controllerOptions
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run a controller",
		Long: `Run a controller: it queues tasks, leases them to workers, and keeps their results. What it has acknowledged is in its data
directory, and outlives it: started again, it goes on where it was, and workers keep what they run. With --in-memory nothing outlives it.

Its first line on the standard output says where it listens. It serves Connect, gRPC and gRPC-Web on that port,
with gRPC health and reflection, probes under /healthz and /readyz, and Prometheus metrics under /metrics; over TCP, and with --http3 over QUIC. FRAY_TOKEN, or
--token-file, has a secret that workers and clients then need, too, and --access-file lists who may do what. Without any of them and
without --tls-client-ca, whoever can reach the port can run tasks: such a controller listens on this machine only, unless it
is told twice.`,
		Example: `  fray controller
  fray controller --listen 10.0.0.5:7070 --token-file /etc/fray/token --data-dir /var/lib/fray --retention 24h`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runController(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:7070", "`address` to listen on; port 0 picks a free one")
	durationWithin(cmd, &o.sessionTTL, minSessionTTL, longest, "session-ttl", 15*time.Second, "a worker that is not heard of for this long is taken for dead")
	durationWithin(cmd, &o.retention, time.Millisecond, longest, "retention", time.Hour, "how long ended tasks and their results are kept")
	durationWithin(cmd, &o.cancelGrace, time.Millisecond, longest, "cancel-grace", 10*time.Second, "how long a cancelled task may take to stop")
	atLeast(cmd, &o.maxQueuedTasks, 1, "max-queued-tasks", 2_000_000, "open tasks of one job at most, a little more of all; beyond, clients wait")
	atLeast(cmd, &o.maxQueuedBytes, 1, "max-queued-bytes", 2<<30, "bytes of open tasks of one job at most, a little more of all; beyond, clients wait")
	atLeast(cmd, &o.maxObjectBytes, 1, "max-object-bytes", 16<<30, "bytes of the objects of one job at most, a little more of all; beyond, who puts one waits")
	durationWithin(cmd, &o.objectGrace, time.Second, longest, "object-grace", 10*time.Minute, "how long the objects of a job are kept that has nothing else and that nobody asks about")
	atLeast(cmd, &o.maxInFlight, 0, "max-in-flight-bytes", 0, "bytes of messages that are read, handled and answered at a time, each counted twice; 0: a quarter of GOMEMLIMIT, and 1 GiB at most")
	atLeast(cmd, &o.maxRetained, 0, "max-retained-tasks", 0, "ended tasks kept at most that no client waits for, whatever the retention; 0: 1,000,000, and one for 8 KiB of GOMEMLIMIT at most")
	atLeast(cmd, &o.retainedBytes, 1, "max-retained-bytes", 1<<30, "bytes of ended tasks; beyond, the oldest go early that no client waits for, and jobs whose clients are behind wait")
	between(cmd, &o.maxPayload, 1, limit.Payload, "max-payload-bytes", 16<<20, "bytes of one input or result at most, up to 64 MiB")
	durationFlag(cmd, &o.watchGrace, "watch-grace", 30*time.Second, "how long ended tasks are kept past all bounds for a client that is not heard of")
	addStoreFlags(cmd, &o.store, defaultDataDir)
	cmd.Flags().BoolVar(&o.store.inMemory, "in-memory", false, "keep everything in memory, and nothing over a restart")
	cmd.MarkFlagsMutuallyExclusive("data-dir", "in-memory")
	a.addTLSFlags(cmd, asServer)
	a.addTokenFlag(cmd)
	addOpenFlag(cmd, &o.open, "let in everybody who reaches the port, from other machines or to inject faults")
	addAccessFlag(cmd, &o.accessFile)
	addAuditFlag(cmd, &o.auditLog)
	addMetricsFlag(cmd, &o.metricsListen)
	addProfileFlag(cmd, &o.profileListen)
	addLifelineFlag(cmd, &o.lifeline)
	addWallClockFlag(cmd, &o.wallClockFile)
	addFaultFlags(cmd, &o.faults)
	addLogFlags(cmd, &o.log, "info")
	return cmd
}

// minSessionTTL leaves room for a few heartbeats.
const minSessionTTL = 10 * time.Millisecond

func (a *app) runController(ctx context.Context, o controllerOptions) (err error) {
	a.listed = o.accessFile != ""
	served, err := a.checkFaults(o.faults, o.open, true)
	if err := errors.Join(a.checkToken(), a.checkDoor(o.listen, o.open), err, hideToken()); err != nil {
		return err
	}
	registry := newRegistry()
	logger := o.log.logger(a.stderr)
	if a.listed && a.secured {
		return usageError("both --%s and %s or --%s say who is let in: put the token into the file, with a name and roles", accessFileOption, tokenVariable, tokenFileOption)
	}
	var closeAudit func() error
	if a.audit, closeAudit, err = a.openAudit(o.auditLog, logger); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAudit()) }()
	noFaults, err := a.injectFaults(o.faults, "controller", faultsServed, served, registry)
	if err != nil {
		return err
	}
	defer noFaults()
	endProfiles, err := serveProfiles(ctx, o.profileListen, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endProfiles()) }()
	server, closeStore, err := a.newServer(o, logger, registry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	if err := server.Listen(ctx); err != nil {
		return err
	}
	if o.lifeline {
		var cut context.CancelCauseFunc
		ctx, cut = context.WithCancelCause(ctx)
		defer cut(nil)
		go a.watchLifeline(cut)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	resting, stop := context.WithCancel(ctx)
	var rests sync.WaitGroup
	rests.Go(func() { rest(resting, restLook) })
	defer rests.Wait()
	defer stop()
	select {
	case <-server.Ready():
		announce(a.stdout, server.URL())
		if !a.knowsCallers() && !isLoopback(o.listen) {
			logger.Warn("whoever reaches this port can have the workers execute what they like", "listen", o.listen)
		}
	case err := <-ended:
		return err
	}
	return <-ended
}

// announce says where a controller listens. Programs parse this line.
func announce(w io.Writer, url string) { fmt.Fprintln(w, announcement+url) }

const announcement = "fray controller listening on "

// newServer returns a controller on its port, with the store that the options ask for, which is
// closed after it has ended.
func (a *app) newServer(o controllerOptions, logger *slog.Logger, registry *prometheus.Registry) (*controller.Controller, func() error, error) {
	secure, err := a.tlsFiles()
	if err != nil {
		return nil, nil, err
	}
	policy, err := a.policy(logger, o.accessFile)
	if err != nil {
		return nil, nil, err
	}
	if a.http3 && secure.Cert == "" {
		return nil, nil, usageError("--%s is spoken over TLS only: give --tls-cert and --tls-key, too", http3Option)
	}
	s, err := o.store.open(logger, registry)
	if err != nil {
		return nil, nil, err
	}
	var clocks clock.Clock
	if o.wallClockFile != "" {
		clocks.Wall = clock.SetBy(o.wallClockFile)
	}
	config := controller.Config{
		Clock: clocks,
		Store: s, BackupDir: o.store.backups(),
		Core: core.Config{
			SessionTTL: o.sessionTTL, Retention: o.retention, CancelGrace: o.cancelGrace,
			MaxOpenTasks: o.maxQueuedTasks, MaxQueuedBytes: int64(o.maxQueuedBytes), MaxObjectBytes: int64(o.maxObjectBytes), ObjectGrace: o.objectGrace, MaxRetained: o.maxRetained,
			MaxRetainedBytes: int64(o.retainedBytes), WatchGrace: o.watchGrace,
		},
		MaxPayloadBytes: o.maxPayload, InFlightBytes: int64(o.maxInFlight),
		TLS:           secure,
		ListenAddress: o.listen, HandlerOptions: a.seams.handlerOptions, Middleware: a.seams.middleware,
		Access: policy, Audit: a.audit, MetricsAddress: o.metricsListen,
		Version: stamp.Read().Version, Logger: logger, Registerer: registry, Gatherer: registry,
	}
	if a.http3 {
		config.HTTP3 = h3.Serve
	}
	c, err := controller.New(config)
	if err != nil {
		return nil, nil, errors.Join(usageError("%w", err), s.Close())
	}
	return c, s.Close, nil
}

// newRegistry returns a registry of metrics that has those of the process.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
