package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/scenario"
)

// chunkSeeds is how many seeds a process of a sweep runs: bubbles of one process do not run in parallel, and what they leave
// behind does not pile up.
const chunkSeeds = 20

// sweep runs many seeds, shared out over processes. It stops at nothing, and reports the first failing seed.
func (a *app) sweep(ctx context.Context, o *runOptions, seeds scenario.Seeds) error {
	if seeds.Count() <= chunkSeeds {
		return a.sweepHere(ctx, o, seeds)
	}
	executable, err := a.executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	chunks := make(chan scenario.Seeds)
	totals := newTotals(seeds)
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Go(func() {
			for chunk := range chunks {
				totals.add(runChunk(ctx, executable, o, chunk))
			}
		})
	}
	for first := seeds.First; ctx.Err() == nil; first += chunkSeeds {
		last := min(seeds.Last, first+chunkSeeds-1)
		chunks <- scenario.Seeds{First: first, Last: last}
		if last == seeds.Last {
			break
		}
	}
	close(chunks)
	workers.Wait()
	return totals.conclude(ctx, a, o)
}

// summary is what a sweep wants to know of a result. The rest of a failed one comes with a replay.
type summary struct {
	Seed    uint64        `json:"seed"`
	Verdict string        `json:"verdict"`
	Virtual time.Duration `json:"virtual_ns"`
	Stats   sim.Stats     `json:"stats"`
}

// runChunk runs seeds in a process of their own, which writes a line for each result.
func runChunk(ctx context.Context, executable string, o *runOptions, seeds scenario.Seeds) ([]summary, error) {
	cmd := exec.CommandContext(ctx, executable, "--scenario", o.scenario, "--seeds", seeds.String(), "--format", "json")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || stderr.Len() > 0) {
		return nil, fmt.Errorf("seeds %s: %w: %s", seeds, err, bytes.TrimSpace(stderr.Bytes()))
	}
	var results []summary
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var result summary
		if err := decoder.Decode(&result); err != nil {
			return nil, fmt.Errorf("seeds %s: read result: %w", seeds, err)
		}
		results = append(results, result)
	}
	if got := uint64(len(results)); got != seeds.Count() {
		return nil, fmt.Errorf("seeds %s: %d results", seeds, got)
	}
	return results, nil
}

// sweepHere runs a few seeds in this process.
func (a *app) sweepHere(ctx context.Context, o *runOptions, seeds scenario.Seeds) error {
	s, err := load(o.scenario)
	if err != nil {
		return err
	}
	totals := newTotals(seeds)
	for seed := seeds.First; ; seed++ {
		result, err := runOne(ctx, s, seed, o)
		if err != nil {
			return err
		}
		totals.add([]summary{{result.Seed, result.Verdict, result.Virtual, result.Stats}}, nil)
		if o.format == "json" {
			if err := json.NewEncoder(a.stdout).Encode(result); err != nil {
				return err
			}
		}
		if seed == seeds.Last {
			return totals.conclude(ctx, a, o)
		}
	}
}

// totals gathers what the seeds of a sweep came to.
type totals struct {
	seeds scenario.Seeds
	began time.Time

	mu      sync.Mutex
	ran     uint64
	virtual time.Duration
	steps   int
	failed  []uint64
	err     error
}

func newTotals(seeds scenario.Seeds) *totals { return &totals{seeds: seeds, began: time.Now()} }

func (t *totals) add(results []summary, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = errors.Join(t.err, err)
	for _, r := range results {
		t.ran++
		t.virtual += r.Virtual
		t.steps += r.Stats.Steps
		if r.Verdict != scenario.VerdictPass {
			t.failed = append(t.failed, r.Seed)
		}
	}
}

func (t *totals) conclude(ctx context.Context, a *app, o *runOptions) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if t.err != nil {
		return t.err
	}
	if o.format == "text" {
		wall := time.Since(t.began)
		verdict := "PASS"
		if len(t.failed) > 0 {
			verdict = "FAIL"
		}
		fmt.Fprintf(a.stdout, "%s  %s, seeds %s: %d of %d pass\n", verdict, o.scenario, t.seeds, t.ran-uint64(len(t.failed)), t.ran)
		fmt.Fprintf(a.stdout, "      %s of virtual time in %s, %.1f seeds/s, %.0f messages/s\n", t.virtual.Round(time.Second),
			wall.Round(time.Millisecond), float64(t.ran)/wall.Seconds(), float64(t.steps)/wall.Seconds())
	}
	if len(t.failed) == 0 {
		return nil
	}
	// A seed replays, so the least that failed tells everything again.
	s, err := load(o.scenario)
	if err != nil {
		return err
	}
	result, err := runOne(ctx, s, slices.Min(t.failed), o)
	if err != nil {
		return err
	}
	if o.format == "text" {
		fmt.Fprintln(a.stdout)
		writeReport(a.stdout, result, o.scenario)
	}
	return &exitError{code: result.ExitCode()}
}
