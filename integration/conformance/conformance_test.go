package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the runner prints last.
var summary = regexp.MustCompile(`Total cases: (\d+)\n(\d+) passed, 0 failed\n$`)

// TestConformance runs the suite without adapters and then with idle and acting ones. All cases
// must pass, and what a client saw of them must be the same.
func TestConformance(t *testing.T) {
	program := filepath.Join(t.TempDir(), "conformance")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	path, err := exec.CommandContext(t.Context(), "go", "tool", "-n", "connectconformance").Output()
	if err != nil {
		t.Fatalf("go tool: %v", err)
	}
	s := &suite{runner: strings.TrimSpace(string(path)), program: program}
	for _, ends := range []struct {
		name, mode     string
		client, server string   // roles of the program; "": the runner's own
		adapters       []string // the first is what the others are compared with
	}{
		{"server", "server", "", "server", []string{adaptersOff, adaptersIdle, adaptersActing}},
		{"client", "client", "client", "", []string{adaptersOff, adaptersIdle, adaptersActing}},
		{"both", "both", "client", "server", []string{adaptersOff, adaptersIdle, adaptersActing}},
		{"simulation", "both", "sim", "server", []string{adaptersOff, adaptersIdle, adaptersActing}},
	} {
		for _, adapters := range ends.adapters {
			t.Run(ends.name+" "+adapters, func(t *testing.T) { s.run(t, ends.mode, ends.client, ends.server, adapters) })
		}
	}
}

// A suite remembers what came of it without adapters and over TCP.
type suite struct {
	runner, program string

	cases   map[string]string   // how many, by mode
	results map[string][]string // what a client saw, by mode
}

// run runs the suite once.
func (s *suite) run(t *testing.T, mode, client, server, adapters string) {
	dir := t.TempDir()
	seen, results := filepath.Join(dir, "seen"), filepath.Join(dir, "results")
	args := []string{"--conf", "config.yaml", "--mode", mode, "--"}
	add := func(role string, more ...string) {
		args = append(append(append(args, s.program, "-adapters", adapters, "-seen", seen), more...), role)
	}
	if client != "" {
		add(client, "-results", results)
	}
	if client != "" && server != "" {
		args = append(args, "----")
	}
	if server != "" {
		add(server)
	}
	start := time.Now()
	out, err := exec.CommandContext(t.Context(), s.runner, args...).CombinedOutput()
	found := summary.FindStringSubmatch(string(out))
	if err != nil || found == nil || found[1] != found[2] {
		t.Fatalf("%s %s: %v\n%s", s.runner, strings.Join(args, " "), err, out)
	}
	t.Logf("%s of %s cases pass in %v", found[2], found[1], time.Since(start).Round(time.Second))
	if adapters != adaptersOff {
		checkSeen(t, seen, adapters, client, server)
	}
	s.compare(t, mode, found[1], results)
}

// compare compares with the first run of the same mode.
func (s *suite) compare(t *testing.T, mode, cases, results string) {
	content, err := os.ReadFile(results)
	if err != nil && mode != "server" { // Where the runner's client keeps what it saw to itself.
		t.Fatal(err)
	}
	lines := strings.Split(string(content), "\n")
	slices.Sort(lines)
	first, known := s.cases[mode]
	if !known {
		if s.cases == nil {
			s.cases, s.results = map[string]string{}, map[string][]string{}
		}
		s.cases[mode], s.results[mode] = cases, lines
		return
	}
	if cases != first {
		t.Errorf("%s cases, and %s without adapters", cases, first)
	}
	want := s.results[mode]
	for i := range min(len(lines), len(want)) {
		if lines[i] != want[i] {
			t.Fatalf("the first of the cases that differ:\n got %s\nwant %s", lines[i], want[i])
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d results, and %d without adapters", len(lines), len(want))
	}
}

// checkSeen fails unless every rule for points on the sides of the roles met calls, and acted as
// the mode of adapters says.
func checkSeen(t *testing.T, file, adapters, client, server string) {
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	matched, fired := map[string]int{}, map[string]int{}
	for line := range strings.Lines(string(content)) {
		var role, rule string
		var m, f int
		if _, err := fmt.Sscan(line, &role, &rule, &m, &f); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		matched[rule] += m
		fired[rule] += f
	}
	for line := range strings.Lines(everywhere("drop", "")) {
		rule, _, _ := strings.Cut(line, ":")
		side, _, _ := strings.Cut(rule, ".")
		absent := side == "client" && client == "" || side == "server" && server == ""
		if met := matched[rule] > 0; met == absent {
			t.Errorf("rule %s matched %d times", rule, matched[rule])
		}
	}
	for rule, times := range fired {
		if adapters == adaptersIdle && times > 0 || adapters == adaptersActing && matched[rule] > 0 && times == 0 {
			t.Errorf("rule %s acted %d times on %d matches", rule, times, matched[rule])
		}
	}
}
