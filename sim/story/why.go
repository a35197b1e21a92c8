package story

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/frayrpc/fray/sim/engine"
)

// A Why is where a run that failed and one that passes part, in the life of the thing that the
// failure is about.
type Why struct {
	// Thing is what the failure is about; "": nothing that has an id, and all that happened counts.
	Thing string
	// Against says which run passes, such as "without fault cut (partition)". "": none was found, and
	// Rows are of the run that fails alone.
	Against string
	// Note says what limits the answer; "": nothing.
	Note string
	// Rows are what happened. Before says how many came before them that are the same in both, and
	// After how many follow that are left out.
	Rows          []Row
	Before, After int
}

// A Row is one thing that happened in both runs or in one.
type Row struct {
	Bad, Good *engine.Event // nil: not in that run
	// First is set for the first that is not in both, or much later in one, and Proves for one that
	// proves the violation.
	First, Proves bool

	// It is one of all things.
	any bool
}

// Bounds of what a Why tells.
const (
	// maxBefore is how many rows before the first difference, and maxAfter after it.
	maxBefore, maxAfter = 8, 32
	// maxBeyond is how many of those that only the run that passes comes to, after the end of the
	// other one.
	maxBeyond = 12
)

// at is when it happened, in the run in which that was sooner.
func (r *Row) at() time.Duration {
	switch {
	case r.Bad == nil:
		return r.Good.At
	case r.Good == nil:
		return r.Bad.At
	}
	return min(r.Bad.At, r.Good.At)
}

// later is how much later it happened in the run that fails, or below 0 how much sooner.
func (r *Row) later() time.Duration {
	if r.Bad == nil || r.Good == nil {
		return 0
	}
	return r.Bad.At - r.Good.At
}

// event returns it as one of the runs has it.
func (r *Row) event() *engine.Event {
	if r.Bad != nil {
		return r.Bad
	}
	return r.Good
}

// What says what happened.
func (r *Row) What() string {
	e := r.event()
	text := e.Gist
	if e.Kind == kindFault || text == "" {
		text = e.Kind
		if e.Text != "" {
			text += " " + e.Text
		}
	}
	if r.any && len(e.Tasks) > 0 {
		text += " " + few(e.Tasks)
	}
	if len(e.Missing) > 0 {
		text += ": its worker held the task, and did not list it"
	}
	return text
}

// Who says who saw it, or who told whom.
func (r *Row) Who() string {
	switch e := r.event(); {
	case e.From != "" && e.To != "":
		return e.From + " > " + e.To
	case e.Host != "":
		return e.Host
	}
	return "-"
}

// Times returns when it happened in both, in seconds; "-": never.
func (r *Row) Times() (bad, good string) {
	seconds := func(e *engine.Event) string {
		if e == nil {
			return "-"
		}
		return fmt.Sprintf("%.5f", e.At.Seconds())
	}
	return seconds(r.Bad), seconds(r.Good)
}

// Mark is > for the first difference, and * for what proves the violation.
func (r *Row) Mark() string {
	switch {
	case r.First:
		return ">"
	case r.Proves:
		return "*"
	}
	return " "
}

// Write writes the answer for people; that of nil is nothing.
func (y *Why) Write(w io.Writer) {
	if y == nil {
		return
	}
	fmt.Fprint(w, "\n", y.Title(), "\n")
	if y.Note != "" {
		fmt.Fprintln(w, y.Note)
	}
	if len(y.Rows) == 0 {
		return
	}
	fmt.Fprintln(w)
	if y.Before > 0 {
		fmt.Fprintf(w, "  (%d before that are the same)\n", y.Before)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if y.Against == "" {
		fmt.Fprintln(table, "  FAILS\tWHO\tEVENT")
	} else {
		fmt.Fprintln(table, "  FAILS\tPASSES\tWHO\tEVENT")
	}
	for i := range y.Rows {
		r := &y.Rows[i]
		bad, good := r.Times()
		if y.Against != "" {
			bad += "\t" + good
		}
		fmt.Fprintf(table, "%s %s\t%s\t%s\n", r.Mark(), bad, r.Who(), r.What())
	}
	_ = table.Flush() // what it writes to fails, if at all, for the next line too
	if y.After > 0 {
		fmt.Fprintf(w, "  (%d more)\n", y.After)
	}
	if parts := y.Parts(); parts != "" {
		fmt.Fprintf(w, "\n%s\n", parts)
	}
}

// Title says what is compared.
func (y *Why) Title() string {
	subject := "Why"
	if y.Thing != "" {
		subject += ": " + y.Thing
	}
	if y.Against == "" {
		return subject + ", in the run that fails"
	}
	return subject + ", in the run that fails and in the one that passes " + y.Against
}

// Parts says in a sentence where the runs part; "": they do not.
func (y *Why) Parts() string {
	i := slices.IndexFunc(y.Rows, func(r Row) bool { return r.First })
	if i < 0 || y.Against == "" {
		return ""
	}
	r := &y.Rows[i]
	run := "fails"
	switch later := r.later(); {
	case later > 0:
		return fmt.Sprintf("They part at %.5f s: %s later in the run that fails: %s: %s.", r.at().Seconds(), engine.Short(later), r.Who(), r.What())
	case later < 0:
		return fmt.Sprintf("They part at %.5f s: %s sooner in the run that fails: %s: %s.", r.at().Seconds(), engine.Short(-later), r.Who(), r.What())
	}
	if r.Bad == nil {
		run = "passes"
	}
	return fmt.Sprintf("They part at %.5f s: only the run that %s has %s: %s.", r.at().Seconds(), run, r.Who(), r.What())
}
