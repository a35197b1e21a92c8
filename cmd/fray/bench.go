package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/bench"
	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// benchOptions are those of the bench command.
type benchOptions struct {
	plan           bench.Plan
	callers        string
	fleets         string
	workers, slots int
	limits         bool
	costs          bool
	histogram      bool
	saveDir        string
	dataDir        string
	durability     string
	log            command.Log
}

// formatBenchmarks is that of Go's benchmarks.
const formatBenchmarks = "benchmarks"

func (a *app) newBench() *cobra.Command {
	o := benchOptions{plan: bench.DefaultPlan()}
	cmd := &cobra.Command{
		Use:   "bench [flags] [WORKLOAD]...",
		Short: "Measure how fast a cluster runs tasks",
		Long: `Measure how fast a cluster runs tasks. Without a controller, bench starts one of its own and worker processes on this
machine, which end with it; records are in memory, or with --data-dir on a disk. With a controller, the workers are bench's own all the
same: they have no function but its own, and nothing else gets these. Tasks that have ended are kept there for as long as the controller
keeps ended tasks; of all else nothing is left.

Without the names of workloads, all run that run tasks on these workers, for about half a minute; fleet, idle and objects have controllers and
workers of their own, and run where they are named. All run once before any runs again. A row of the result is the median of its
repetitions. Rows are compared with limits that were measured in the same run, of which the least counts:

` + workloadHelp() + `
Ctrl-C ends it with what was measured so far. A task that fails, or whose value comes back changed, ends it with exit code 1, and so does too much memory.`,
		Example: `  fray bench
  fray bench call --callers 1,16 --duration 5s --histogram
  fray bench fleet idle --costs
  fray bench objects --data-dir /var/tmp --max-memory-bytes 134217728
  fray bench batch call fsync --data-dir /var/tmp --limits -o benchmarks > new; benchstat old new
  fray bench --controller https://10.0.0.5:7070 --workers 8 payload`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.Address != "" {
				for _, name := range []string{"data-dir", "durability"} {
					if cmd.Flags().Changed(name) {
						return command.UsageError("--%s is for a controller that bench starts, but --controller names another", name)
					}
				}
				for _, w := range bench.All {
					if w.Own && slices.Contains(args, w.Name) {
						return command.UsageError("%s starts controllers of its own, but --controller names another: leave it out, or measure fanout with --workers", w.Name)
					}
				}
			} else if o.dataDir == "" && cmd.Flags().Changed("durability") {
				return command.UsageError("--durability is about a data directory: pass --data-dir, too")
			}
			return a.bench(cmd.Context(), o, args)
		},
	}
	flags := cmd.Flags()
	command.Between(cmd.Flags(), &o.plan.Tasks, 1, bench.MaxTasks, "tasks", o.plan.Tasks, "how many tasks batch runs, and run at most")
	command.Between(cmd.Flags(), &o.plan.Queued, 1, bench.MaxTasks, "queued", o.plan.Queued, "how many tasks queue submits")
	flags.StringVar(&o.callers, "callers", "1,8,64", "how many goroutines run and call have: `numbers` with commas, one after the other")
	flags.StringVar(&o.fleets, "fleets", "1,4,16,64", "how many worker processes fleet has: `numbers` with commas, one after the other")
	command.Between(cmd.Flags(), &o.plan.Idle, 1, bench.MaxIdle, "idle", o.plan.Idle, "how many workers idle has")
	command.DurationWithin(cmd.Flags(), &o.plan.Duration, time.Millisecond, bench.MaxDuration, "duration", o.plan.Duration, "how long all but batch and queue go on, each time; run at most, idle ten times, up to a minute")
	command.Between(cmd.Flags(), &o.plan.PayloadBytes, 8, limit.Payload, "payload-bytes", o.plan.PayloadBytes, "the size of payload's inputs")
	command.Between(cmd.Flags(), &o.plan.ObjectBytes, 1, bench.MaxObject, "object-bytes", o.plan.ObjectBytes, "the size of the object of objects")
	command.AtLeast(cmd.Flags(), &o.plan.MemoryBytes, 0, "max-memory-bytes", 0, "fail if objects takes more memory above idle of the controller, or of the worker; 0: any is right")
	command.Between(cmd.Flags(), &o.plan.Repeat, 1, bench.MaxRepeat, "repeat", o.plan.Repeat, "how often each workload runs")
	command.Between(cmd.Flags(), &o.workers, 1, maxLocalWorkers, "workers", 2, "how many worker processes to start")
	command.Between(cmd.Flags(), &o.slots, 1, limit.Slots, "slots", 32, "how many tasks each runs at once")
	flags.BoolVar(&o.limits, "limits", false, "measure the limits, too")
	flags.BoolVar(&o.costs, "costs", false, "show what a task costs: calls, system calls, bytes, allocations, CPU time, as far as the processes tell")
	flags.BoolVar(&o.histogram, "histogram", false, "draw how long calls took")
	flags.StringVar(&o.saveDir, "save", "", "write the result in all formats into this `directory`, too: bench.txt, bench.json, bench.benchmarks")
	flags.StringVar(&o.dataDir, "data-dir", "", "keep records in this `directory`, in one of its own there that is removed at the end (default: in memory)")
	command.OneOf(cmd.Flags(), &o.durability, "durability", "", durabilitySync, "what is safe there before it is acknowledged", durabilitySync, durabilityRelaxed)
	command.OneOf(cmd.Flags(), &a.output, "output", "o", formatTable, "the `format` of results; benchmarks is for benchstat", formatTable, formatJSON, formatBenchmarks)
	command.Momentary(cmd.Flags(), "max-memory-bytes", "limits", "costs", "histogram", "save", "data-dir", "durability")
	command.Shared(cmd.Flags(), "output")
	a.addClientFlags(cmd)
	o.log.AddFlags(cmd.Flags(), "warn")
	cmd.AddCommand(a.newBenchWorker(), a.newBenchPeer())
	return cmd
}

// workloadHelp is a line for each workload.
func workloadHelp() string {
	var b strings.Builder
	for _, w := range bench.All {
		does := w.Does
		if w.Limit {
			does = "limit: " + does
		}
		fmt.Fprintf(&b, "  %-8s %-8s %s\n", w.Name, w.Unit, does)
	}
	return b.String()
}

func (a *app) bench(ctx context.Context, o benchOptions, names []string) (err error) {
	if o.plan.Callers, err = numbers("callers", o.callers, bench.MaxCallers); err != nil {
		return err
	}
	if o.plan.Fleets, err = numbers("fleets", o.fleets, bench.MaxFleet); err != nil {
		return err
	}
	workloads, err := bench.Choose(names, o.limits)
	if err != nil {
		return command.UsageError("%w\nThere are %s", err, strings.Join(workloadNames(), ", "))
	}
	if o.saveDir != "" {
		if err := os.MkdirAll(o.saveDir, 0o755); err != nil {
			return command.UsageError("--save: %w", err)
		}
	}
	// A name of its own for what the run leaves at a controller, and for its workers.
	run := strings.ToLower(rand.Text()[:10])
	out := screen.New(a.Stdout, a.Stderr, screen.IsTerminal(a.Stdout))
	report, err := a.measure(ctx, &o, run, workloads, out)
	err = errors.Join(err, out.Finish())
	if report != nil && len(report.Rows) > 0 {
		err = errors.Join(err, a.printBench(report, &o))
	}
	var failed *bench.TaskError
	if (errors.As(err, &failed) || errors.Is(err, bench.ErrTooMuchMemory)) && ctx.Err() == nil {
		return &command.CodedError{Code: command.ExitTaskFailed, Err: err}
	}
	return err
}

// numbers reads those of an option, from 1 to a bound, with commas between.
func numbers(option, list string, most int) (all []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := number.Parse(text, 1, most)
		if err != nil {
			return nil, command.UsageError("--%s %q: %w", option, list, err)
		}
		all = append(all, n)
	}
	return all, nil
}

func workloadNames() (names []string) {
	for _, w := range bench.All {
		names = append(names, w.Name)
	}
	return names
}

// measure starts what the workloads need, and runs them.
func (a *app) measure(ctx context.Context, o *benchOptions, run string, workloads []bench.Workload, out *screen.Screen) (report *bench.Report, err error) {
	s, err := a.newBenchStage(o, run, out)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	ctx, cancel := s.watch(ctx)
	defer cancel()
	config := bench.Config{
		Plan: o.plan, Workloads: workloads, Functions: s.functions, Run: run, Costs: o.costs, SyncDir: s.dir,
		Progress: out.Doing,
	}
	if a.Address == "" {
		s.alone()
		config.Fresh = s.fresh
	}
	s.environ = s.cleanEnviron()
	tasks := slices.ContainsFunc(workloads, func(w bench.Workload) bool { return !w.Limit && !w.Own })
	if tasks {
		if config.Target, err = s.cluster(ctx); err != nil {
			if ctx.Err() != nil { // which says why, where a part of it has died
				err = context.Cause(ctx)
			}
			return nil, err
		}
	}
	if slices.ContainsFunc(workloads, func(w bench.Workload) bool { return w.Limit }) {
		if config.Peer, err = s.peer(ctx); err != nil {
			return nil, err
		}
	}
	report, err = bench.Run(ctx, config)
	if report != nil && tasks {
		maps.Copy(report.Cluster, s.facts)
	}
	return report, err
}

// printBench writes the report in the format that was asked for, and all formats into the directory.
func (a *app) printBench(report *bench.Report, o *benchOptions) error {
	text, benchmarks, object := func(w io.Writer) error {
		printDetails(w, report.Header())
		fmt.Fprintln(w)
		printTable(w, bench.TableHeader, report.Table())
		if o.histogram {
			report.WriteHistograms(w)
		}
		if costs := report.Costs(); len(costs) > 0 {
			fmt.Fprintln(w)
			printTable(w, bench.CostHeader(), costs)
		}
		return nil
	}, func(w io.Writer) error {
		report.WriteBenchmarks(w)
		return nil
	}, func(w io.Writer) error { return printJSON(w, report) }
	formats := map[string]func(io.Writer) error{formatTable: text, formatBenchmarks: benchmarks, formatJSON: object}
	err := formats[a.output](a.Stdout)
	if o.saveDir == "" {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{"bench.txt": text, "bench.benchmarks": benchmarks, "bench.json": object} {
		var data bytes.Buffer
		err = errors.Join(err, write(&data), os.WriteFile(filepath.Join(o.saveDir, name), data.Bytes(), 0o644))
	}
	return err
}

// clusterFacts are what a report says of the cluster.
func clusterFacts(o *benchOptions, controller string) map[string]string {
	return map[string]string{
		"controller": controller,
		"workers":    fmt.Sprintf("processes: %d, with slots: %d each", o.workers, o.slots),
	}
}
