package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Header returns the facts about a run, for people: names and values.
func (r *Report) Header() [][2]string {
	m := r.Machine
	cpu := m.CPU
	if cpu == "" {
		cpu = "unknown"
	}
	lines := [][2]string{
		{"fray", strings.TrimSpace(strings.ReplaceAll(strings.TrimPrefix(r.Fray.Lines("fray"), "fray "), "\n", " "))},
		{"machine", fmt.Sprintf("%s, %d cores, GOMAXPROCS %d, kernel %s", cpu, m.Cores, m.Procs, m.Kernel)},
	}
	if m.LoadBefore != nil && m.LoadAfter != nil {
		lines = append(lines, [2]string{"load", fmt.Sprintf("%.2f before, %.2f after", *m.LoadBefore, *m.LoadAfter)})
	}
	lines = append(lines, r.sortedCluster()...)
	p := r.Plan
	lines = append(lines, [2]string{"plan", fmt.Sprintf("repetitions: %d; tasks: %d, queued: %d; duration: %s; bytes of a payload: %d, of an object: %d; idle workers: %d", p.Repeat, p.Tasks, p.Queued, p.Duration, p.PayloadBytes, p.ObjectBytes, p.Idle)})
	if r.Interrupted {
		lines = append(lines, [2]string{"interrupted", "not all was measured"})
	}
	for _, note := range r.Notes {
		lines = append(lines, [2]string{"note", note})
	}
	return lines
}

// TableHeader is the header of Table.
var TableHeader = []string{"row", "median", "unit", "least", "most", "p50", "p90", "p99", "max", "of limit"}

// Table returns the rows, for people.
func (r *Report) Table() [][]string {
	cells := make([][]string, 0, len(r.Rows))
	for _, row := range r.Rows {
		line := []string{row.Name, amount(row.Median), row.Unit, amount(row.Least), amount(row.Most), "", "", "", "", ""}
		if l := row.Latency; l != nil {
			for i, ns := range []int64{l.P50, l.P90, l.P99, l.Max} {
				line[5+i] = shortTime(ns)
			}
		}
		if row.Limit != nil {
			line[9] = fmt.Sprintf("%.3g of %s", row.Limit.Ratio, row.Limit.Row)
		}
		cells = append(cells, line)
	}
	return cells
}

// WriteHistograms draws how long the calls of each row took.
func (r *Report) WriteHistograms(w io.Writer) {
	for _, row := range r.Rows {
		if row.Latency != nil {
			fmt.Fprintf(w, "\n%s\n", row.Name)
			row.Latency.writeHistogram(w)
		}
	}
}

// CostHeader is the header of Costs.
func CostHeader() []string { return append([]string{"for each task", "of"}, costNames...) }

// Costs returns what a task of each row took of each part of the cluster, for people; empty: it is not
// known.
func (r *Report) Costs() (cells [][]string) {
	for _, row := range r.Rows {
		for _, part := range costParts {
			line, known := []string{row.Name, part}, false
			for _, name := range costNames {
				v, ok := row.Cost[part+" "+name]
				known = known || ok
				if ok {
					line = append(line, amount(v))
				} else {
					line = append(line, "")
				}
			}
			if known {
				cells = append(cells, line)
			}
		}
	}
	return cells
}

// amount is a number with three digits or as many as it has before the point.
func amount(v float64) string {
	decimals := 0
	for bound := 100.0; v != 0 && decimals < 3 && math.Abs(v) < bound; bound /= 10 {
		decimals++
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// WriteBenchmarks writes the report in the format of Go's benchmarks, a line for each repetition, so
// that benchstat compares two of them.
func (r *Report) WriteBenchmarks(w io.Writer) {
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/frayrpc/fray/cmd/fray\n", r.Fray.OS, r.Fray.Arch)
	if r.Machine.CPU != "" {
		fmt.Fprintf(w, "cpu: %s\n", r.Machine.CPU)
	}
	for _, unit := range []string{unitTasks, unitTrips, unitSyncs} {
		fmt.Fprintf(w, "Unit %s better=higher\n", unit)
	}
	for _, row := range r.Rows {
		for _, f := range row.Runs {
			fmt.Fprintf(w, "Benchmark%s-%d\t%d\t%s ns/op\t%s %s", title(row.Name), r.Machine.Procs,
				f.Count, plain(f.Seconds*1e9/float64(f.Count)), plain(f.Value), row.Unit)
			if f.Max > 0 {
				fmt.Fprintf(w, "\t%d p50-ns\t%d p90-ns\t%d p99-ns\t%d max-ns", f.P50, f.P90, f.P99, f.Max)
			}
			fmt.Fprintln(w)
		}
	}
}

// plain is a number without an exponent.
func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// title is the name of a row as a benchmark has it: call/8 is Call/8.
func title(name string) string {
	runes := []rune(name)
	runes[0] = unicode.ToUpper(runes[0])
	return string(runes)
}
