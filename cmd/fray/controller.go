package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray/clock"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/h3"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/internal/command"
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
	names          []string
	profileListen  string
	faults         command.Faults
	log            command.Log
}

func (a *app) newController() *cobra.Command {
	var o controllerOptions
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run a controller",
		Long: `Run a controller: it queues tasks, leases them to workers, and keeps their results. What it has acknowledged is in its data
directory, and outlives it: started again, it goes on where it was, and workers keep what they run. With --in-memory nothing outlives it.

With --store it keeps them in a PostgreSQL database, and there may be several controllers: one leads, the others stand by, and one of these
takes over when that is lost. Give clients and workers the addresses of all, separated by commas.

Its first line on the standard output says where it listens. It serves Connect, gRPC and gRPC-Web on that port,
with gRPC health and reflection, probes under /healthz and /readyz, and Prometheus metrics under /metrics; over TCP, and with --http3 over QUIC. FRAY_TOKEN, or
--token-file, has a secret that workers and clients then need, too, and --access-file lists who may do what. Without any of them and
without --tls-client-ca, whoever can reach the port can run tasks: such a controller listens on this machine only, unless it
is told twice.`,
		Example: `  fray controller
  fray controller --listen 10.0.0.5:7070 --token-file /etc/fray/token --data-dir /var/lib/fray --retention 24h
  fray controller --listen 10.0.0.5:7070 --token-file /etc/fray/token --store 'postgres://fray@db1,db2/fray?sslmode=verify-full'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runController(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:7070", "`address` to listen on; port 0 picks a free one")
	command.DurationWithin(cmd.Flags(), &o.sessionTTL, minSessionTTL, command.Longest, "session-ttl", 15*time.Second, "a worker that is not heard of for this long is taken for dead")
	command.DurationWithin(cmd.Flags(), &o.retention, time.Millisecond, command.Longest, "retention", time.Hour, "how long ended tasks and their results are kept")
	command.DurationWithin(cmd.Flags(), &o.cancelGrace, time.Millisecond, command.Longest, "cancel-grace", 10*time.Second, "how long a cancelled task may take to stop")
	command.AtLeast(cmd.Flags(), &o.maxQueuedTasks, 1, "max-queued-tasks", 2_000_000, "open tasks of one job at most, a little more of all; beyond, clients wait")
	command.AtLeast(cmd.Flags(), &o.maxQueuedBytes, 1, "max-queued-bytes", 2<<30, "bytes of open tasks of one job at most, a little more of all; beyond, clients wait")
	command.AtLeast(cmd.Flags(), &o.maxObjectBytes, 1, "max-object-bytes", 16<<30, "bytes of the objects of one job at most, a little more of all; beyond, who puts one waits")
	command.DurationWithin(cmd.Flags(), &o.objectGrace, time.Second, command.Longest, "object-grace", 10*time.Minute, "how long the objects of a job are kept that has nothing else and that nobody asks about")
	command.AtLeast(cmd.Flags(), &o.maxInFlight, 0, "max-in-flight-bytes", 0, "bytes of messages that are read, handled and answered at a time, each counted twice; 0: a quarter of GOMEMLIMIT, and 1 GiB at most")
	command.AtLeast(cmd.Flags(), &o.maxRetained, 0, "max-retained-tasks", 0, "ended tasks kept at most that no client waits for, whatever the retention; 0: 1,000,000, and one for 8 KiB of GOMEMLIMIT at most")
	command.AtLeast(cmd.Flags(), &o.retainedBytes, 1, "max-retained-bytes", 1<<30, "bytes of ended tasks; beyond, the oldest go early that no client waits for, and jobs whose clients are behind wait")
	command.Between(cmd.Flags(), &o.maxPayload, 1, limit.Payload, "max-payload-bytes", 16<<20, "bytes of one input or result at most, up to 64 MiB")
	command.Duration(cmd.Flags(), &o.watchGrace, "watch-grace", 30*time.Second, "how long ended tasks are kept past all bounds for a client that is not heard of")
	addStoreFlags(cmd, &o.store, defaultDataDir)
	cmd.Flags().BoolVar(&o.store.inMemory, "in-memory", false, "keep everything in memory, and nothing over a restart")
	addSharedStoreFlags(cmd, &o.store)
	cmd.MarkFlagsMutuallyExclusive("data-dir", "in-memory", "store")
	a.AddTLSFlags(cmd.Flags(), command.AsServer)
	a.AddTokenFlag(cmd.Flags())
	command.AddOpenFlag(cmd.Flags(), &o.open, "let in everybody who reaches the port, from other machines or to inject faults")
	command.AddAccessFlag(cmd.Flags(), &o.accessFile)
	addAuditFlag(cmd, &o.auditLog)
	command.AddMetricsFlag(cmd.Flags(), &o.metricsListen)
	cmd.Flags().StringSliceVar(&o.names, "name", nil, "`name` by which browsers may call it, for the dashboard; without TLS and without credentials they may by its address alone")
	command.AddProfileFlag(cmd.Flags(), &o.profileListen)
	addLifelineFlag(cmd, &o.lifeline)
	addWallClockFlag(cmd, &o.wallClockFile)
	o.faults.AddFlags(cmd.Flags())
	o.log.AddFlags(cmd.Flags(), "info")
	cmd.AddCommand(a.newStepDown())
	return cmd
}

// minSessionTTL leaves room for a few heartbeats.
const minSessionTTL = 10 * time.Millisecond

func (a *app) runController(ctx context.Context, o controllerOptions) (err error) {
	a.Listed = o.accessFile != ""
	served, err := a.CheckFaults(o.faults, o.open, true)
	if err := errors.Join(a.CheckToken(), a.checkDoor(o.listen, o.open), o.store.checkShared(o.listen), err, command.HideToken()); err != nil {
		return err
	}
	registry := command.NewRegistry()
	logger := o.log.Logger(a.Stderr)
	if a.Listed && a.Secured {
		return command.UsageError("both --%s and %s or --%s say who is let in: put the token into the file, with a name and roles", command.AccessFileOption, command.TokenVariable, command.TokenFileOption)
	}
	var closeAudit func() error
	if a.Audit, closeAudit, err = a.openAudit(o.auditLog, logger); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAudit()) }()
	noFaults, err := a.InjectFaults(o.faults, "controller", command.FaultsServed, served, registry)
	if err != nil {
		return err
	}
	defer noFaults()
	endProfiles, err := command.ServeProfiles(ctx, o.profileListen, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endProfiles()) }()
	server, closeStore, err := a.newServer(ctx, o, logger, registry)
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
		announce(a.Stdout, server.URL())
		if !a.KnowsCallers() && !command.IsLoopback(o.listen) {
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

// server is a controller, or one of several.
type server interface {
	Listen(ctx context.Context) error
	Run(ctx context.Context) error
	Ready() <-chan struct{}
	URL() string
}

// newServer returns a controller on its port, with the store that the options ask for, which is
// closed after it has ended.
func (a *app) newServer(ctx context.Context, o controllerOptions, logger *slog.Logger, registry *prometheus.Registry) (server, func() error, error) {
	secure, err := a.TLSFiles()
	if err != nil {
		return nil, nil, err
	}
	policy, err := a.Policy(logger, o.accessFile)
	if err != nil {
		return nil, nil, err
	}
	if a.TLS.HTTP3 && secure.Cert == "" {
		return nil, nil, command.UsageError("--%s is spoken over TLS only: give --tls-cert and --tls-key, too", command.HTTP3Option)
	}
	var clocks clock.Clock
	if o.wallClockFile != "" {
		clocks.Wall = clock.SetBy(o.wallClockFile)
	}
	config := controller.Config{
		Clock:     clocks,
		BackupDir: o.store.backups(),
		Core: core.Config{
			SessionTTL: o.sessionTTL, Retention: o.retention, CancelGrace: o.cancelGrace,
			MaxOpenTasks: o.maxQueuedTasks, MaxQueuedBytes: int64(o.maxQueuedBytes), MaxObjectBytes: int64(o.maxObjectBytes), ObjectGrace: o.objectGrace, MaxRetained: o.maxRetained,
			MaxRetainedBytes: int64(o.retainedBytes), WatchGrace: o.watchGrace,
		},
		MaxPayloadBytes: o.maxPayload, InFlightBytes: int64(o.maxInFlight),
		TLS:           secure,
		ListenAddress: o.listen, HandlerOptions: a.Seams.HandlerOptions, Middleware: a.Seams.Middleware,
		Access: policy, Audit: a.Audit, MetricsAddress: o.metricsListen, Names: o.names,
		Version: stamp.Read().Version, Logger: logger, Registerer: registry, Gatherer: registry,
	}
	if a.TLS.HTTP3 {
		config.HTTP3 = h3.Serve
	}
	if o.store.url != "" {
		return newMember(ctx, o, config)
	}
	if config.Store, err = o.store.open(logger, registry); err != nil {
		return nil, nil, err
	}
	c, err := controller.New(config)
	if err != nil {
		return nil, nil, errors.Join(command.UsageError("%w", err), config.Store.Close())
	}
	return c, config.Store.Close, nil
}

// newMember returns one of several controllers, which share a database that is closed after it has
// ended.
func newMember(ctx context.Context, o controllerOptions, config controller.Config) (server, func() error, error) {
	db, err := o.store.openShared(ctx, config.Logger, config.Registerer)
	if err != nil {
		return nil, nil, err
	}
	m, err := controller.NewMember(config, lead.Config{
		Database: db, Holder: lead.Holder{ID: ulid.Make().String(), Address: o.store.advertise},
	})
	if err != nil {
		return nil, nil, errors.Join(command.UsageError("%w", err), db.Close())
	}
	return m, db.Close, nil
}
