package simtest

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
)

// maxTestSeeds is how many of a scenario's seeds Test runs, the first ones.
const maxTestSeeds = 20

// Test runs the scenarios of a subject that are NAME.yaml in the root of files, each as a subtest
// with a subtest for each of its seeds, of which there are 20 at most. What fails is told as the
// command tells it, and a share of the seeds, by the scenario's run.verify, is run again with other
// GOMAXPROCS to compare the traces. A run in which nothing has happened for a minute of real time,
// or for half of what go test leaves it, ends the process, with the stacks of what is in the way, and what a panic of any goroutine prints
// has the test and the seed among the goroutine's labels.
//
//	//go:embed scenarios/*.yaml
//	var files embed.FS
//
//	func TestScenarios(t *testing.T) { simtest.Test(t, Subject(), sub(files)) }
func Test(t *testing.T, subject *engine.Subject, files fs.FS) {
	t.Helper()
	library := scenario.Library{Files: files, Subjects: scenario.Subjects{subject.Format}}
	names := library.List()
	if len(names) == 0 {
		t.Fatal("simtest: there are no scenarios: no file of the root is called NAME.yaml")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			s, err := library.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.RunsOn(scenario.BackendSim); err != nil {
				t.Skip(err)
			}
			seeds := s.Run.Seeds
			seeds.Last = min(seeds.Last, seeds.First+maxTestSeeds-1)
			for seed := seeds.First; ; seed++ {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { test(t, subject, s, seed) })
				if seed == seeds.Last {
					break
				}
			}
		})
	}
}

// stallOf is how long nothing may happen in a run of a test: it is told of before go test ends the
// process, which says less.
func stallOf(t *testing.T) time.Duration {
	t.Helper()
	if deadline, ok := t.Deadline(); ok {
		return max(min(sim.DefaultStall, time.Until(deadline)/2), time.Millisecond)
	}
	return sim.DefaultStall
}

func test(t *testing.T, subject *engine.Subject, s *scenario.Scenario, seed uint64) {
	t.Helper()
	of := report.Subject{
		Called: s.Metadata.Name, Name: s.Metadata.Name, Tell: subject.Tell,
		Replay: func(uint64) string {
			return fmt.Sprintf("go test -run '^%s$'", strings.ReplaceAll(t.Name(), "/", "$/^"))
		},
	}
	options := virtual.Options{Bubble: bubble.In(t), Name: t.Name(), Stall: stallOf(t), OnStall: func(r *engine.Result) {
		fmt.Fprintf(os.Stderr, "--- FAIL: %s\n", t.Name())
		report.Run(os.Stderr, r, of)
		os.Exit(1) // Nothing else ends such a run.
	}}
	run := func() (*engine.Result, error) { return virtual.Run(t.Context(), subject, s, seed, options) }
	if s.Run.Verifies(seed) {
		run = func() (*engine.Result, error) { return virtual.Verify(t.Context(), subject, s, seed, options, 1, 2) }
	}
	result, err := run()
	if err != nil {
		t.Fatal(err)
	}
	if !result.Passed() {
		var text strings.Builder
		report.Run(&text, result, of)
		t.Error(text.String())
	}
}
