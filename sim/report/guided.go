package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/frayrpc/fray/sim/engine"
)

// Ways are the ways in which guided runs were chosen.
type Ways struct {
	// Fresh and Varied are the runs of fresh seeds and of variations, FreshPoints and VariedPoints the
	// points to which they came first, and Kept the scenarios that were kept to be varied.
	Fresh, Varied, FreshPoints, VariedPoints, Kept int
}

// Guided gathers what guided runs came to, in their order.
type Guided struct {
	Totals

	Ways Ways
	// failed are the commands of those that failed, with what each broke: the first ones.
	failed []string
	// first is what the first of Failures is a run of.
	first Subject
}

// maxFailed is how many commands of runs that failed a summary has.
const maxFailed = 100

// NewGuided returns those of guided runs that begin now.
func NewGuided(of Subject) *Guided {
	g := &Guided{Totals: Totals{subject: of, Began: time.Now()}}
	if of.Sum != nil {
		g.work.sum = of.Sum()
	}
	return g
}

// Add takes in the next result, which is of a subject of its own.
func (g *Guided) Add(of Subject, r *engine.Result) {
	g.Totals.Add(r)
	if r.Passed() {
		return
	}
	if len(g.failed) == 0 {
		g.first = of
	}
	if len(g.failed) < maxFailed {
		g.failed = append(g.failed, cmp.Or(r.Broken, r.Verdict)+"  "+replayCommand(r, of))
	}
}

// Write writes the summary, and the report of the first run that failed.
func (g *Guided) Write(w io.Writer, interrupted bool) {
	fmt.Fprintf(w, "%s  %s, guided: %d of %d runs pass\n",
		g.verdict(interrupted), g.subject.Called, g.Ran-g.failures, g.Ran)
	g.body(w)
	fmt.Fprintf(w, "chosen    %d fresh seeds, which came first to %d points; ", g.Ways.Fresh, g.Ways.FreshPoints)
	fmt.Fprintf(w, "%d variations, which came first to %d; ", g.Ways.Varied, g.Ways.VariedPoints)
	fmt.Fprintf(w, "%d scenarios are kept\n", g.Ways.Kept)
	if g.failures == 0 {
		return
	}
	g.writeBroken(w)
	fmt.Fprintf(w, "\nReplay them with\n\n  %s\n", strings.Join(g.failed, "\n  "))
	if more := g.failures - uint64(len(g.failed)); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
	g.writeFirst(w, g.first)
}
