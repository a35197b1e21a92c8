package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/simtest"
	"github.com/frayrpc/fray/sim/speed"
)

// benchPlan is how much work a benchmark does.
type benchPlan struct {
	runs  int
	calls int           // of each echo
	idle  time.Duration // virtual
	seeds uint64        // of a sweep
	chunk uint64        // of them, in a process
	sizes []int         // workers of the clusters that grow
	// messages is about how many a sample of a cluster has at least, so that a small one runs
	// several seeds.
	messages int
}

var (
	benchFull  = benchPlan{runs: 3, calls: 100_000, idle: time.Hour, seeds: 200, chunk: simtest.ChunkSeeds, sizes: []int{10, 100, 300, 1000}, messages: 70_000}
	benchQuick = benchPlan{runs: 1, calls: 500, idle: time.Minute, seeds: 4, chunk: 1, sizes: []int{3, 10}, messages: 1}
)

const (
	benchScenario = "worker-crash"
	idleWorkers   = 8
	// messagesEach is about how many messages a worker of a crashing cluster accounts for.
	messagesEach = 240
)

func (a *app) newBench() *cobra.Command {
	plan, quick, format := benchFull, false, ""
	bench := &cobra.Command{
		Use: "bench", Short: "Measure how fast this machine simulates", Args: cobra.NoArgs,
		Long: `Measure how fast this machine simulates. Each sample is taken by a process of its own, with GOMAXPROCS=1 unless all cores
are measured. Figures are medians of several samples, with the least and the greatest beside them. On a machine that does other things too, what is
done in a second of CPU time says most. It takes about two minutes.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return simtest.Invalid("--format %q is neither text nor json", format)
			}
			if quick {
				plan = benchQuick
			} else if plan.runs < 1 {
				return simtest.Invalid("--runs %d is less than 1", plan.runs)
			}
			report, err := a.bench(cmd.Context(), plan)
			if err != nil {
				return err
			}
			if format == "json" {
				return json.NewEncoder(a.Stdout).Encode(report)
			}
			return report.write(a.Stdout)
		},
	}
	flags := bench.Flags()
	flags.IntVar(&plan.runs, "runs", plan.runs, "how many `samples` each figure is the median of")
	flags.BoolVar(&quick, "quick", false, "do little work, once: it shows that all is measured, and its figures say nothing")
	flags.StringVar(&format, "format", "text", "how the result is written: text or json")
	bench.AddCommand(&cobra.Command{
		Use: "sample WHAT SIZE COUNT", Hidden: true, Args: cobra.ExactArgs(3),
		Short: "Take one sample in this process, for bench",
		RunE:  func(cmd *cobra.Command, args []string) error { return a.sample(cmd.Context(), args) },
	})
	return bench
}

// What a sample can be of.
const (
	sampleEcho   = "echo"
	samplePipe   = "pipe"
	sampleDirect = "direct"
	sampleIdle   = "idle"
	sampleCrash  = "crash"
	sampleHeap   = "heap"
)

// sample takes a sample in this process and writes it.
func (a *app) sample(ctx context.Context, args []string) error {
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return simtest.Invalid("SIZE %q is not a number", args[1])
	}
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return simtest.Invalid("COUNT %q is not a number", args[2])
	}
	var sample speed.Sample
	switch args[0] {
	case sampleEcho:
		sample, err = speed.Echo(bubble.Run, count)
	case samplePipe:
		sample, err = speed.Pipe(bubble.Run, count)
	case sampleDirect:
		sample, err = speed.Direct(count)
	case sampleIdle:
		sample, err = speed.Idle(ctx, bubble.Run, size, number.FromSeconds(int64(count)))
	case sampleCrash:
		// What happens once in a process is no part of it.
		if _, err = speed.Crash(ctx, bubble.Run, 3, 1); err == nil {
			sample, err = speed.Crash(ctx, bubble.Run, size, count)
		}
	case sampleHeap:
		sample, err = speed.CrashHeap(ctx, bubble.Run, size)
	default:
		err = simtest.Invalid("there are no samples of %q", args[0])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(a.Stdout).Encode(sample)
}

// bench takes all samples. Those that are compared come in turn, so that what else the machine does
// concerns all of them.
func (a *app) bench(ctx context.Context, plan benchPlan) (*benchReport, error) {
	executable, err := a.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	b := &bencher{executable: executable, plan: plan, report: newBenchReport(plan.runs)}
	for range plan.runs {
		for _, measure := range []func(context.Context) error{b.calls, b.idle, b.sweep} {
			if err := measure(ctx); err != nil {
				return nil, err
			}
		}
	}
	for _, size := range plan.sizes {
		if err := b.grow(ctx, size); err != nil {
			return nil, err
		}
	}
	b.report.settle()
	return b.report, nil
}

// bencher takes samples, in processes of their own, and notes the figures.
type bencher struct {
	executable string
	plan       benchPlan
	report     *benchReport
}

func (b *bencher) calls(ctx context.Context) error {
	echo, err := b.take(ctx, sampleEcho, 0, b.plan.calls)
	if err != nil {
		return err
	}
	pipe, err := b.take(ctx, samplePipe, 0, b.plan.calls)
	if err != nil {
		return err
	}
	direct, err := b.take(ctx, sampleDirect, 0, b.plan.calls)
	if err != nil {
		return err
	}
	b.report.Echo.add(float64(echo.Messages), echo)
	b.report.Pipe.add(float64(pipe.Messages), pipe)
	b.report.Direct.add(float64(direct.Messages), direct)
	b.report.OfPipe.add(float64(echo.Messages) / float64(pipe.Messages) * pipe.cpu.Seconds() / echo.cpu.Seconds())
	return nil
}

func (b *bencher) idle(ctx context.Context) error {
	idle, err := b.take(ctx, sampleIdle, idleWorkers, int(b.plan.idle.Seconds()))
	if err != nil {
		return err
	}
	b.report.Idle.add(idle.Virtual.Seconds(), idle)
	return nil
}

// sweep runs seeds as a sweep does, in as many processes at a time as there are cores.
func (b *bencher) sweep(ctx context.Context) error {
	var (
		mu        sync.Mutex
		delivered int
		errs      []error
		workers   sync.WaitGroup
	)
	chunks := make(chan scenario.Seeds)
	begun := time.Now()
	for range b.report.Cores {
		workers.Go(func() {
			for seeds := range chunks {
				messages, err := b.chunk(ctx, seeds)
				mu.Lock()
				delivered += messages
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	for first := uint64(1); first <= b.plan.seeds; first += b.plan.chunk {
		chunks <- scenario.Seeds{First: first, Last: min(b.plan.seeds, first+b.plan.chunk-1)}
	}
	close(chunks)
	workers.Wait()
	wall := time.Since(begun).Seconds()
	b.report.Seeds.add(float64(b.plan.seeds) / wall)
	b.report.Sweep.add(float64(delivered) / wall)
	return errors.Join(errs...)
}

// chunk runs a few seeds in a process of their own, and returns how many messages were delivered.
func (b *bencher) chunk(ctx context.Context, seeds scenario.Seeds) (delivered int, err error) {
	out, _, err := b.run(ctx, os.Environ(), "--scenario", benchScenario, "--seeds", seeds.String(), "--format", "json")
	if err != nil {
		return 0, err
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var result struct {
			Stats sim.Stats `json:"stats"`
		}
		if err := decoder.Decode(&result); err != nil {
			return 0, fmt.Errorf("read results of seeds %s: %w", seeds, err)
		}
		delivered += result.Stats.Delivered
	}
	return delivered, nil
}

// grow measures clusters of one size.
func (b *bencher) grow(ctx context.Context, workers int) error {
	g := &benchGrowth{Workers: workers}
	seeds := max(1, b.plan.messages/(messagesEach*workers))
	for range b.plan.runs {
		s, err := b.take(ctx, sampleCrash, workers, seeds)
		if err != nil {
			return err
		}
		g.Hosts, g.Messages = s.Hosts, s.Messages/seeds
		g.Rate.add(float64(s.Messages), s)
		g.Ratio.add(s.Ratio())
		g.Wall.add(1e3 / s.Ratio())
		heap, err := b.take(ctx, sampleHeap, workers, 1)
		if err != nil {
			return err
		}
		g.Heap.add(float64(heap.Heap) / float64(heap.Hosts) / 1024)
	}
	b.report.Growth = append(b.report.Growth, g)
	return nil
}

// taken is a sample, and what CPU time it took with all that its process did.
type taken struct {
	speed.Sample

	cpu time.Duration
}

// take has a process with one core take a sample.
func (b *bencher) take(ctx context.Context, what string, size, count int) (s taken, err error) {
	out, cpu, err := b.run(ctx, append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", b.report.Procs)),
		"bench", "sample", what, strconv.Itoa(size), strconv.Itoa(count))
	if err != nil {
		return s, err
	}
	s.cpu = cpu
	if err := json.Unmarshal(out, &s.Sample); err != nil {
		return s, fmt.Errorf("read sample of %s: %w", what, err)
	}
	return s, nil
}

// run runs this program, and returns what it writes and what CPU time it takes.
func (b *bencher) run(ctx context.Context, env []string, args ...string) (out []byte, cpu time.Duration, err error) {
	cmd := exec.CommandContext(ctx, b.executable, args...)
	cmd.Env = env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	begun := time.Now()
	out, err = cmd.Output()
	if ctx.Err() != nil {
		return nil, 0, context.Cause(ctx)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("run fray-sim %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	b.report.ran(cpu, time.Since(begun))
	return out, cpu, nil
}
