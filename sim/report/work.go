package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/frayrpc/fray/sim/engine"
)

// work is what the runs of a sweep came to in all, as their results tally it.
type work struct {
	tasks, completed, failed, cancelled, forgotten int
	attempts, repeated                             int
	restarts, crashes, pauses                      int
	faults                                         int
	kinds                                          map[string]int // of faults
	// What oracles looked at, and what they found, by name.
	checks, violations map[string]uint64
}

// Oracles that a summary tells of by name.
var (
	losses = []string{"never-lost"}
	twice  = []string{"current-attempt-commits", "one-effect"}
)

func (t *work) add(r *engine.Result) {
	if t.kinds == nil {
		t.kinds, t.checks, t.violations = map[string]int{}, map[string]uint64{}, map[string]uint64{}
	}
	f := &r.Facts
	t.tasks += f.Tasks.Submitted
	t.completed += f.Tasks.Completed
	t.failed += f.Tasks.Failed
	t.cancelled += f.Tasks.Cancelled
	t.forgotten += f.Tasks.Lost
	t.attempts += f.Attempts.Started
	t.repeated += f.Attempts.Repeated
	t.restarts += f.Hosts.Restarts
	t.crashes += f.Hosts.Crashed - f.Hosts.Restarts
	t.pauses += f.Hosts.Paused
	for _, fault := range r.Faults {
		t.faults += fault.Fired
		t.kinds[fault.Kind] += fault.Fired
	}
	for _, o := range r.Oracles {
		t.checks[o.Oracle] += o.Checks
		t.violations[o.Oracle] += o.Violations
	}
}

// write writes it, or nothing of runs that did nothing.
func (t *work) write(w io.Writer) {
	if t.tasks == 0 {
		return
	}
	fmt.Fprintf(w, "\nfaults    %d injected", t.faults)
	kinds := slices.Collect(maps.Keys(t.kinds))
	slices.SortFunc(kinds, func(a, b string) int { return cmp.Or(t.kinds[b]-t.kinds[a], strings.Compare(a, b)) })
	separator := ": "
	for _, kind := range kinds {
		if n := t.kinds[kind]; n > 0 {
			fmt.Fprintf(w, "%s%s %d", separator, kind, n)
			separator = ", "
		}
	}
	fmt.Fprintf(w, "\nhosts     %d controller restarts, %d worker crashes, %d pauses\n", t.restarts, t.crashes, t.pauses)
	fmt.Fprintf(w, "tasks     %s\n", counted(t.tasks, "acknowledged", []count{
		{t.completed, "completed"},
		{t.failed, "failed"},
		{t.cancelled, "cancelled"},
		{t.forgotten, "forgotten with the memory of a controller that keeps no records"},
		{t.tasks - t.completed - t.failed - t.cancelled - t.forgotten, "open"},
	}))
	fmt.Fprintf(w, "attempts  %d started, %d of them repeated a task\n", t.attempts, t.repeated)
	for _, line := range []struct {
		what    string
		oracles []string
	}{{"lost", losses}, {"committed twice", twice}} {
		var checks, found uint64
		for _, name := range line.oracles {
			checks += t.checks[name]
			found += t.violations[name]
		}
		fmt.Fprintf(w, "%s: %d (%d checks of %s)\n", line.what, found, checks, strings.Join(line.oracles, " and "))
	}
}
