// Command fray-sim runs scenarios: a whole Fray cluster under faults, in deterministic virtual
// time. It is package simtest's command with Fray as its subject.
//
//	fray-sim --scenario worker-crash              run one, with its first seed
//	fray-sim --scenario worker-crash --seeds 1..500
//	fray-sim list                                 the library
//
// A seed replays byte for byte. Exit codes: 0 pass, 1 invariant broken, 2 liveness broken, 3
// nondeterminism, 4 invalid scenario or command line, 5 harness error, 6 stalled in real time, 130
// interrupted.
package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/sim/chaos"
	"github.com/frayrpc/fray/sim/cluster"
	random "github.com/frayrpc/fray/sim/cluster/chaos"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/simtest"
)

// plant returns what the controller of a seed is wrapped in to have it break down, or nil. Only
// builds for tests plant anything.
var plant func(seed uint64) func(http.Handler) http.Handler

func main() {
	subject := system.Subject(system.Options{})
	if plant != nil {
		subject.Begin = func(r *engine.Run) (engine.System, error) {
			return system.Subject(system.Options{Controller: plant(r.Seed())}).Begin(r)
		}
	}
	program := &simtest.Program{
		Subject: subject, Name: "fray-sim",
		Short: "Run a Fray cluster under faults, in deterministic virtual time",
		Long: `fray-sim runs a scenario: an unmodified controller, its workers and its clients on simulated hosts and links, under the
faults that the scenario names, thousands of times faster than the clock. Oracles watch what clients and workers see.
The same seed gives the same run, to the byte.
`,
		Example: `  fray-sim --scenario worker-crash
  fray-sim --scenario worker-crash --seeds 1..500
  fray-sim --scenario worker-crash --seeds 1..500 --format junit --out results
  fray-sim --scenario mine.yaml --seed 7 --verify --trace run.jsonl
  fray-sim --scenario worker-crash --html run.html`,
		Library: cluster.Library().Files,
		Test: &simtest.TestSubject{
			Expression: "system.Subject(system.Options{})", Imports: []string{"github.com/frayrpc/fray/sim/cluster/system"},
		},
		Draw: func(v chaos.Variation, backend string) (*scenario.Scenario, error) {
			return random.Draw(v.Seed, random.Options{Backend: backend, Redraw: v.Redraw})
		},
		Parts:    random.Parts(),
		Variant:  new(roles),
		Backends: func(a *simtest.App) []simtest.Backend { return []simtest.Backend{&processes{app: a}} },
		Commands: func(a *simtest.App) []*cobra.Command {
			own := &app{App: a}
			return []*cobra.Command{own.newWorker(), own.newTest(), own.newOverlay(), own.newBench(), own.newVersion()}
		},
	}
	program.Main()
}

// app is one run of the command.
type app struct{ *simtest.App }
