package cluster_test

import (
	"testing"
	"time"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	facts := &cluster.Facts{
		Tasks:  cluster.TaskFacts{Submitted: 5, Completed: 4, Failed: 1},
		Kinds:  map[string]cluster.TaskFacts{"slow-one": {Completed: 3}},
		Faults: map[string]int{"drop": 2},
		Times:  cluster.TimeFacts{Now: time.Minute},
	}
	for text, want := range map[string]bool{
		"tasks.completed + tasks.failed == tasks.submitted": true,
		"tasks.open > 0":                                             false,
		"kinds['slow-one'].completed == 3":                           true,
		"faults.drop == 2 && faults['drop'] < 3":                     true,
		"times.now >= duration('30s') && times.now < duration('2m')": true,
		"kinds.all(k, kinds[k].failed == 0)":                         true,
		"attempts.mostOfOne == 0 && reports.stale == 0":              true,
	} {
		c, err := cluster.Format().Compile(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := c.Holds(facts, new(scenario.Common)); err != nil || got != want {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	c, err := cluster.Format().Compile("kinds['other'].completed == 0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Holds(facts, new(scenario.Common)); err == nil {
		t.Error("a key that is not there is no error")
	}
	if _, err := cluster.Format().Compile("tasks.opened == 0"); err == nil {
		t.Error("an unknown field compiles")
	}
}
