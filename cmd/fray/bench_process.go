package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/frayrpc/fray/cmd/fray/internal/bench"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
)

// newBenchWorker is what bench starts as its workers.
func (a *app) newBenchWorker() *cobra.Command {
	var (
		id, run   string
		number    int
		slots     int
		stopGrace time.Duration
		lifeline  bool
		log       command.Log
	)
	cmd := &cobra.Command{
		Use: "worker", Hidden: true, Args: noArgs,
		Short: "Be a worker of a bench",
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, err := a.ControllerURL()
			if err != nil {
				return err
			}
			secure, err := a.TLSFiles()
			if err != nil {
				return err
			}
			functions := bench.NewFunctions(run)
			all := make([]*worker.Worker, number)
			for i := range all {
				all[i], err = worker.New(worker.Config{
					ControllerURL: address, ID: nameOfOne(id, i, number), Functions: functions.OfWorkers(), Labels: functions.Labels(), Slots: slots,
					TLS: secure, HTTP3: a.Dialer(), ClientOptions: a.Seams.ClientOptions, Logger: log.Logger(a.Stderr),
					DrainGrace: command.OrNone(0), StopGrace: stopGrace,
				})
				if err != nil {
					return command.UsageError("%w", err)
				}
			}
			return a.heldBy(cmd.Context(), lifeline, func() {
				for _, w := range all {
					w.Close()
				}
			}, func(ctx context.Context) error { return runAll(ctx, all) })
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "name of the worker in the cluster")
	cmd.Flags().StringVar(&run, "run", "", "name of the run whose tasks it executes")
	command.Between(cmd.Flags(), &number, 1, bench.MaxIdle, "number", 1, "how many workers to be")
	command.Between(cmd.Flags(), &slots, 1, limit.Slots, "slots", 1, "how many tasks run at once")
	command.Duration(cmd.Flags(), &stopGrace, "stop-grace", worker.DefaultStopGrace, "how long a stopped task may take to end")
	command.Momentary(cmd.Flags(), "id", "run", "number", "slots", "stop-grace")
	addLifelineFlag(cmd, &lifeline)
	a.AddAddressFlag(cmd.Flags())
	a.AddTLSFlags(cmd.Flags(), command.AsClient)
	log.AddFlags(cmd.Flags(), "warn")
	return cmd
}

// nameOfOne is the id of one of several workers of a process.
func nameOfOne(id string, i, number int) string {
	if number == 1 {
		return id
	}
	return fmt.Sprintf("%s-%d", id, i+1)
}

// runAll runs workers until all have ended, which they do when one of them fails.
func runAll(ctx context.Context, all []*worker.Worker) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range all {
		group.Go(func() error { return w.Run(ctx) })
	}
	return group.Wait()
}

// newBenchPeer is the other process of bench's limits.
func (a *app) newBenchPeer() *cobra.Command {
	var lifeline bool
	cmd := &cobra.Command{
		Use: "peer", Hidden: true, Args: noArgs,
		Short: "Send back what a bench sends",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.heldBy(cmd.Context(), lifeline, func() {}, func(ctx context.Context) error {
				return bench.ServePeer(ctx, func(p bench.Peer) error { return printJSON(a.Stdout, p) })
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
