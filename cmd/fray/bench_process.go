package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/bench"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/internal/limit"
)

// newBenchWorker is what bench starts as its workers.
func (a *app) newBenchWorker() *cobra.Command {
	var (
		id, run   string
		slots     int
		stopGrace time.Duration
		lifeline  bool
		log       logOptions
	)
	cmd := &cobra.Command{
		Use: "worker", Hidden: true, Args: noArgs,
		Short: "Be a worker of a bench",
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, err := a.controllerURL()
			if err != nil {
				return err
			}
			secure, err := a.tlsFiles()
			if err != nil {
				return err
			}
			functions := bench.NewFunctions(run)
			w, err := worker.New(worker.Config{
				ControllerURL: address, ID: id, Functions: functions.OfWorkers(), Labels: functions.Labels(), Slots: slots,
				TLS: secure, HTTP3: a.dialer(), ClientOptions: a.seams.clientOptions, Logger: log.logger(a.stderr),
				DrainGrace: orNone(0), StopGrace: stopGrace,
			})
			if err != nil {
				return usageError("%w", err)
			}
			return a.heldBy(cmd.Context(), lifeline, w.Close, w.Run)
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "name of the worker in the cluster")
	cmd.Flags().StringVar(&run, "run", "", "name of the run whose tasks it executes")
	between(cmd, &slots, 1, limit.Slots, "slots", 1, "how many tasks run at once")
	durationFlag(cmd, &stopGrace, "stop-grace", worker.DefaultStopGrace, "how long a stopped task may take to end")
	momentary(cmd, "id", "run", "slots", "stop-grace")
	addLifelineFlag(cmd, &lifeline)
	a.addAddressFlag(cmd)
	a.addTLSFlags(cmd, asClient)
	addLogFlags(cmd, &log, "warn")
	return cmd
}

// newBenchPeer is the other process of bench's limits.
func (a *app) newBenchPeer() *cobra.Command {
	var lifeline bool
	cmd := &cobra.Command{
		Use: "peer", Hidden: true, Args: noArgs,
		Short: "Send back what a bench sends",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.heldBy(cmd.Context(), lifeline, func() {}, func(ctx context.Context) error {
				return bench.ServePeer(ctx, func(p bench.Peer) error { return printJSON(a.stdout, p) })
			})
		},
	}
	addLifelineFlag(cmd, &lifeline)
	return cmd
}

// heldBy calls run with a context that ends with ctx, or with the process that holds this one by its
// lifeline, when kill is called, too.
func (a *app) heldBy(ctx context.Context, lifeline bool, kill func(), run func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if lifeline {
		go a.watchLifeline(func(cause error) {
			cancel(cause)
			kill()
		})
	}
	return run(ctx)
}
