// Package abroad runs programs that other people wrote, unmodified, under simulation.
//
// Each directory has one of them: hosts that start it as its documentation says, a workload, faults, and
// an oracle. Nothing in the programs knows of a simulation; fray-sim test builds them with the overlay
// that gives a host its network and has goroutines follow the seed.
//
//	fray-sim test ./... -args -seeds 1..20
package abroad

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/order"
	"github.com/frayrpc/fray/sim/scenario"
)

var (
	seeds   = flag.String("seeds", "1..3", "seeds to run, such as 7 or 1..200")
	results = flag.String("results", "", "file to append a line of JSON to for each seed")
	once    = flag.Bool("once", false, "run each seed once, and not with 1, 2 and 8 processors")
)

// A Result is what a seed came to.
type Result struct {
	Program  string `json:"program"`
	Seed     uint64 `json:"seed,string"`
	Hash     string `json:"hash"`
	Steps    int    `json:"steps"`
	Turns    uint64 `json:"turns"`
	Replays  bool   `json:"replays"`            // nothing happened that no seed decides
	Diverged string `json:"diverged,omitempty"` // how two runs differed
	Found    string `json:"found,omitempty"`    // what the oracle says
}

// childEnv tells a process which run it makes: the seed, GOMAXPROCS, and the file for what it came to.
const childEnv = "ABROAD_RUN"

// A report is what a process says of its run.
type report struct {
	Result
	Trace []string
}

// Check runs a program under each seed, three times with 1, 2 and 8 processors, and fails the test if
// runs of a seed differ or the oracle, which is the scenario's error, says something. Each run is a
// process of its own, because programs keep things in global variables: a run would depend on those
// before it.
func Check(t *testing.T, program string, cfg sim.Config, run sim.Scenario) {
	t.Helper()
	if !order.Followed() {
		t.Skip("goroutines do not follow the seed: run this with fray-sim test")
	}
	cfg.Unmodified = true
	if spec := os.Getenv(childEnv); spec != "" {
		child(t, spec, cfg, run)
		return
	}
	chosen, err := scenario.ParseSeeds(*seeds)
	if err != nil {
		t.Fatal(err)
	}
	procs := []int{1, 2, 8}
	if *once {
		procs = procs[:1]
	}
	for seed := chosen.First; ; seed++ {
		var first report
		for i, n := range procs {
			next := parent(t, seed, n)
			if i == 0 {
				first = next
			} else if first.Diverged = differ(first, next, n); first.Diverged != "" {
				break
			}
		}
		r := first.Result
		r.Program = program
		if r.Diverged != "" {
			t.Errorf("seed %d is not deterministic: %s", seed, r.Diverged)
		}
		if r.Found != "" {
			t.Errorf("seed %d: %s", seed, r.Found)
		}
		if !r.Replays {
			t.Errorf("seed %d: something happened that no seed decides", seed)
		}
		record(t, r)
		if seed == chosen.Last {
			return
		}
	}
}

// parent has a process make a run.
func parent(t *testing.T, seed uint64, procs int) report {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s", childEnv, seed, procs, file), fmt.Sprint("GOMAXPROCS=", procs))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("seed %d: %v\n%s", seed, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// child makes the run of this process, after one that does not count.
func child(t *testing.T, spec string, cfg sim.Config, run sim.Scenario) {
	t.Helper()
	var (
		procs int
		file  string
		r     report
	)
	if _, err := fmt.Sscan(spec, &cfg.Seed, &procs, &file); err != nil {
		t.Fatal(err)
	}
	// What a program does only the first time, such as filling caches, may depend on addresses.
	_, _ = sim.Verify(bubble.In(t), cfg, run, procs)
	cfg.OnEvent = func(e sim.Event) { r.Trace = append(r.Trace, e.String()) }
	replay, err := sim.Verify(bubble.In(t), cfg, run, procs)
	if err != nil {
		t.Fatal(err)
	}
	stats := replay.Stats
	r.Result = Result{
		Seed: cfg.Seed, Hash: fmt.Sprintf("%016x", replay.Hash), Steps: stats.Steps,
		Turns: stats.Order.Turns, Replays: stats.Order.Replays(),
	}
	if replay.Err != nil {
		r.Found = replay.Err.Error()
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// differ says how two runs of a seed differ; empty: they do not.
func differ(a, b report, procs int) string {
	if a.Hash == b.Hash && a.Found == b.Found {
		return ""
	}
	for i := range min(len(a.Trace), len(b.Trace)) {
		if a.Trace[i] != b.Trace[i] {
			before := strings.Join(a.Trace[max(0, i-5):i], "\n  ")
			return fmt.Sprintf("with GOMAXPROCS=%d event %d differs\n  %s\n- %s\n+ %s", procs, i, before, a.Trace[i], b.Trace[i])
		}
	}
	return fmt.Sprintf("with GOMAXPROCS=%d it has %d events and %q, with 1 %d and %q", procs, len(b.Trace), b.Found, len(a.Trace), a.Found)
}

// Trouble has something happen every five seconds from one instant to another, drawn from the seed: one
// of the mortal is killed and started again, two hosts are cut off from each other for a while, or all
// connections between them are reset. Everything is well again four seconds later.
func Trouble(s *sim.Sim, mortal, hosts []string, from, to time.Duration) {
	chance := s.Rand("faults")
	for at := from; at < to; at += 5 * time.Second {
		begin := at + time.Duration(chance.Int64N(int64(time.Second)))
		lasts := time.Duration(chance.Int64N(int64(3 * time.Second)))
		a, b := hosts[chance.IntN(len(hosts))], hosts[chance.IntN(len(hosts))]
		kind := chance.IntN(3)
		switch {
		case len(mortal) > 0 && (kind == 0 || a == b):
			victim := mortal[chance.IntN(len(mortal))]
			s.At(begin, func() { s.Crash(victim) })
			s.At(begin+lasts, func() { s.Bounce(victim) })
		case a == b:
		case kind == 1:
			s.At(begin, func() { s.Partition(a, b) })
			s.At(begin+lasts, func() { s.Repair(a, b) })
		default:
			s.At(begin, func() { s.Sever(a, b) })
		}
	}
}

// record appends a result to the file of results.
func record(t *testing.T, r Result) {
	t.Helper()
	if *results == "" {
		return
	}
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(*results, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		t.Error(err)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
}
