package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/frayrpc/fray/sim/scenario"
)

// shownEvents is how many of a failed run's last events a report has.
const shownEvents = 20

// writeReport writes what came of a run: the verdict first, then what it rests on.
func writeReport(w io.Writer, r *scenario.Result, name string) {
	verdict := "PASS"
	if r.ExitCode() != exitPass {
		verdict = "FAIL (" + r.Verdict + ")"
	}
	fmt.Fprintf(w, "%s  %s, seed %d\n", verdict, r.Scenario, r.Seed)
	fmt.Fprintf(w, "%s\n\n", r.Summary)
	if r.Text != "" {
		fmt.Fprintf(w, "%s: %s\n\n", r.Broken, r.Text)
	}
	ratio := ""
	if r.Wall > 0 {
		ratio = fmt.Sprintf(" (%.0f to 1)", r.Virtual.Seconds()/r.Wall.Seconds())
	}
	fmt.Fprintf(w, "time      %s virtual in %s%s, %d messages\n", short(r.Virtual), short(r.Wall), ratio, r.Stats.Steps)
	f := &r.Facts
	fmt.Fprintf(w, "tasks     %d submitted: %d completed, %d failed, %d cancelled, %d lost, %d open\n",
		f.Tasks.Submitted, f.Tasks.Completed, f.Tasks.Failed, f.Tasks.Cancelled, f.Tasks.Lost, f.Tasks.Open)
	fmt.Fprintf(w, "attempts  %d started, %d repeated, %d vanished with their worker; reports: %d accepted, %d duplicate, %d stale\n",
		f.Attempts.Started, f.Attempts.Repeated, f.Attempts.Vanished, f.Reports.Accepted, f.Reports.Duplicate, f.Reports.Stale)
	fmt.Fprintf(w, "slowest   task %s", short(f.Times.Slowest))
	if f.Times.Recovered > 0 {
		fmt.Fprintf(w, "; recovery after a fault %s", short(f.Times.Recovered))
	}
	fmt.Fprintln(w)
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
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", o.Oracle, o.Checks, o.Violations, o.Claim)
	}
	if len(r.Eventually) > 0 {
		fmt.Fprintln(table, "\nEVENTUALLY\tTOOK")
		for _, m := range r.Eventually {
			took := short(m.Took)
			if !m.Met {
				took = "never"
			}
			fmt.Fprintf(table, "%s\t%s\n", m.That, took)
		}
	}
	_ = table.Flush() // what it writes to fails, if at all, for the next line too
	fmt.Fprintf(w, "\ntrace     %016x", r.Hash)
	if r.Verified && r.Verdict != scenario.VerdictNondeterminism {
		fmt.Fprint(w, ", the same when run again with other GOMAXPROCS")
	}
	fmt.Fprintln(w)
	if r.ExitCode() == exitPass {
		return
	}
	if last := r.Last[max(0, len(r.Last)-shownEvents):]; len(last) > 0 {
		fmt.Fprintln(w, "\nThe last events:")
		for i := range last {
			fmt.Fprintf(w, "  %s\n", strings.TrimSpace(last[i].String()))
		}
	}
	fmt.Fprintf(w, "\nReplay it with\n\n  fray-sim --scenario %s --seed %d\n", name, r.Seed)
}

// short is a duration to look at.
func short(d time.Duration) string {
	switch {
	case d > time.Minute:
		return d.Round(time.Second).String()
	case d > time.Second:
		return d.Round(10 * time.Millisecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}
