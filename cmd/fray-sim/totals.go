package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// maxListedSeeds is how many seeds a summary lists of those that broke the same.
const maxListedSeeds = 12

// totals gathers what the seeds of a sweep came to, which come in order.
type totals struct {
	subject *subject
	seeds   scenario.Seeds
	began   time.Time

	ran, failed, verified uint64
	virtual               time.Duration
	steps                 int
	backend               string // "": virtual time
	work                  work
	// The first maxSavedSeeds of those that failed.
	failures []*engine.Result
	broken   []*breakage
}

// A breakage is the seeds that broke the same.
type breakage struct {
	what  string
	count int
	seeds []string // the first
}

func newTotals(of *subject, seeds scenario.Seeds) *totals {
	return &totals{subject: of, seeds: seeds, began: time.Now()}
}

func (t *totals) add(r *engine.Result) {
	t.ran++
	t.virtual += r.Virtual
	t.steps += r.Stats.Steps
	t.work.add(r)
	t.backend = cmp.Or(r.Backend, t.backend)
	if r.Verified {
		t.verified++
	}
	if r.ExitCode() == exitPass {
		return
	}
	t.failed++
	if len(t.failures) < maxSavedSeeds {
		t.failures = append(t.failures, r)
	}
	what := cmp.Or(r.Broken, r.Verdict)
	i := slices.IndexFunc(t.broken, func(b *breakage) bool { return b.what == what })
	if i < 0 {
		i = len(t.broken)
		t.broken = append(t.broken, &breakage{what: what})
	}
	b := t.broken[i]
	if b.count++; b.count <= maxListedSeeds {
		b.seeds = append(b.seeds, strconv.FormatUint(r.Seed, 10))
	}
}

// write writes the summary, and the report of the first seed that failed.
func (t *totals) write(w io.Writer, interrupted bool) {
	verdict := "PASS"
	switch {
	case t.failed > 0:
		verdict = "FAIL"
	case interrupted:
		verdict = "INTERRUPTED"
	}
	fmt.Fprintf(w, "%s  %s, seeds %s: %d of %d pass", verdict, t.subject.called, t.seeds, t.ran-t.failed, t.ran)
	if left := t.seeds.Count() - t.ran; left > 0 {
		why := "the sweep ended at the first failure"
		if interrupted {
			why = "the sweep was interrupted"
		}
		fmt.Fprintf(w, ", %d did not run: %s", left, why)
	}
	fmt.Fprintln(w)
	wall := time.Since(t.began)
	if t.backend != "" {
		fmt.Fprintf(w, "      %s on real processes\n", short(wall))
	} else {
		fmt.Fprintf(w, "      %s of virtual time in %s, %.1f seeds/s, %.0f messages/s\n",
			short(t.virtual), short(wall), float64(t.ran)/wall.Seconds(), float64(t.steps)/wall.Seconds())
	}
	if t.verified > 0 {
		fmt.Fprintf(w, "      %d of them ran twice, with other GOMAXPROCS, and gave the same trace unless listed as determinism\n", t.verified)
	}
	t.work.write(w)
	if t.failed == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nBROKEN\tSEEDS\t")
	for _, b := range t.broken {
		list := strings.Join(b.seeds, ", ")
		if b.count > len(b.seeds) {
			list += ", ..."
		}
		fmt.Fprintf(table, "%s\t%d\t%s\n", b.what, b.count, list)
	}
	_ = table.Flush() // what it writes to fails, if at all, for the next line too
	fmt.Fprintln(w, "\nThe first of them:")
	fmt.Fprintln(w)
	writeReport(w, t.failures[0], t.subject)
}
