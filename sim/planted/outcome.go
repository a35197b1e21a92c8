package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

const (
	// chunkSeeds is how many seeds one process runs.
	chunkSeeds = 20
	// maxSweep is how long the search for a seed may take: a bug may also stop the clock of a
	// simulation.
	maxSweep = 10 * time.Minute
	// maxTest is how long a test may take: a bug may also keep it from ending, which finds it as
	// well.
	maxTest = time.Minute
)

// A result is that of a seed, or of a test.
type result struct{ engine.Result }

func (r *result) String() string { return strings.TrimSpace(r.Verdict + " " + r.Broken) }

// An outcome is what became of one bug, or of a scenario without any.
type outcome struct {
	*bug

	seeds      uint64 // to look under
	result            // of the first seed that failed; its seed is 0 if none did
	exitCode   int
	build, run time.Duration
	err        error // why it is not as expected
}

// runTest runs the test, and says whether it failed as a test does.
func (o *outcome) runTest(ctx context.Context, root, program string) (failed bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxSweep, fmt.Errorf("it did not end in %s", maxSweep))
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-test.run=^"+o.bug.broken+"$", "-test.count=1", "-test.timeout="+maxTest.String())
	cmd.Dir = filepath.Join(root, filepath.FromSlash(o.pkg))
	out, err := cmd.CombinedOutput()
	o.Text = string(out)
	switch code := cmd.ProcessState.ExitCode(); {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err == nil:
		return false, nil
	case code == 1 && strings.Contains(o.Text, "--- FAIL: "+o.bug.broken), code == 2 && strings.Contains(o.Text, "panic: "):
		o.Seed, o.Verdict, o.result.Broken, o.exitCode = 1, verdictTest, o.bug.broken, code
		return true, nil
	default:
		return false, fmt.Errorf("%w: %s", err, start(o.Text))
	}
}

// searchTest expects the test to fail.
func (o *outcome) searchTest(ctx context.Context, root, program string) error {
	failed, err := o.runTest(ctx, root, program)
	if err == nil && !failed {
		return fmt.Errorf("%s passes", o.bug.broken)
	}
	return err
}

// passTest expects the test to pass.
func (o *outcome) passTest(ctx context.Context, root, program string) {
	began := time.Now()
	failed, err := o.runTest(ctx, root, program)
	o.run = time.Since(began)
	if err == nil && failed {
		err = fmt.Errorf("the unedited program fails: %s", start(o.Text))
	}
	o.err = err
}

// search finds the first seed that fails, and replays it by itself; but not where the bug is that a
// seed is not one run.
func (o *outcome) search(ctx context.Context, program string) error {
	if err := o.sweep(ctx, program); err != nil {
		return err
	}
	if o.Seed == 0 {
		return fmt.Errorf("seeds 1..%d of %s pass", o.seeds, o.scenario)
	}
	again := o.result
	if !o.verified() {
		var err error
		if again, o.exitCode, err = o.replay(ctx, program, o.Seed); err != nil {
			return err
		}
		if o.Verdict == scenario.VerdictNondeterminism {
			o.result = again // A sweep verifies some seeds, and a bug may also have things happen at one instant. What it breaks counts.
		}
	}
	switch {
	case again.String() != o.String() || again.ExitCode() != o.exitCode:
		return fmt.Errorf("seed %d by itself is %s, with exit code %d", o.Seed, &again, o.exitCode)
	case o.Verdict != o.verdict || !slices.Contains(strings.Split(o.broken, " or "), o.Broken):
		return fmt.Errorf("it was to be found as %s %s, but: %s", o.verdict, o.broken, start(o.Text))
	}
	return nil
}

// pass expects the unedited program to pass.
func (o *outcome) pass(ctx context.Context, program string) {
	if o.verified() {
		o.pitfall, o.seeds = "with --verify", min(o.seeds, chunkSeeds)
	}
	began := time.Now()
	o.err = o.sweep(ctx, program)
	o.run = time.Since(began)
	if o.err == nil && o.Seed != 0 {
		o.exitCode = o.ExitCode()
		o.err = fmt.Errorf("the unedited program fails: %s", start(o.Text))
	}
}

// sweep takes down the first result that is not a pass, if there is one.
func (o *outcome) sweep(ctx context.Context, program string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, maxSweep, fmt.Errorf("nothing was found in %s", maxSweep))
	defer cancel()
	step := uint64(chunkSeeds)
	if o.verified() {
		step = 1 // fray-sim verifies a seed at a time.
	}
	for first := uint64(1); first <= o.seeds && o.Seed == 0; first += step {
		seeds := scenario.Seeds{First: first, Last: min(first+step-1, o.seeds)}
		if err := o.sweepChunk(ctx, program, seeds); err != nil {
			return err
		}
	}
	return nil
}

// sweepChunk reads results as they come, and stops at the first that is not a pass.
func (o *outcome) sweepChunk(ctx context.Context, program string, seeds scenario.Seeds) error {
	if o.verified() {
		r, exitCode, err := o.replay(ctx, program, seeds.First)
		if err == nil && r.Verdict != scenario.VerdictPass {
			o.result, o.exitCode = r, exitCode
		}
		return err
	}
	chunk, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(chunk, program, "--scenario", o.scenario, "--seeds", seeds.String(), "--format", "json")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	passed, readErr := o.readResults(out)
	if o.Seed != 0 || readErr != nil {
		stop() // The others do not matter.
	}
	err = cmd.Wait()
	switch {
	case o.Seed != 0:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case passed < seeds.Count():
		return fmt.Errorf("seeds %s: it ended after %d of them: %w: %s", seeds, passed, errors.Join(readErr, err), start(stderr.String()))
	}
	return nil
}

// readResults reads up to the first result that is not a pass, and takes that down.
func (o *outcome) readResults(from io.Reader) (passed uint64, err error) {
	decoder := json.NewDecoder(from)
	for {
		var r result
		switch err := decoder.Decode(&r); {
		case errors.Is(err, io.EOF):
			return passed, nil
		case err != nil:
			return passed, err
		case r.Verdict != scenario.VerdictPass:
			o.result = r
			return passed, nil
		}
		passed++
	}
}

// replay runs one seed.
func (o *outcome) replay(ctx context.Context, program string, seed uint64) (r result, exitCode int, err error) {
	args := []string{"--scenario", o.scenario, "--seed", strconv.FormatUint(seed, 10), "--format", "json"}
	if o.verified() {
		args = append(args, "--verify")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return r, 0, context.Cause(ctx)
	}
	if jsonErr := json.Unmarshal(out, &r); jsonErr != nil {
		return r, 0, fmt.Errorf("seed %d: %w: %s", seed, errors.Join(err, jsonErr), start(stderr.String()))
	}
	return r, cmd.ProcessState.ExitCode(), nil
}

// start is as much of a text as the table has room for.
func start(text string) string { return text[:min(len(text), 600)] }
