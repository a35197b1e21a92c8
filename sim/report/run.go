package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// Run writes what came of a run of a seed of a subject: the verdict first, then what it rests on,
// and last how to see it again.
func Run(w io.Writer, r *engine.Result, of Subject) {
	Verdict(w, r)
	if r.Summary != "" {
		fmt.Fprintf(w, "%s\n", r.Summary)
	}
	fmt.Fprintln(w)
	writeBroken(w, r)
	writeTasks(w, "Not ended", r.Open)
	if !r.Passed() {
		writeTasks(w, "Failed", r.Failed)
	}
	if len(r.Facts) == 0 {
		writeReplay(w, r, of)
		return // There was no run.
	}
	fmt.Fprintf(w, "time      %s\n", duration(r))
	writeLines(w, Tell(of, r))
	counts := map[string]int{}
	for kind, points := range r.Reached { // order-free: each is counted
		counts[kind] = len(points)
	}
	writeReached(w, counts)
	writeTables(w, r)
	if r.Backend == "" {
		fmt.Fprintf(w, "\ntrace     %016x", r.Hash)
	}
	if r.Verified && r.Verdict != scenario.VerdictNondeterminism {
		fmt.Fprint(w, ", the same when run again with other GOMAXPROCS")
	}
	fmt.Fprintln(w)
	if o := r.Stats.Order; o.Turns > 0 && o.Replays() {
		fmt.Fprintf(w, "order     the seed's: goroutines took %d turns\n", o.Turns)
	} else if o.Turns > 0 {
		fmt.Fprintf(w, "order     not the seed's alone: of %d turns of goroutines %d were taken from one that spun, and %d followed a system call\n",
			o.Turns, o.Broken, o.Passed)
	}
	if r.Passed() {
		return
	}
	writeScene(w, r)
	fmt.Fprintln(w)
	writeReplay(w, r, of)
}

// Verdict writes how a run ended, in a line.
func Verdict(w io.Writer, r *engine.Result) {
	verdict := "PASS"
	switch {
	case r.Verdict == scenario.VerdictInterrupted:
		verdict = "INTERRUPTED"
	case !r.Passed():
		verdict = "FAIL (" + r.Verdict + ")"
	}
	fmt.Fprintf(w, "%s  %s, seed %d\n", verdict, r.Scenario, r.Seed)
}

// duration tells how long the run took.
func duration(r *engine.Result) string {
	if r.Backend != "" {
		return engine.Short(r.Virtual) + " " + where(r.Backend)
	}
	ratio := ""
	if r.Wall > 0 {
		ratio = fmt.Sprintf(" (%.0f to 1)", r.Virtual.Seconds()/r.Wall.Seconds())
	}
	return fmt.Sprintf("%s virtual in %s%s, %d messages", engine.Short(r.Virtual), engine.Short(r.Wall), ratio, r.Stats.Steps)
}

// where says where a run took place that was not in virtual time.
func where(backend string) string {
	if backend == scenario.BackendLive {
		return "on a cluster that runs"
	}
	return "on real processes"
}

func writeReplay(w io.Writer, r *engine.Result, of Subject) {
	if r.Backend != "" {
		fmt.Fprintf(w, "Run it again, which may go another way, with\n\n  %s\n", replayCommand(r, of))
		return
	}
	fmt.Fprintf(w, "Replay it with\n\n  %s\n", replayCommand(r, of))
}

func replayCommand(r *engine.Result, of Subject) string {
	command := of.Command(r.Seed)
	if of.Replay != nil {
		return command
	}
	if r.Verified {
		command += " --verify"
	}
	if r.Backend != "" {
		command += " --backend " + r.Backend
	}
	return command
}

// writeBroken says what does not hold, and proves it.
func writeBroken(w io.Writer, r *engine.Result) {
	if r.Text == "" {
		return
	}
	switch i := slices.IndexFunc(r.Oracles, func(c engine.Count) bool { return c.Oracle == r.Broken }); {
	case i >= 0:
		fmt.Fprintf(w, "%s: %s But\n%s\n\n", r.Broken, r.Oracles[i].Claim, r.Text)
	case r.Broken != "":
		fmt.Fprintf(w, "%s: %s\n\n", r.Broken, r.Text)
	default:
		fmt.Fprintf(w, "%s\n\n", r.Text)
	}
	i := slices.IndexFunc(r.Violations, func(v engine.Violation) bool { return v.Oracle == r.Broken })
	if i < 0 {
		return
	}
	if events := r.Violations[i].Events; len(events) > 0 {
		writeEvents(w, events, nil)
		fmt.Fprintln(w)
	}
	if more := len(r.Violations) - 1; more > 0 {
		fmt.Fprintf(w, "It is not the only one: %d more were found; --format json has them all.\n\n", more)
	}
}

// writeTables writes what faults did, what oracles looked at, and what came true when.
func writeTables(w io.Writer, r *engine.Result) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Faults) > 0 {
		fmt.Fprintln(table, "\nFAULT\tDID\tTIMES")
		for _, fault := range r.Faults {
			times := strconv.Itoa(fault.Fired)
			if fault.Fired == 0 {
				times = "never"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\n", fault.ID, fault.Action, times)
		}
	}
	fmt.Fprintln(table, "\nORACLE\tCHECKS\tBROKEN\tCLAIM")
	for _, o := range r.Oracles {
		if !o.Judged() {
			continue
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", o.Oracle, o.Checks, o.Violations, o.Claim)
	}
	_ = table.Flush() // what it writes to fails, if at all, for the next line too
	if idle := r.NotJudged(); len(idle) > 0 {
		fmt.Fprintf(w, "Not judged, because nothing happened that they look at: %s.\n", strings.Join(idle, ", "))
	}
	if len(r.Eventually) > 0 {
		fmt.Fprintln(table, "\nEVENTUALLY\tTOOK\tOF")
		for _, m := range r.Eventually {
			took := engine.Short(m.Took)
			switch {
			case !m.Met:
				took = "never"
			case m.Took <= 0:
				took = "at once"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\n", m.That, took, engine.Short(m.Within))
		}
	}
	_ = table.Flush()
}

// writeLines writes lines, each with what it is about before it.
func writeLines(w io.Writer, lines []engine.Line) {
	for _, line := range lines {
		if line.What == "" {
			fmt.Fprintln(w, line.Text)
		} else {
			fmt.Fprintf(w, "%-9s %s\n", line.What, line.Text)
		}
	}
}

// Tell returns what a report tells of the facts of a run.
func Tell(of Subject, r *engine.Result) []engine.Line {
	switch {
	case len(r.Facts) == 0:
		return nil
	case of.Tell != nil:
		return of.Tell(r.Facts)
	}
	return tellAll(r.Facts)
}

// tellAll tells the facts of a run as they are, a line for each variable.
func tellAll(facts engine.Facts) (lines []engine.Line) {
	decoder := json.NewDecoder(bytes.NewReader(facts))
	if _, err := decoder.Token(); err != nil {
		return []engine.Line{{What: "facts", Text: err.Error()}}
	}
	for decoder.More() {
		name, _ := decoder.Token()
		var section json.RawMessage
		if err := decoder.Decode(&section); err != nil {
			return lines
		}
		if text := fieldsOf(section); text != "" && name != "times" && name != "faults" {
			lines = append(lines, engine.Line{What: fmt.Sprint(name), Text: text})
		}
	}
	return lines
}

// fieldsOf returns the numbers of an object, in its order, each with its name.
func fieldsOf(section json.RawMessage) string {
	decoder := json.NewDecoder(bytes.NewReader(section))
	if _, err := decoder.Token(); err != nil {
		return ""
	}
	var fields []string
	for decoder.More() {
		name, _ := decoder.Token()
		var value any
		if err := decoder.Decode(&value); err != nil {
			break
		}
		if _, inner := value.(map[string]any); inner {
			continue
		}
		fields = append(fields, fmt.Sprintf("%v %v", name, value))
	}
	return strings.Join(fields, ", ")
}
