package cluster_test

import (
	"strings"
	"testing"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim/scenario"
)

func TestRules(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"delay.fixed":   "delay.fixed: delay(5ms) phase=response-in-flight procedure=/fray.v1.ControllerService/LeaseTasks from=worker-1 to=controller probability=0.99 after=2 nth=4 window=1s..20s event=task-started.3",
		"delay.uniform": "delay.uniform: delay(uniform, 5ms, 6ms) phase=request-in-flight",
		"delay.normal":  "delay.normal: delay(normal, 5ms, 1ms) phase=request-in-flight",
		"drop":          "drop: drop phase=request-in-flight procedure=*Tasks every=2 first=8",
		"error":         `error: error(unavailable, "not: now") phase=request-in-flight procedure=*/Heartbeat`,
		"duplicate":     "duplicate: duplicate(copies=3, later=1s) phase=request-in-flight procedure=*/ReportTasks",
		"reorder":       "reorder: reorder(1s) phase=request-in-flight procedure=*/ReportTasks",
		"truncate":      "truncate: truncate(7B) phase=response-in-flight nth=1",
		"reset":         "reset: reset(1KiB) phase=response-in-flight nth=2",
		"throttle":      "throttle: throttle(10KiB/s) phase=response-in-flight",
		"hold":          "hold: hold phase=request-in-flight from=client-1|client-2|bystander-1|part-1|asker-1|planner-1|visitor-1|visitor-2|flood-1|forger-1 window=3s..4s",
		"partition":     "partition: partition(one-way) from=worker-1 to=controller window=3s..4s",
		"crash":         "crash: crash(host=controller) phase=after-handler procedure=*/ReportTasks nth=9",
	}
	s := everything(t)
	rules := 0
	for i := range s.Faults {
		f := &s.Faults[i]
		if f.OnHosts() {
			continue
		}
		rules++
		var from, to faults.Hosts
		if f.Match != nil {
			from, to = hosts(s, f.Match.From), hosts(s, f.Match.To)
		}
		rule := f.Rule(from, to, f.Action.Victim())
		if err := rule.Validate(); err != nil {
			t.Error(err)
		}
		read, err := faults.ParseRule(rule.String())
		if err != nil {
			t.Error(err)
		}
		if got := read.String(); got != want[f.ID] {
			t.Errorf("rule\n%s, want\n%s", got, want[f.ID])
		}
	}
	if rules != len(want) {
		t.Errorf("%d rules, want %d", rules, len(want))
	}
}

// hosts resolves names, taking the first host of a target that picks some.
func hosts(s *scenario.Scenario, names scenario.Names) faults.Hosts {
	var found faults.Hosts
	for _, name := range names {
		for _, h := range s.Resolve(name, func(target *scenario.Target) []scenario.Host {
			if candidates := s.Candidates(target); !target.Pick.All {
				return candidates[:1]
			}
			return s.Candidates(target)
		}) {
			found = append(found, h.Name)
		}
	}
	return found
}

func TestResolve(t *testing.T) {
	t.Parallel()
	s := everything(t)
	for name, want := range map[string]string{
		"controller":  "controller",
		"worker":      "worker-1 worker-2 worker-3",
		"worker-2":    "worker-2",
		"*-2":         "worker-2 client-2 visitor-2",
		"all-clients": "client-1 client-2 bystander-1 part-1 asker-1 planner-1 visitor-1 visitor-2 flood-1 forger-1",
		"nobody":      "",
	} {
		var names []string
		for _, h := range s.Resolve(name, s.Candidates) {
			names = append(names, h.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
