package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Aims of the simulator on one core.
const (
	aimEcho = 40_000 // messages a second
	aimIdle = 2_000  // to 1
)

// A benchReport is what a benchmark found.
type benchReport struct {
	Cores int    `json:"cores"` // that this process may use
	Go    string `json:"go"`
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	// Procs is GOMAXPROCS of the processes that are measured for one core.
	Procs int `json:"gomaxprocs"`
	Runs  int `json:"runs"`
	// Share is how much of a core each process had, from 0 to 1. With less than nearly 1 the
	// machine had other things to do too, and was measured for slower than it is.
	Share float64 `json:"core_share"`

	Echo   benchRate `json:"echo_messages"`
	Pipe   benchRate `json:"net_pipe_messages"`
	Direct benchRate `json:"direct_messages"`
	// OfPipe is Echo to Pipe by CPU time, run by run.
	OfPipe benchFigure `json:"echo_to_net_pipe"`
	// Idle is of seconds that pass in the simulation.
	Idle benchRate `json:"idle_virtual_seconds"`
	// Seeds and Sweep are of all cores.
	Seeds  benchFigure    `json:"seeds_per_second"`
	Sweep  benchFigure    `json:"seeds_messages_per_second"`
	Growth []*benchGrowth `json:"growth"`

	mu        sync.Mutex
	cpu, wall time.Duration // of all processes
}

// benchGrowth is what was found for clusters of one size.
type benchGrowth struct {
	Workers  int         `json:"workers"`
	Hosts    int         `json:"hosts"`
	Messages int         `json:"messages"` // of one run
	Rate     benchRate   `json:"delivered"`
	Ratio    benchFigure `json:"virtual_to_wall"`
	Wall     benchFigure `json:"wall_ms_per_virtual_second"`
	Heap     benchFigure `json:"heap_kib_per_host"`
}

// A benchRate is how much is done in a second, and in a second of CPU time, which is what a second
// would be if the process had a core to itself.
type benchRate struct {
	Wall benchFigure `json:"per_second"`
	CPU  benchFigure `json:"per_cpu_second"`
}

// add takes in an amount that a process has done.
func (r *benchRate) add(amount float64, t taken) {
	r.Wall.add(amount / t.Wall.Seconds())
	r.CPU.add(amount / t.cpu.Seconds())
}

// A benchFigure is the median of some samples, with the least and the greatest.
type benchFigure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`

	samples []float64
}

func newBenchReport(runs int) *benchReport {
	return &benchReport{Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Procs: 1, Runs: runs}
}

// ran notes how long a process ran and was at work. It may be called by several goroutines.
func (r *benchReport) ran(cpu, wall time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cpu += cpu
	r.wall += wall
}

func (f *benchFigure) add(sample float64) { f.samples = append(f.samples, sample) }

// settle makes figures of the samples.
func (r *benchReport) settle() {
	r.Share = min(r.cpu.Seconds()/r.wall.Seconds(), 1)
	figures := []*benchFigure{&r.OfPipe, &r.Seeds, &r.Sweep}
	for _, rate := range []*benchRate{&r.Echo, &r.Pipe, &r.Direct, &r.Idle} {
		figures = append(figures, &rate.Wall, &rate.CPU)
	}
	for _, g := range r.Growth {
		figures = append(figures, &g.Rate.Wall, &g.Rate.CPU, &g.Ratio, &g.Wall, &g.Heap)
	}
	for _, f := range figures {
		slices.Sort(f.samples)
		n := len(f.samples)
		f.Min, f.Max = f.samples[0], f.samples[n-1]
		f.Median = (f.samples[(n-1)/2] + f.samples[n/2]) / 2
	}
}

// write writes the report as tables.
func (r *benchReport) write(w io.Writer) error {
	fmt.Fprintf(w, "%d cores, %s %s/%s; median of %d runs (least..greatest)\n", r.Cores, r.Go, r.OS, r.Arch, r.Runs)
	fmt.Fprintf(w, "each process had %.0f%% of a core\n", 100*r.Share)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nONE CORE: GOMAXPROCS=%d\tA SECOND\tA SECOND OF CPU TIME\tAIM\n", r.Procs)
	row := func(name string, rate *benchRate, aim string) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, &rate.Wall, &rate.CPU, aim)
	}
	row("messages, Connect echo in the simulator", &r.Echo, grouped(aimEcho))
	row("messages, the same over net.Pipe in a bubble", &r.Pipe, "")
	row("messages, the same handed to the handler", &r.Direct, "")
	row(fmt.Sprintf("virtual seconds, %d idle workers, 1s heartbeats", idleWorkers), &r.Idle, grouped(aimIdle))
	fmt.Fprintf(table, "simulator to net.Pipe\t\t%s\t\n", &r.OfPipe)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(table, "\nALL CORES: %d PROCESSES\tA SECOND\n", r.Cores)
	fmt.Fprintf(table, "seeds of %s\t%s\n", benchScenario, &r.Seeds)
	fmt.Fprintf(table, "messages of these\t%s\n", &r.Sweep)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(table, "\nGROWTH: A CLUSTER OF WHICH ONE WORKER IN TEN CRASHES, ONE CORE\n")
	fmt.Fprintln(table, "WORKERS\tMESSAGES\tA SECOND\tA SECOND OF CPU TIME\tVIRTUAL:WALL\tWALL MS PER VIRTUAL S\tHEAP KiB PER HOST")
	for _, g := range r.Growth {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", g.Workers, grouped(float64(g.Messages)), &g.Rate.Wall, &g.Rate.CPU, &g.Ratio, &g.Wall, &g.Heap)
	}
	return table.Flush()
}

// String returns the figure with as many digits as mean something.
func (f *benchFigure) String() string {
	if len(f.samples) < 2 {
		return grouped(f.Median)
	}
	return fmt.Sprintf("%s (%s..%s)", grouped(f.Median), grouped(f.Min), grouped(f.Max))
}

// grouped writes a number above 0 for reading: whole from 100 on, with a comma after each thousand.
func grouped(x float64) string {
	if x < 100 {
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(x, 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
