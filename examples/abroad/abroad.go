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
	"errors"
	"flag"
	"fmt"
	"os"
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
	Seed     uint64 `json:"seed"`
	Hash     string `json:"hash"`
	Steps    int    `json:"steps"`
	Turns    uint64 `json:"turns"`
	Replays  bool   `json:"replays"`            // nothing happened that no seed decides
	Diverged string `json:"diverged,omitempty"` // how two runs differed
	Found    string `json:"found,omitempty"`    // what the oracle says
}

// Check runs a program under each seed, three times with 1, 2 and 8 processors, and fails the test if
// runs of a seed differ or the oracle, which is the scenario's error, says something.
func Check(t *testing.T, program string, cfg sim.Config, run sim.Scenario) {
	t.Helper()
	if !order.Followed() {
		t.Skip("goroutines do not follow the seed: run this with fray-sim test")
	}
	chosen, err := scenario.ParseSeeds(*seeds)
	if err != nil {
		t.Fatal(err)
	}
	procs := []int{1, 2, 8}
	if *once {
		procs = procs[:1]
	}
	cfg.Unmodified = true
	for seed := chosen.First; ; seed++ {
		cfg.Seed = seed
		if *once && seed == chosen.First {
			// For what a program does only the first time.
			_, _ = sim.Verify(bubble.In(t), cfg, run, 1)
		}
		replay, err := sim.Verify(bubble.In(t), cfg, run, procs...)
		r := Result{
			Program: program, Seed: seed, Hash: fmt.Sprintf("%016x", replay.Hash), Steps: replay.Stats.Steps,
			Turns: replay.Stats.Order.Turns, Replays: replay.Stats.Order.Replays(),
		}
		var diverged *sim.DivergenceError
		switch {
		case errors.As(err, &diverged):
			r.Diverged = err.Error()
			t.Error(err)
		case err != nil:
			t.Fatal(err)
		}
		if replay.Err != nil {
			r.Found = replay.Err.Error()
			t.Errorf("seed %d: %v", seed, replay.Err)
		}
		if !r.Replays {
			t.Errorf("seed %d: %+v: something happened that no seed decides", seed, replay.Stats.Order)
		}
		record(t, r)
		if seed == chosen.Last {
			return
		}
	}
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
