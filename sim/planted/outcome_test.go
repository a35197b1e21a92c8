package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program returns a stand-in for fray-sim, which does what a shell script says. $seeds is the first
// of its seeds, and $one says that it was asked for one.
func program(t *testing.T, script string) string {
	t.Helper()
	const head = `#!/bin/sh
case "$3" in --seed) one=1;; *) one=;; esac
seeds=${4%%..*}; last=${4##*..}
say() { echo "{\"seed\":\"$1\",\"verdict\":\"$2\",\"broken\":\"$3\",\"text\":\"it broke\",\"last\":[{\"kind\":\"heal\"}]}"; }
pass() { while [ "$seeds" -le "$last" ]; do say "$seeds" pass; seeds=$((seeds+1)); done; exit 0; }
`
	file := filepath.Join(t.TempDir(), "fray-sim")
	if err := os.WriteFile(file, []byte(head+script), 0o700); err != nil { // It is executed.
		t.Fatal(err)
	}
	return file
}

func TestSearch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		seed   uint64
		want   string // in the error; empty: there is none
	}{
		"first of many": {
			script: `if [ $one ]; then say $seeds invariant-broken one-lease; exit 1; fi
				if [ $seeds -lt 21 ]; then pass; fi
				say 21 pass; say 22 invariant-broken one-lease; say 23 liveness-broken eventually; exec sleep 100`,
			seed: 22,
		},
		"other of two": {script: "say $seeds invariant-broken never-lost; exit 1", seed: 1},
		"not one run": {
			script: "if [ $one ]; then say $seeds invariant-broken one-lease; exit 1; fi; say 1 nondeterminism determinism", seed: 1,
		},
		"missed":           {script: "pass", want: "seeds 1..40 of worker-crash pass"},
		"other oracle":     {script: "say $seeds invariant-broken one-effect; exit 1", seed: 1, want: "to be found as invariant-broken one-lease or never-lost, but: it broke"},
		"other verdict":    {script: "say $seeds liveness-broken one-lease; exit 2", seed: 1, want: "to be found as invariant-broken one-lease"},
		"other exit code":  {script: "say $seeds invariant-broken one-lease; exit 2", seed: 1, want: "seed 1 by itself is invariant-broken one-lease, with exit code 2"},
		"not again":        {script: "if [ $one ]; then pass; fi; say 1 invariant-broken one-lease", seed: 1, want: "seed 1 by itself is pass, with exit code 0"},
		"ends early":       {script: "say 1 pass; echo no memory >&2; exit 7", want: "seeds 1..20: it ended after 1 of them: exit status 7: no memory"},
		"no result":        {script: "echo a panic >&2; exit 2", want: "a panic"},
		"something else":   {script: "echo hello", want: "after 0 of them: invalid character"},
		"no result alone":  {script: "if [ $one ]; then echo a panic >&2; exit 2; fi; say 1 invariant-broken one-lease", seed: 1, want: "seed 1: exit status 2"},
		"is not a program": {script: "exec /nonexistent", want: "exit status 127"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &outcome{bug: &bug{scenario: "worker-crash", verdict: "invariant-broken", broken: "one-lease or never-lost"}, seeds: 40}
			err := o.search(t.Context(), program(t, test.script))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if o.Seed != test.seed {
				t.Errorf("found under seed %d, want %d", o.Seed, test.seed)
			}
		})
	}
}

// What only a second run shows is asked for a seed at a time, with --verify, and not again: the
// same seed may be another run.
func TestSearchVerifies(t *testing.T) {
	t.Parallel()
	o := &outcome{bug: &bug{scenario: "worker-crash", verdict: "nondeterminism", broken: "determinism"}, seeds: 5}
	err := o.search(t.Context(), program(t, `[ "$7" = --verify ] || exit 9
		if [ $seeds -eq 3 ] && [ ! -e "$0.asked" ]; then touch "$0.asked"; say 3 nondeterminism determinism; exit 3; fi
		pass`))
	if err != nil || o.Seed != 3 || o.exitCode != 3 {
		t.Errorf("seed %d, exit code %d, %v", o.Seed, o.exitCode, err)
	}
}
