package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/frayrpc/fray/sim/engine"
)

// Bounds of what a report of a run that failed has.
const (
	// shownEvents is how many of the last events, and firstEvents and lastEvents of those about one
	// task.
	shownEvents             = 20
	firstEvents, lastEvents = 6, 14
	// shownTasks is how many of the tasks that did not end, and of those that failed.
	shownTasks = 10
)

// writeTasks writes tasks of a kind, each with where it stands and since when.
func writeTasks(w io.Writer, what string, all *engine.Tasks) {
	if all == nil {
		return
	}
	shown := all.Tasks[:min(len(all.Tasks), shownTasks)]
	if len(shown) == 0 {
		fmt.Fprintf(w, "%s: %d tasks\n\n", what, all.Total)
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\tSINCE\tSTATE\tLAST EVENT\n", what)
	for i := range shown {
		t := &shown[i]
		last := ""
		if e := t.Last; e != nil {
			last = fmt.Sprintf("%.5f %s %s", e.At.Seconds(), cmp.Or(e.Host, "-"), e.Kind)
		}
		fmt.Fprintf(table, "%s\t%.5f\t%s\t%s\n", t.Task, t.Since.Seconds(), t.State, last)
	}
	_ = table.Flush() // what it writes to fails, if at all, for the next line too
	if more := all.Total - len(shown); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	fmt.Fprintln(w)
}

// writeScene writes what led to the end of a run that failed: the events about the task that it is
// about, and those around the one that breaks the claim, or the last ones if none does.
func writeScene(w io.Writer, r *engine.Result) {
	var proof []engine.Event
	if i := slices.IndexFunc(r.Violations, func(v engine.Violation) bool { return v.Oracle == r.Broken }); i >= 0 {
		proof = r.Violations[i].Events
	}
	if about, omitted := r.About, r.Omitted; len(about) > 0 {
		if more := len(about) - firstEvents - lastEvents; more > 0 {
			about = slices.Concat(about[:firstEvents], about[len(about)-lastEvents:])
			omitted += more
		}
		fmt.Fprintf(w, "\nThe events about %s", r.Task)
		if omitted > 0 {
			fmt.Fprintf(w, ", but for %d after the first %d (--task %s has all)", omitted, firstEvents, r.Task)
		}
		fmt.Fprint(w, ":\n\n")
		writeEvents(w, about, proof)
	}
	switch last := lastOf(r.Last); {
	case len(r.Around) > 0:
		fmt.Fprintln(w, "\nThe events around what breaks it:")
		fmt.Fprintln(w)
		writeEvents(w, r.Around, proof)
	case len(last) > 0:
		fmt.Fprintln(w, "\nThe last events:")
		fmt.Fprintln(w)
		writeEvents(w, last, proof)
	}
}

func lastOf(events []engine.Event) []engine.Event {
	return events[max(0, len(events)-shownEvents):]
}

// writeEvents writes events as a table: when each was, since the start of the run and since the one
// above it; where; and what. Those that prove something have a mark.
func writeEvents(w io.Writer, events, proof []engine.Event) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  #\t  SECONDS\tAFTER\tHOST\tEVENT\t")
	for i := range events {
		e := &events[i]
		after, mark, number := "", " ", "-" // What no host saw has no number.
		if e.Seq > 0 {
			number = strconv.FormatUint(e.Seq, 10)
		}
		if i > 0 {
			after = "+" + engine.Short(e.At-events[i-1].At)
		}
		if slices.ContainsFunc(proof, func(p engine.Event) bool { return p.Seq == e.Seq }) {
			mark = ">"
		}
		fmt.Fprintf(table, "%s %s\t%9.5f\t%s\t%s\t%s\t%s\n", mark, number, e.At.Seconds(), after, cmp.Or(e.Host, "-"), e.Kind, e.Text)
	}
	_ = table.Flush()
}

// Events writes events as a table.
func Events(w io.Writer, events []engine.Event) { writeEvents(w, events, nil) }
