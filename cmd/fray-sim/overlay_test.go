package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/scenario"
)

func TestTestArgs(t *testing.T) {
	t.Parallel()
	for line, test := range map[string]struct {
		seeds scenario.Seeds
		rest  string
		fails string
	}{
		"":                               {},
		"./a -run X":                     {rest: "./a -run X"},
		"--seed 7 ./a -v":                {seeds: scenario.Seeds{First: 7, Last: 7}, rest: "./a -v"},
		"./a -seeds=1..9 -race":          {seeds: scenario.Seeds{First: 1, Last: 9}, rest: "./a -race"},
		"./a -args --seed 7 -h":          {rest: "./a -args --seed 7 -h"},
		"--seed":                         {fails: "--seed: the value is missing"},
		"--seed x":                       {fails: `--seed "x" is not a number`},
		"--seed 1..3":                    {fails: `--seed "1..3" is not a number`},
		"--seed 1 --seeds 2..3":          {fails: "--seed and --seeds: one of them is enough"},
		"./a -overlay=mine.json":         {fails: "-overlay: go test has one"},
		"./a -run seed -count 2 --seed=": {fails: `--seed "" is not a number`},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			seeds, rest, err := testArgs(strings.Fields(line))
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("got %v, want an error with %q", err, test.fails)
				}
				return
			}
			if err != nil || seeds != test.seeds || strings.Join(rest, " ") != test.rest {
				t.Errorf("got %v, %q, %v", seeds, rest, err)
			}
		})
	}
	if _, _, err := testArgs([]string{"./a", "--help"}); !errors.Is(err, errHelp) {
		t.Errorf("got %v", err)
	}
}

func TestGoTestArguments(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"./a":                    "-count=1 -tags=frayoverlay ./a",
		"./a -tags a,b":          "-count=1 ./a -tags a,b,frayoverlay",
		"--tags=a ./a":           "-count=1 --tags=a,frayoverlay ./a",
		"./a -count 3":           "-tags=frayoverlay ./a -count 3",
		"-count=1 ./a":           "-tags=frayoverlay -count=1 ./a",
		"./a -args -tags -count": "-count=1 -tags=frayoverlay ./a -args -tags -count",
	} {
		args := strings.Fields(line)
		if got := strings.Join(slices.Concat(testFlags(args), withTag(args)), " "); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}
