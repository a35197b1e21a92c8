package simtest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/cluster/chaos"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
)

// breaksDown writes the result of its first seed and dies.
const breaksDown = `#!/bin/sh
first=${4%..*}
echo "{\"scenario\":\"fragile\",\"seed\":\"$first\",\"verdict\":\"pass\"}"
echo "boom at $first" >&2
exit 2
`

func fragile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fray-sim")
	if err := os.WriteFile(file, []byte(breaksDown), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func fragileSubject(t *testing.T) *subject {
	t.Helper()
	s, err := chaos.Draw(1, chaos.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Metadata.Name = "fragile"
	return &subject{
		Subject: report.Subject{Called: "fragile", Args: []string{"--scenario", "fragile"}},
		of:      func(uint64) *scenario.Scenario { return s },
	}
}

// A process that breaks down costs one seed; the ones behind it run in another, and all come in
// order.
func TestProcessBreaksDown(t *testing.T) {
	t.Parallel()
	c := &crew{executable: fragile(t), subject: fragileSubject(t), seeds: scenario.Seeds{First: 5, Last: 49}, jobs: 2}
	next := uint64(5)
	for r := range c.results(t.Context()) {
		want := scenario.VerdictPass
		if (next-5)%ChunkSeeds%2 == 1 {
			want = scenario.VerdictHarness
		}
		if r.Seed != next || r.Verdict != want {
			t.Fatalf("seed %d is %s, want seed %d to be %s", r.Seed, r.Verdict, next, want)
		}
		if r.Verdict == scenario.VerdictHarness && (!strings.Contains(r.Text, "exit status 2") || !strings.Contains(r.Text, "boom at ")) {
			t.Errorf("seed %d: %q", r.Seed, r.Text)
		}
		next++
	}
	if next != 50 {
		t.Errorf("the results end before seed %d", next)
	}
}

func TestSweepThatNobodyWantsEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &crew{executable: fragile(t), subject: fragileSubject(t), seeds: scenario.Seeds{First: 1, Last: 1_000_000}, jobs: 2}
	for range c.results(ctx) {
		break
	}
	ran := 0
	for range c.results(ctx) {
		if ran++; ran == 30 {
			cancel()
		}
	}
	if ran > chunksAhead*ChunkSeeds {
		t.Errorf("%d seeds ran", ran)
	}
}
