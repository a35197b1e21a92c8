package cluster_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// uncovered are the kinds of faults and where they strike of which the library has none, each with
// the reason.
var uncovered = map[string]string{}

// coverable is a scenario that lacks nothing but faults.
const coverable = `apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: small, summary: A little work and nothing wrong.}
run: {maxVirtualTime: 2m}
topology: {workers: [{name: worker, count: 2, slots: 2}]}
workload: {clients: [{name: client, tasks: 5}]}
`

func libraryCoverage(t *testing.T) *scenario.Coverage {
	t.Helper()
	var all []*scenario.Scenario
	for _, name := range cluster.List() {
		all = append(all, load(t, name))
	}
	return cluster.Format().Cover(all)
}

func TestLibraryCoversTheFaults(t *testing.T) {
	t.Parallel()
	for _, row := range libraryCoverage(t).Rows {
		for i, cell := range row.Cells {
			name := row.Kind + " " + cluster.Format().Cover(nil).Columns[i]
			reason, excused := uncovered[name]
			switch covered := len(cell.Scenarios) > 0; {
			case cell.Impossible != "" && covered:
				t.Errorf("%s is impossible (%s), and covered by %v", name, cell.Impossible, cell.Scenarios)
			case cell.Impossible == "" && !covered && reason == "":
				t.Errorf("no scenario covers %s: add one to sim/cluster/library, or a reason to uncovered", name)
			case excused && (covered || cell.Impossible != ""):
				t.Errorf("uncovered has %s, which is covered or impossible: remove it", name)
			}
		}
	}
}

// A new action has to appear in the matrix, and what is impossible is what the reader refuses too.
func TestCoverageKnowsTheFormat(t *testing.T) {
	t.Parallel()
	c := cluster.Format().Cover(nil)
	actions := reflect.TypeFor[scenario.Actions]()
	for i := range actions.NumField() {
		key := actions.Field(i).Tag.Get("yaml")
		if i >= len(c.Rows) || c.Rows[i].Kind != key {
			t.Fatalf("action %s has no row %d in the matrix", key, i)
		}
	}
	bodies := map[string]string{
		"delay": "{for: 1s}", "error": "{code: unavailable}", "reorder": "{within: 1s}", "throttle": "{rate: 1KiB/s}",
		"pause": "{for: 1s}", "partition": "{}", "hold": "{}",
	}
	for _, row := range c.Rows[:actions.NumField()] {
		for i, cell := range row.Cells {
			if i >= 5 {
				continue // Not a phase.
			}
			body := bodies[row.Kind]
			if body == "" {
				body = "{}"
			}
			_, err := cluster.Parse("a.yaml", []byte(coverable+fmt.Sprintf(
				"faults: [{id: a, match: {phase: %s, from: worker-1, to: controller}, action: {%s: %s}}]\nheal: {at: 1m}\n", c.Columns[i], row.Kind, body)))
			if (err == nil) != (cell.Impossible == "") {
				t.Errorf("%s at %s: impossible: %q; the reader says: %v", row.Kind, c.Columns[i], cell.Impossible, err)
			}
		}
	}
}

func TestCoverageCounts(t *testing.T) {
	t.Parallel()
	if covered, possible := cluster.Format().Cover(nil).Count(); covered != 0 || possible < 60 {
		t.Errorf("without scenarios %d of %d cells are covered", covered, possible)
	}
	one := cluster.Format().Cover([]*scenario.Scenario{load(t, "partition-worker")})
	if covered, _ := one.Count(); covered != 2 {
		t.Errorf("a partition covers %d cells, want a request's and a response's", covered)
	}
}

// coverageTable is the matrix for docs/scenario-reference.md.
func coverageTable(t *testing.T) string {
	t.Helper()
	c := libraryCoverage(t)
	var b strings.Builder
	row(&b, append([]string{"fault"}, c.Columns...)...)
	b.WriteString(strings.Repeat("|---", len(c.Columns)+1) + "|\n")
	for _, r := range c.Rows {
		cells := []string{"`" + r.Kind + "`"}
		for _, cell := range r.Cells {
			switch {
			case cell.Impossible != "":
				cells = append(cells, "-")
			case len(cell.Scenarios) == 0:
				cells = append(cells, "none")
			default:
				cells = append(cells, fmt.Sprint(len(cell.Scenarios)))
			}
		}
		row(&b, cells...)
	}
	return b.String()
}
