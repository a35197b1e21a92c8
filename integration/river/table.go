package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// table has what was measured, by system and row, a value for each turn.
type table struct {
	o    *options
	rows []string // in the order in which they came
	of   map[string]map[string][]float64
}

func newTable(o *options) *table { return &table{o: o, of: make(map[string]map[string][]float64)} }

func (t *table) addRate(system, row string, rate float64) { t.add(system, row+", jobs/s", rate) }

func (t *table) addCalls(system string, callers int, length time.Duration, took []time.Duration) {
	row := fmt.Sprintf("call, %d at a time, ", callers)
	ms := func(share float64) float64 {
		return took[int(share*float64(len(took)-1))].Seconds() * 1000
	}
	t.add(system, row+"p50 ms", ms(0.5))
	t.add(system, row+"p99 ms", ms(0.99))
	t.add(system, row+"jobs/s", float64(len(took))/length.Seconds())
}

func (t *table) add(system, row string, value float64) {
	if !slices.Contains(t.rows, row) {
		t.rows = append(t.rows, row)
	}
	if t.of[row] == nil {
		t.of[row] = make(map[string][]float64)
	}
	t.of[row][system] = append(t.of[row][system], value)
}

// print writes the median of each row, what it was in each turn, and how Fray's stands to the others'.
func (t *table) print(out io.Writer) error {
	fmt.Fprintf(out, "%d jobs, %d slots; of %d turns the median, and all of them\n\n", t.o.jobs, t.o.slots, t.o.repeat)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		fray := t.of[row][contenders[0].name]
		for _, c := range contenders {
			values := t.of[row][c.name]
			if len(values) == 0 {
				continue
			}
			ratio := ""
			if len(fray) > 0 && c.name != contenders[0].name {
				ratio = fmt.Sprintf("Fray's is %.2f of it", median(fray)/median(values))
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", row, c.name, number(median(values)), numbers(values), ratio)
		}
	}
	return w.Flush()
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func numbers(values []float64) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = number(v)
	}
	return strings.Join(all, " ")
}
