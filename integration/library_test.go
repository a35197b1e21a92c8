package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	library "github.com/frayrpc/fray/sim/cluster"
	processes "github.com/frayrpc/fray/sim/cluster/process"
	format "github.com/frayrpc/fray/sim/scenario"
)

const (
	// briefRun is how long a scenario takes at least that -short leaves out, and longRun one that
	// this suite leaves to those who asks for it by name.
	briefRun = 30 * time.Second
	longRun  = 50 * time.Second
	// parallelRuns is how many scenarios run at once: they wait most of the time.
	parallelRuns = 8
)

// The scenarios of the library that can run on processes pass there too: the fray command, worker
// processes, TCP and signals. Protects: that what the simulator says of the runtime is so outside
// of it.
func TestLibraryOnProcesses(t *testing.T) {
	t.Parallel()
	needOwnControllers(t)
	if raceDetected() {
		t.Skip("the times of scenarios are not for processes that are ten times slower")
	}
	var (
		mu   sync.Mutex
		rows = map[string]string{}
		gate = make(chan struct{}, parallelRuns)
		runs sync.WaitGroup
	)
	note := func(name, what string) {
		mu.Lock()
		defer mu.Unlock()
		rows[name] = what
	}
	t.Cleanup(func() {
		var table strings.Builder
		w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
		for _, name := range library.List() {
			fmt.Fprintf(w, "%s\t%s\n", name, rows[name])
		}
		_ = w.Flush()
		t.Logf("scenarios on processes:\n%s", table.String())
	})
	for _, name := range byLength(t) {
		s, err := library.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		var unsuitable *format.UnsuitableError
		switch {
		case errors.As(processes.Suitable(s, processes.DefaultMaxWall), &unsuitable):
			note(name, "sim only: "+unsuitable.Reason)
		case !slices.Contains(s.Run.Backends, format.BackendProcess):
			note(name, "sim only: its file does not list process")
		case testing.Short() && leastTime(s) > briefRun:
			note(name, "not run: it takes long, and this is -short")
		case leastTime(s) > longRun:
			note(name, fmt.Sprintf("not run: it takes %v at least", leastTime(s)))
		default:
			gate <- struct{}{}
			runs.Go(func() {
				defer func() { <-gate }()
				r, err := runOnProcesses(t, "--scenario", name)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					note(name, "no run")
					return
				}
				note(name, fmt.Sprintf("%s in %s", r.Verdict, r.Wall.Round(100*time.Millisecond)))
				if r.Verdict != format.VerdictPass {
					t.Errorf("%s: %s %s: %s\n%s", name, r.Verdict, r.Broken, r.Text, r.all)
				}
			})
		}
	}
	runs.Wait()
}

// Random clusters, workloads and faults on processes.
// Protects: combinations of faults that nobody thought of, with real signals and connections.
func TestChaosOnProcesses(t *testing.T) {
	t.Parallel()
	needOwnControllers(t)
	if raceDetected() {
		t.Skip("the times of scenarios are not for processes that are ten times slower")
	}
	for seed := 1; seed <= 4; seed++ {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			r, err := runOnProcesses(t, "chaos", "--seed", strconv.Itoa(seed))
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict != format.VerdictPass {
				t.Errorf("%s %s: %s\n%s", r.Verdict, r.Broken, r.Text, r.all)
			}
		})
	}
}

// byLength returns the scenarios of the library, those that take long first, so that they do not
// come last and alone.
func byLength(t *testing.T) []string {
	t.Helper()
	least := map[string]time.Duration{}
	names := library.List()
	for _, name := range names {
		s, err := library.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		least[name] = leastTime(s)
	}
	slices.SortStableFunc(names, func(a, b string) int { return int(least[b] - least[a]) })
	return names
}

// leastTime is how long a run takes at least.
func leastTime(s *format.Scenario) time.Duration {
	return max(s.HealAt(), library.Of(s).LastArrival())
}

// outcome is what of a result this suite looks at.
type outcome struct {
	Verdict, Broken, Text string

	Wall time.Duration `json:"wall_ns"`
	all  []byte
}

// runOnProcesses runs what the arguments say with the fray-sim command.
func runOnProcesses(t *testing.T, args ...string) (*outcome, error) {
	t.Helper()
	args = append(args, "--backend", "process", "--format", "json", "--mtls="+strconv.FormatBool(*mtls), "--roles="+strconv.FormatBool(*roles))
	cmd := exec.CommandContext(t.Context(), programs.path(t, "fray-sim"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = processEnvironment()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || stdout.Len() == 0) {
		return nil, fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	r := outcome{all: stdout.Bytes()}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	return &r, nil
}

// processEnvironment is that of a command that starts others.
func processEnvironment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "FRAY_") })
	if dir := os.Getenv(coverVariable); dir != "" {
		env = append(env, "GOCOVERDIR="+dir)
	}
	return env
}

// No process of a run outlives it, however it ends.
// Protects: a machine that runs scenarios for hours.
func TestRunOnProcessesLeavesNone(t *testing.T) {
	t.Parallel()
	const endless = `apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: endless, summary: It goes on until somebody ends it.}
run: {backends: [sim, process]}
topology: {workers: [{name: worker, count: 3}]}
workload: {clients: [{name: client, tasks: 9}], mix: [{name: long, work: {min: 4m, max: 4m}}]}
targets: [{name: sleeper}]
faults: [{id: freeze, when: {on: {event: task-started, nth: 3}}, action: {pause: {target: sleeper, for: 4m}}}]
`
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			file := t.TempDir() + "/endless.yaml"
			if err := os.WriteFile(file, []byte(endless), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cmd := exec.CommandContext(ctx, programs.path(t, "fray-sim"), "--scenario", file, "--backend", "process")
			cmd.Env = processEnvironment()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var all []int
			// A worker stands still: it would read neither a signal nor the end of a pipe.
			eventually(t, "the controller and three workers run, and one stands still", func() bool {
				all = childrenOf(t, cmd.Process.Pid)
				return len(all) == 4 && slices.ContainsFunc(all, func(pid int) bool { return stateOf(pid) == "T" })
			})
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // That it fails is what is wanted.
			eventually(t, "all of them are gone", func() bool {
				return !slices.ContainsFunc(all, func(pid int) bool { return stateOf(pid) != "" })
			})
		})
	}
}

// childrenOf returns the processes that a process has started.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, entry := range entries {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if _, parent := processStat(child); parent == strconv.Itoa(pid) {
			found = append(found, child)
		}
	}
	return found
}
