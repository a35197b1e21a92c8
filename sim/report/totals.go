package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
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

// maxFailures is how many results of seeds that failed are kept: the first ones.
const maxFailures = 10

// Totals gathers what the seeds of a sweep came to, which come in order.
type Totals struct {
	// Seeds are those that the sweep was asked for, Ran is how many of them have run, and Began is
	// when the sweep did.
	Seeds scenario.Seeds
	Ran   uint64
	Began time.Time
	// Failures are the results of the first ten seeds that failed.
	Failures []*engine.Result
	// Reached is how many points of each kind the runs came to; empty: nobody asked.
	Reached map[string]int

	subject            Subject
	failures, verified uint64
	virtual            time.Duration
	steps              int
	backend            string // "": virtual time
	work               work
	broken             []*breakage
}

// A breakage is the seeds that broke the same.
type breakage struct {
	what  string
	count int
	seeds []string // the first
}

// NewTotals returns those of a sweep that begins now.
func NewTotals(of Subject, seeds scenario.Seeds) *Totals {
	t := &Totals{subject: of, Seeds: seeds, Began: time.Now()}
	if of.Sum != nil {
		t.work.sum = of.Sum()
	}
	return t
}

// Add takes in the result of the next seed.
func (t *Totals) Add(r *engine.Result) {
	t.Ran++
	t.virtual += r.Virtual
	t.steps += r.Stats.Steps
	t.work.add(r)
	t.backend = cmp.Or(r.Backend, t.backend)
	if r.Verified {
		t.verified++
	}
	if r.Passed() {
		return
	}
	t.failures++
	if len(t.Failures) < maxFailures {
		t.Failures = append(t.Failures, r)
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

// Write writes the summary, and the report of the first seed that failed.
func (t *Totals) Write(w io.Writer, interrupted bool) {
	fmt.Fprintf(w, "%s  %s, seeds %s: %d of %d pass", t.verdict(interrupted), t.subject.Called, t.Seeds, t.Ran-t.failures, t.Ran)
	if left := t.Seeds.Count() - t.Ran; left > 0 {
		why := "the sweep ended at the first failure"
		if interrupted {
			why = "the sweep was interrupted"
		}
		fmt.Fprintf(w, ", %d did not run: %s", left, why)
	}
	fmt.Fprintln(w)
	t.body(w)
	if t.failures == 0 {
		return
	}
	t.writeBroken(w)
	t.writeFirst(w, t.subject)
}

// verdict is what the runs came to, in a word.
func (t *Totals) verdict(interrupted bool) string {
	switch {
	case t.failures > 0:
		return "FAIL"
	case interrupted:
		return "INTERRUPTED"
	default:
		return "PASS"
	}
}

// body writes what the runs did.
func (t *Totals) body(w io.Writer) {
	wall := time.Since(t.Began)
	if t.backend != "" {
		fmt.Fprintf(w, "      %s %s\n", engine.Short(wall), where(t.backend))
	} else {
		fmt.Fprintf(w, "      %s of virtual time in %s, %.1f seeds/s, %.0f messages/s\n",
			engine.Short(t.virtual), engine.Short(wall), float64(t.Ran)/wall.Seconds(), float64(t.steps)/wall.Seconds())
	}
	if t.verified > 0 {
		fmt.Fprintf(w, "      %d of them ran twice, with other GOMAXPROCS, and gave the same trace unless listed as determinism\n", t.verified)
	}
	t.work.write(w)
	writeReached(w, t.Reached)
}

// writeReached writes how many points there are of each kind, unless nobody asked.
func writeReached(w io.Writer, counts map[string]int) {
	if len(counts) == 0 {
		return
	}
	all := 0
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		all += counts[kind]
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	fmt.Fprintf(w, "reached   %d points: %s\n", all, strings.Join(kinds, ", "))
}

// writeBroken writes what broke, and in which seeds.
func (t *Totals) writeBroken(w io.Writer) {
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
}

// writeFirst writes the report of the first run that failed, which is of a subject.
func (t *Totals) writeFirst(w io.Writer, of Subject) {
	fmt.Fprintln(w, "\nThe first of them:")
	fmt.Fprintln(w)
	Run(w, t.Failures[0], of)
}
