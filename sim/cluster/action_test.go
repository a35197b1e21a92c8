package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// What an action lacks is told with its place and what to write.
func TestWrongActions(t *testing.T) {
	t.Parallel()
	const anyMessage = "match: {procedure: ReportTasks}, "
	for _, test := range []struct{ fault, says, advice string }{
		{anyMessage + "action: {delay: {}}", "the delay has no time", "write for: 50ms"},
		{anyMessage + "action: {delay: {for: 1s, mean: 1s}}", "several forms at once", "keep for"},
		{anyMessage + "action: {delay: {for: 1s, deviation: 1s}}", "a deviation needs a mean", "add mean"},
		{anyMessage + "action: {delay: {from: 2s, to: 1s}}", "from 2s to 1s is no span", "the shorter first"},
		{anyMessage + "action: {reorder: {within: 0s}}", "nothing can be reordered in no time", "write a time"},
		{anyMessage + "action: {hold: {}}", "what is held back is never let go", "a window that ends"},
		{"match: {}, action: {partition: {}}", "needs to know whom it parts", "add match"},
		{"action: {pause: {target: worker-1, for: 0s}}", "a pause of no time does nothing", "write a time"},
		{"action: {restart: {target: worker-1, down: 0s}}", "down for no time never left", "write a time"},
		{"action: {suspend: {target: worker-1, for: 0s}}", "sleeps for no time does not", "write a time"},
		{"action: {clockStep: {target: worker-1, by: 0s}}", "set by nothing is not set", "write a time"},
		{"action: {stop: {target: worker-1, down: 0s}}", "down for no time never left", "leave it out for a host that stays away"},
		{"action: {stop: {target: worker-1, grace: 25h}}", "may take 24h, and not 25h", "write a shorter grace"},
		{"action: {stop: {target: client-1}}", "ends the client client-1", "strike workers or the controller"},
		{"match: {procedure: ReportTasks}, action: {stop: {target: worker-1}}", "is what an operator does, and waits for a message", "when: {on: ...}"},
		{"action: {drain: {target: controller}}", "drains controller, which is a controller", "strike a worker"},
		{"action: {diskError: {on: sync, for: 0s}}", "fails for no time does not", "write a time"},
		{"action: {diskError: {on: sync, for: 1s, down: 0s}}", "down for no time never left", "write a time"},
		{"action: {slowDisk: {by: 0s, for: 1s}}", "takes no longer is not slow", "write a time"},
		{"action: {slowDisk: {by: 1s, for: 0s}}", "slow for no time is not", "write a time"},
		{"action: {diskFull: {for: 0s}}", "full for no time is not", "write a time"},
		{"action: {crash: {}}", "does not say whom it strikes", "add target"},
		{"action: {}", "has no action", "drop: {}"},
		{anyMessage + "action: {drop: {}, hold: {}}", "has two actions, drop and hold", "two faults"},
	} {
		_, err := cluster.Parse("a.yaml", []byte(coverable+fmt.Sprintf("faults: [{id: a, %s}]\n", test.fault)))
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), test.advice) {
			t.Errorf("%s: the reader says\n%v\nwant %q and %q", test.fault, err, test.says, test.advice)
		}
	}
}

// Turns are for targets that are chosen again, some of the hosts at a time.
func TestWrongTurns(t *testing.T) {
	t.Parallel()
	for target, says := range map[string][2]string{
		"inTurn: true":                         {"chosen once, and then it is nobody's turn", "add again: true"},
		"inTurn: true, again: true, pick: all": {"all hosts at once take no turns", "write pick: one"},
	} {
		_, err := cluster.Parse("a.yaml", []byte(coverable+fmt.Sprintf("targets: [{name: next, %s}]\nfaults: [{id: a, action: {pause: {target: next, for: 1s}}}]\n", target)))
		if err == nil || !strings.Contains(err.Error(), says[0]) || !strings.Contains(err.Error(), says[1]) {
			t.Errorf("%s: the reader says\n%v\nwant %q", target, err, says)
		}
	}
}

// What a file may ask for is what the wire allows.
func TestGraceIsThatOfTheWire(t *testing.T) {
	t.Parallel()
	if scenario.MaxGrace != limit.Drain {
		t.Errorf("a file may give a host %v to leave, and an operator a worker %v", scenario.MaxGrace, limit.Drain)
	}
}

// Procedures that do not exist are suggested as they were written.
func TestUnknownProcedures(t *testing.T) {
	t.Parallel()
	for wrong, meant := range map[string]string{
		"ReportTask": "ReportTasks", "*/ReportTask": "*/ReportTasks",
		"fray.v1.ControllerService/ReportTask":  "fray.v1.ControllerService/ReportTasks",
		"/fray.v1.ControllerService/ReportTask": "/fray.v1.ControllerService/ReportTasks",
		"/acme.v1.PingService/ReportTask":       "/fray.v1.ControllerService/ReportTasks",
	} {
		_, err := cluster.Parse("a.yaml", []byte(coverable+fmt.Sprintf("faults: [{id: a, match: {procedure: %q}, action: {drop: {}}}]\n", wrong)))
		if err == nil || !strings.Contains(err.Error(), "there is no procedure") || !strings.Contains(err.Error(), meant) {
			t.Errorf("%s: the reader says\n%v\nwant that %s is meant", wrong, err, meant)
		}
	}
}

// Who submits unique tasks and gangs asks the controller for its schedules first, and a fault may act on that.
func TestWhoAsksForSchedules(t *testing.T) {
	t.Parallel()
	const fault = "faults: [{id: a, match: {procedure: ListSchedules}, action: {drop: {}}}]\n"
	for kind, asks := range map[string]bool{"work: {max: 1s}": false, "gang: 3": true, "unique: {keys: 2}": true} {
		workload := fmt.Sprintf("workload: {clients: [{name: client, tasks: 5}], mix: [{name: work, %s}]}", kind)
		text := strings.Replace(coverable, "workload: {clients: [{name: client, tasks: 5}]}", workload, 1) + fault
		if _, err := cluster.Parse("a.yaml", []byte(text)); (err == nil) != asks {
			t.Errorf("with a kind of %s the reader says\n%v", kind, err)
		}
	}
}

// Actions on hosts are no rules, but for those that can be done in the middle of a call.
func TestActionsAsRules(t *testing.T) {
	t.Parallel()
	for _, a := range scenario.Examples() {
		f := scenario.Fault{ID: "a", Action: a}
		kind := string(f.Rule(nil, nil, "worker-1").Action.Kind)
		if want := a.Key(); a.AtTime() && kind != "" || !a.AtTime() && kind != want {
			t.Errorf("%s is the rule %q", want, kind)
		}
		if a.Aim("worker-2"); a.OnHost() && a.Victim() != "worker-2" || !a.OnHost() && a.Victim() != "" {
			t.Errorf("%s strikes %q", a.Key(), a.Victim())
		}
		a.Leave(scenario.DiskTorn)
		if kills := a.Crash != nil || a.Restart != nil; kills != (a.Leaves() == scenario.DiskTorn) {
			t.Errorf("%s leaves the disk %s", a.Key(), a.Leaves())
		}
		if ends := a.Crash != nil || a.Restart != nil || a.Stop != nil || a.Drain != nil; ends != a.EndsHost() {
			t.Errorf("%s ends its host: %v", a.Key(), a.EndsHost())
		}
	}
}
