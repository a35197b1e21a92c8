package process_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/process"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

const header = `apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: cluster, summary: It is over soon.}
run: {backends: [sim, process]}
`

// small is two workers that are missed after two seconds, and a client that keeps them busy for
// two.
const small = header + `
topology:
  controller: {sessionTTL: 2s}
  workers: [{name: worker, count: 2, slots: 2}]
workload:
  clients: [{name: client, tasks: 40, arrival: {rate: 20/s}}]
  mix: [{name: work, work: {min: 20ms, max: 150ms}, maxWorkerLosses: 20}]
`

// durable is the same with a controller that keeps its records.
var durable = strings.Replace(small, "sessionTTL: 2s", "sessionTTL: 2s, store: pebble", 1)

func parse(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := cluster.Parse(t.Name()+".yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(ctx context.Context, t *testing.T, s *scenario.Scenario, fray string, extra ...string) (*engine.Result, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return process.Run(ctx, s, 1, system.Options{}, process.Config{
		Fray: fray, Worker: []string{self, asWorker}, Environ: environ(extra...), MaxWall: time.Minute,
	})
}

// Each way to harm a cluster works on processes.
func TestFaultsOnProcesses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"none": `
expect:
  finally: [{that: tasks.completed == 40}, {that: attempts.repeated == 0}]
`,
		"crash and heal": `
workload:
  clients: [{name: client, tasks: 10}]
  mix: [{name: work, work: {min: 1s, max: 1s}, maxWorkerLosses: 20}]
targets: [{name: victim, when: running}]
faults: [{id: kill, when: {on: {event: task-started, nth: 3}}, action: {crash: {target: victim}}}]
heal: {at: 3s}
expect:
  sometimes: [{that: attempts.vanished > 0}]
  finally: [{that: tasks.completed == 10}, {that: hosts.crashed == 1}]
`,
		"pause past the session": `
targets: [{name: victim, when: running}]
faults: [{id: freeze, when: {on: {event: task-started, nth: 5}}, action: {pause: {target: victim, for: 3s}}}]
expect:
  eventually: [{that: tasks.open == 0 && tasks.unsent == 0}, {that: sessions.lost > 0}]
  finally: [{that: tasks.completed == 40}, {that: hosts.paused == 1}]
`,
		"poison": `
workload:
  clients: [{name: client, tasks: 10}, {name: villain, tasks: 1, kinds: [poison]}]
  mix: [{name: task, maxWorkerLosses: 20}, {name: poison, crashesWorker: true, maxWorkerLosses: 1}]
expect:
  finally: [{that: kinds.poison.failed > 0 && failures.workerLost > 0}]
`,
		"controller restarts": `
faults: [{id: bounce, when: {at: 1s}, action: {restart: {target: controller, down: 500ms}}}]
expect:
  finally: [{that: tasks.completed + tasks.lost == 40}, {that: hosts.crashed == 1}]
`,
		"controller ends itself": `
faults: [{id: bounce, match: {procedure: ReportTasks, phase: after-handler}, when: {nth: 10}, action: {restart: {down: 500ms}}}]
expect:
  finally: [{that: tasks.completed + tasks.lost == 40}, {that: hosts.crashed == 1 && faults.bounce == 1}]
`,
		"worker ends itself": `
faults: [{id: kill, match: {procedure: ReportTasks, phase: request-before-send}, when: {nth: 3}, action: {restart: {down: 200ms}}}]
expect:
  finally: [{that: tasks.completed == 40}, {that: hosts.crashed == 1 && faults.kill == 1}]
`,
		"worker ends the controller": `
faults: [{id: shot, match: {procedure: ReportTasks, phase: request-before-send}, when: {nth: 3}, action: {restart: {target: controller, down: 200ms}}}]
expect:
  finally: [{that: tasks.completed + tasks.lost == 40}, {that: hosts.crashed == 1 && faults.shot == 1}]
`,
		"workers and controller leave": `
targets: [{name: next, again: true, inTurn: true}]
faults:
  - {id: workers, when: {at: 300ms, every: 700ms, window: {until: 1300ms}}, action: {stop: {target: next, grace: 10s, down: 100ms}}}
  - {id: controller, when: {at: 2500ms}, action: {stop: {target: controller, grace: 10s, down: 100ms}}}
expect:
  finally: [{that: tasks.completed + tasks.lost == 40}, {that: hosts.stopped == 3 && hosts.crashed == 0}, {that: attempts.vanished == 0}]
`,
		"no time to leave": `
targets: [{name: victim, when: running}]
faults: [{id: leave, when: {at: 500ms}, action: {stop: {target: victim, grace: 0s}}}]
heal: {at: 3s}
expect:
  finally: [{that: tasks.completed == 40}, {that: hosts.crashed == 1 && hosts.stopped == 0}]
`,
		"drained": `
faults: [{id: drain, when: {at: 500ms}, action: {drain: {target: worker-2, grace: 5s, down: 100ms}}}]
expect:
  finally: [{that: tasks.completed == 40 && attempts.repeated == 0}, {that: hosts.stopped == 1 && hosts.crashed == 0}, {that: sessions.opened == 3}]
`,
		"client stops a worker": `
faults: [{id: stop, match: {procedure: SubmitTasks, phase: request-in-flight}, when: {nth: 5}, action: {pause: {target: worker-1, for: 500ms}}}]
expect:
  finally: [{that: tasks.completed == 40}, {that: hosts.paused == 1 && faults.stop == 1}]
`,
		"workers end themselves, fewer than would": `
faults: [{id: shot, match: {procedure: Heartbeat, phase: request-before-send, from: worker-*}, when: {skip: 1, first: 1}, action: {restart: {down: 200ms}}}]
expect:
  finally: [{that: tasks.completed == 40}, {that: hosts.crashed == 1 && faults.shot == 1}]
`,
		"messages at the controller": `
faults:
  - {id: lost, match: {procedure: ReportTasks, phase: response-in-flight, from: worker-1}, when: {everyNth: 4, first: 12}, action: {drop: {}}}
  - {id: twice, match: {procedure: ReportTasks, phase: request-in-flight}, when: {everyNth: 5}, action: {duplicate: {}}}
  - {id: refused, match: {procedure: SubmitTasks, phase: before-handler}, when: {everyNth: 10}, action: {error: {code: unavailable}}}
  - {id: jam, match: {procedure: LeaseTasks, phase: request-in-flight}, when: {window: {until: 3s}}, action: {hold: {}}}
expect:
  finally: [{that: tasks.completed == 40}, {that: faults.lost <= 3 && faults.refused >= 4}]
`,
		"messages at callers": `
faults:
  - {id: unsent, match: {procedure: Heartbeat, phase: request-before-send, from: worker-2}, when: {first: 1}, action: {delay: {for: 100ms}}}
  - {id: unheard, match: {procedure: WatchJob, phase: response-in-flight, side: client}, when: {everyNth: 3}, action: {error: {code: unavailable}}}
expect:
  finally: [{that: tasks.completed == 40}, {that: faults.unsent > 0}]
`,
		"partition of a victim": `
targets: [{name: islander, when: running}]
faults: [{id: cut, match: {from: islander, to: controller}, when: {window: {from: 500ms, until: 4s}}, action: {partition: {}}}]
expect:
  eventually: [{that: tasks.open == 0 && tasks.unsent == 0}, {that: sessions.lost == 1}]
  finally: [{that: tasks.completed == 40}]
`,
		"controller with a disk restarts": `
topology:
  controller: {sessionTTL: 2s, store: pebble}
  workers: [{name: worker, count: 2, slots: 2}]
faults: [{id: bounce, when: {at: 500ms, every: 700ms, window: {until: 2s}}, action: {restart: {target: controller, down: 300ms}}}]
expect:
  finally: [{that: tasks.completed == 40}, {that: hosts.crashed > 1}]
`,
		"backup": `
topology:
  controller: {sessionTTL: 2s, store: pebble}
  workers: [{name: worker, count: 2, slots: 2}]
faults: [{id: copy, when: {at: 1s}, action: {backup: {}}}]
expect:
  finally: [{that: tasks.completed == 40}, {that: hosts.backups == 1}]
`,
		"late worker": `
topology:
  workers: [{name: late, startAfter: 1s}]
expect:
  finally: [{that: tasks.completed == 40}, {that: times.lastEnd >= duration('1s')}]
`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := small
			for _, section := range []string{"\ntopology:", "\nworkload:"} { // A case's own takes the place of the common one.
				if strings.Contains(text, section) {
					base = without(base, section)
				}
			}
			r, err := run(t.Context(), t, parse(t, base+text), frayCommand(t))
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict != scenario.VerdictPass || r.Backend != scenario.BackendProcess || r.Hash != 0 {
				t.Errorf("%s %s: %s", r.Verdict, r.Broken, r.Text)
				for _, e := range r.Last {
					t.Log(e.String())
				}
			}
			for _, o := range r.Oracles {
				if o.Oracle == "metrics-agree" && o.Checks == 0 && system.FactsOf(r).Hosts.Crashed == 0 {
					t.Error("no metrics were compared")
				}
			}
		})
	}
}

// Processes that speak TLS with certificates on either side, and show who they are, do the same: faults
// act in them, and strangers are told nothing.
func TestSecureProcesses(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := parse(t, strings.Replace(strings.Replace(durable, "sessionTTL", "roles: true, sessionTTL", 1), "\n  mix:", `
  visitors:
    - {name: stranger, stay: {min: 3s}, away: {min: 1s}, every: {min: 20ms}, stranger: true}
    - {name: operator, stay: {min: 3s}, away: {min: 1s}, every: {min: 20ms}, mistakes: 30%}
  mix:`, 1)+`
faults:
  - {id: unsent, match: {procedure: Heartbeat, phase: request-before-send, from: worker-2}, when: {first: 1}, action: {delay: {for: 100ms}}}
  - {id: lost, match: {procedure: ReportTasks, phase: response-in-flight, from: worker-1}, when: {nth: 4}, action: {drop: {}}}
  - {id: drain, when: {at: 500ms}, action: {drain: {target: worker-2, grace: 5s, down: 100ms}}}
  - {id: bounce, when: {at: 1200ms}, action: {restart: {target: controller, down: 100ms}}}
  - {id: copy, when: {at: 1800ms}, action: {backup: {}}}
expect:
  finally: [{that: tasks.completed == 40}, {that: hosts.crashed == 1 && hosts.backups == 1 && faults.unsent > 0}, {that: visits.answered > 20}]
`)
	for name, mtls := range map[string]bool{"tokens": false, "tokens and certificates": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := process.Run(t.Context(), s, 1, system.Options{}, process.Config{
				Fray: frayCommand(t), Worker: []string{self, asWorker}, Environ: environ(), MaxWall: time.Minute, MTLS: mtls,
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict != scenario.VerdictPass {
				t.Errorf("%s %s: %s\n%+v", r.Verdict, r.Broken, r.Text, system.FactsOf(r))
			}
		})
	}
}

// without returns a scenario without one of its sections.
func without(text, section string) string {
	before, rest, _ := strings.Cut(text, section)
	for i := 1; i < len(rest); i++ {
		if rest[i-1] == '\n' && rest[i] >= 'a' && rest[i] <= 'z' {
			return before + "\n" + rest[i:]
		}
	}
	return before + "\n"
}

// A process that does wrong is found out, whatever it does.
func TestWrongProcesses(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	few := header + `
topology: {workers: [{name: worker}]}
workload: {clients: [{name: client, tasks: 3}]}
expect: {eventually: [{that: %s, within: 10s}]}
`
	const ended = "tasks.open == 0 && tasks.unsent == 0"
	for _, test := range []struct {
		weakness, until, verdict, broken, text string
	}{
		{"forgets", "tasks.unsent == 0", scenario.VerdictInvariant, "never-lost", "was acknowledged"},
		{"panics", ended, scenario.VerdictInvariant, "no-panic", "controller has ended by itself"},
		{"leaves", ended, scenario.VerdictInvariant, "host-ended", "controller has ended by itself: exit status 3"},
		{"stays", ended, scenario.VerdictInvariant, "no-leak", "[controller]"},
	} {
		t.Run(test.weakness, func(t *testing.T) {
			t.Parallel()
			config := process.Config{
				Fray: self, Worker: []string{self, asWorker}, Environ: environ(modeKey + "=" + test.weakness), MaxWall: 4 * time.Second,
			}
			r, err := process.Run(t.Context(), parse(t, fmt.Sprintf(few, test.until)), 1, system.Options{}, config)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict != test.verdict || r.Broken != test.broken || !strings.Contains(r.Text, test.text) {
				t.Errorf("%s %s: %s; want %s %s: %s", r.Verdict, r.Broken, r.Text, test.verdict, test.broken, test.text)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := parse(t, header+`
topology: {workers: [{name: worker}]}
workload: {clients: [{name: client, tasks: 1}], mix: [{name: long, work: {min: 1h, max: 1h}}]}
`)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, err = process.Run(ctx, s, 1, system.Options{Options: virtual.Options{Options: engine.Options{Observe: func(event any) {
		if e, ok := event.(*check.Event); ok && e.Kind == check.ExecutionStart {
			cancel()
		}
	}}}}, process.Config{
		Fray: frayCommand(t), Worker: []string{self, asWorker}, Environ: environ(),
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
