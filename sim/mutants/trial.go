package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// What trials are of, which is also what finds a mutant.
const (
	byChaos   = "chaos"   // random scenarios
	byLibrary = "library" // a scenario of the library
	byTests   = "tests"   // the tests of a package
)

const (
	// chunkSeeds is how many random scenarios are one trial.
	chunkSeeds = 5
	// A trial may take patience, and slower times as long as it takes without a mutant: one may keep
	// it from ending, which finds it as well.
	patience = 20 * time.Second
	slower   = 10
	// tooLong takes a minute, and comes to nothing that others do not.
	tooLong = "long-soak"
	// stall is how long a simulation may stand still.
	stall = 15 * time.Second
)

// A trial runs a program in which one mutant is awake, or none.
type trial struct {
	by, name string
	program  string
	args     []string
	dir      string

	// What it takes without a mutant, and which it comes to.
	takes   time.Duration
	reaches map[int]bool
}

// trials returns those of a program fray-sim: random scenarios in chunks, and every scenario of
// the library under some seeds.
func trials(ctx context.Context, root, program string, chaos, library scenario.Seeds) ([]*trial, error) {
	var all []*trial
	for first := chaos.First; chaos.Last > 0 && first <= chaos.Last; first += chunkSeeds {
		seeds := scenario.Seeds{First: first, Last: min(first+chunkSeeds-1, chaos.Last)}.String()
		all = append(all, &trial{
			by: byChaos, name: "chaos " + seeds, program: program, dir: root,
			args: []string{"chaos", "--seeds", seeds, "--fail-fast", "--in-process", "--format", "json", "--stall", stall.String()},
		})
	}
	if library.Last == 0 {
		return all, nil
	}
	cmd := exec.CommandContext(ctx, program, "list")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmd, err)
	}
	for line := range strings.Lines(string(out)) {
		if line[0] == ' ' {
			continue // The rest of a summary.
		}
		name := strings.Fields(line)[0]
		if name == tooLong {
			continue
		}
		all = append(all, &trial{
			by: byLibrary, name: name, program: program, dir: root,
			args: []string{"--scenario", name, "--seeds", library.String(), "--fail-fast", "--in-process", "--format", "json", "--stall", stall.String()},
		})
	}
	return all, nil
}

// testTrial returns the tests of a package, built to a program.
func testTrial(root, pkg, program string) *trial {
	return &trial{
		by: byTests, name: pkg, program: program, dir: filepath.Join(root, filepath.FromSlash(pkg)),
		args: []string{"-test.failfast", "-test.short", "-test.timeout=5m"},
	}
}

// price is by what trials are put in order: random scenarios are worth more of their time.
func (t *trial) price() time.Duration {
	if t.by == byChaos {
		return t.takes / chunkSeeds
	}
	return t.takes
}

// run runs it with a mutant, 0: none, and returns how it failed; "": it passes.
func (t *trial) run(ctx context.Context, n int, reached string) (string, error) {
	limit := patience + slower*t.takes
	if n == 0 {
		limit = 10 * time.Minute
	}
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(timed, t.program, t.args...)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "FRAY_MUTANT="+strconv.Itoa(n), "FRAY_MUTANT_REACHED="+reached, "GOMAXPROCS=1")
	cmd.WaitDelay = time.Second
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err == nil:
		return "", nil
	case timed.Err() != nil:
		return "does not end", nil
	case cmd.ProcessState == nil:
		return "", err
	case t.by == byTests:
		return testFailure(out.String() + stderr.String()), nil
	default:
		return simFailure(out.Bytes(), stderr.String()), nil
	}
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^panic: (.*)$|^fatal error: (.*)$`)

func testFailure(out string) string {
	if m := failedTest.FindStringSubmatch(out); m != nil {
		return m[1] + m[2] + m[3]
	}
	return "fails"
}

// simFailure tells the first of the results that is no pass.
func simFailure(out []byte, stderr string) string {
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var r engine.Result
		if err := decoder.Decode(&r); err != nil {
			break
		}
		if !r.Passed() {
			return strings.TrimSpace(fmt.Sprintf("seed %d %s %s", r.Seed, r.Verdict, r.Broken))
		}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	return "ends: " + line[:min(len(line), 120)]
}

// measure runs it without a mutant, and takes down what it takes and which mutants it comes to.
func (t *trial) measure(ctx context.Context, dir string) error {
	file := filepath.Join(dir, "reached-"+strings.NewReplacer("/", "_", " ", "_").Replace(t.name))
	began := time.Now()
	failed, err := t.run(ctx, 0, file)
	t.takes = time.Since(began)
	if err == nil && failed != "" {
		err = fmt.Errorf("%s %s fails without a mutant: %s", t.by, t.name, failed)
	}
	if err != nil {
		return err
	}
	t.reaches = map[int]bool{}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			t.reaches[n] = true
		}
	}
	return err
}
