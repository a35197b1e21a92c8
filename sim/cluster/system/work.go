package system

import (
	"fmt"
	"strings"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

// work is what the runs of a sweep came to in all.
type work struct {
	tasks, completed, failed, cancelled, forgotten int
	attempts, repeated                             int
	restarts, crashes, stops, pauses               int
	// What oracles looked at, and what they found, by name.
	checks, violations map[string]uint64
}

// Oracles that a summary tells of by name.
var (
	losses = []string{"never-lost"}
	twice  = []string{"current-attempt-commits", "one-effect"}
)

// Add implements engine.Sum.
func (t *work) Add(r *engine.Result) {
	if t.checks == nil {
		t.checks, t.violations = map[string]uint64{}, map[string]uint64{}
	}
	f := FactsOf(r)
	t.tasks += f.Tasks.Submitted
	t.completed += f.Tasks.Completed
	t.failed += f.Tasks.Failed
	t.cancelled += f.Tasks.Cancelled
	t.forgotten += f.Tasks.Lost
	t.attempts += f.Attempts.Started
	t.repeated += f.Attempts.Repeated
	t.restarts += f.Hosts.Restarts
	t.crashes += f.Hosts.Crashed - f.Hosts.Restarts
	t.stops += f.Hosts.Stopped
	t.pauses += f.Hosts.Paused
	for _, o := range r.Oracles {
		t.checks[o.Oracle] += o.Checks
		t.violations[o.Oracle] += o.Violations
	}
}

// Lines implements engine.Sum.
func (t *work) Lines() []engine.Line {
	if t.tasks == 0 {
		return nil
	}
	lines := []engine.Line{
		{What: "hosts", Text: fmt.Sprintf("%d controller restarts, %d other crashes, %d left as told, %d pauses", t.restarts, t.crashes, t.stops, t.pauses)},
		{What: "tasks", Text: counted(t.tasks, "acknowledged", []count{
			{t.completed, "completed"},
			{t.failed, "failed"},
			{t.cancelled, "cancelled"},
			{t.forgotten, "forgotten with the memory of a controller that keeps no records"},
			{t.tasks - t.completed - t.failed - t.cancelled - t.forgotten, "open"},
		})},
		{What: "attempts", Text: fmt.Sprintf("%d started, %d of them repeated a task", t.attempts, t.repeated)},
	}
	for _, line := range []struct {
		what    string
		oracles []string
	}{{"lost", losses}, {"committed twice", twice}} {
		var checks, found uint64
		for _, name := range line.oracles {
			checks += t.checks[name]
			found += t.violations[name]
		}
		by := strings.Join(line.oracles, " and ")
		text := fmt.Sprintf("%s: %d (%d checks of %s)", line.what, found, checks, by)
		if checks == 0 && found == 0 {
			text = fmt.Sprintf("%s: not judged (by %s)", line.what, by)
		}
		lines = append(lines, engine.Line{Text: text})
	}
	return lines
}

// tell returns what a report tells of the facts of a run.
func tell(facts engine.Facts) []engine.Line {
	var f cluster.Facts
	if err := facts.Read(&f); err != nil {
		return []engine.Line{{What: "facts", Text: err.Error()}}
	}
	attempts := counted(f.Attempts.Started, "started", []count{
		{f.Attempts.Succeeded, "succeeded"},
		{f.Attempts.Failed, "failed"},
		{f.Attempts.Vanished, "vanished with their worker"},
	})
	if f.Attempts.Repeated > 0 {
		attempts += fmt.Sprintf("; %d of them repeated a task, one of which took %d", f.Attempts.Repeated, f.Attempts.MostOfOne)
	}
	slowest := "task " + engine.Short(f.Times.Slowest)
	if f.Times.Recovered > 0 {
		slowest += "; recovery after a fault " + engine.Short(f.Times.Recovered)
	}
	return []engine.Line{
		{What: "tasks", Text: counted(f.Tasks.Submitted, "submitted", []count{
			{f.Tasks.Completed, "completed"},
			{f.Tasks.Failed, "failed"},
			{f.Tasks.Cancelled, "cancelled"},
			{f.Tasks.Lost, "lost"},
			{f.Tasks.Open, "open"},
			{f.Tasks.Refused, "refused besides"},
			{f.Tasks.Found, "found under their keys"},
			{f.Tasks.Unsent, "not sent"},
		})},
		{What: "attempts", Text: attempts},
		{What: "reports", Text: counted(f.Reports.Accepted, "accepted", []count{
			{f.Reports.Duplicate, "duplicate"}, {f.Reports.Stale, "stale"},
		})},
		{What: "sessions", Text: counted(f.Sessions.Opened, "opened", []count{{f.Sessions.Lost, "lost"}})},
		{What: "slowest", Text: slowest},
	}
}

// A count is how many of something there are.
type count struct {
	n    int
	what string
}

// counted returns a total and the parts of it that there are.
func counted(n int, what string, parts []count) string {
	var list []string
	for _, p := range parts {
		if p.n > 0 {
			list = append(list, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	text := fmt.Sprintf("%d %s", n, what)
	if len(list) > 0 {
		text += ": " + strings.Join(list, ", ")
	}
	return text
}
