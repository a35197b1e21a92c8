package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	unit = `mode: atomic
example.com/m/a/a.go:1.1,3.2 4 9
example.com/m/a/a.go:5.1,6.2 1 0
example.com/m/b/b.go:1.1,3.2 3 0
example.com/m/gen/g.go:1.1,3.2 100 0
`
	processes = `mode: set
example.com/m/a/a.go:1.1,3.2 4 0
example.com/m/b/b.go:1.1,3.2 3 1
example.com/m/b/b.go:4.1,5.2 2 0
`
)

// write puts each profile in a file of its own and returns their names.
func write(t *testing.T, profiles ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for i, text := range profiles {
		name := filepath.Join(dir, string(rune('a'+i))+".out")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func TestRunMergesProfilesAndReportsEachPackage(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	merged := filepath.Join(t.TempDir(), "merged.out")
	args := append([]string{"-min", "70", "-exclude", "example.com/m/gen/", "-strip", "example.com/m/", "-o", merged},
		write(t, unit, processes)...)
	if err := run(args, &out); err != nil {
		t.Fatal(err)
	}
	want := ` 80.00%       4/5       a
 60.00%       3/5       b
 70.00%       7/10      total
least covered: b (2 statements missed) a (1 statements missed)
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	text, err := os.ReadFile(merged)
	if err != nil {
		t.Fatal(err)
	}
	wantMerged := `mode: set
example.com/m/a/a.go:1.1,3.2 4 1
example.com/m/a/a.go:5.1,6.2 1 0
example.com/m/b/b.go:1.1,3.2 3 1
example.com/m/b/b.go:4.1,5.2 2 0
`
	if string(text) != wantMerged {
		t.Errorf("merged: got\n%swant\n%s", text, wantMerged)
	}
}

func TestRunFailsBelowTheMinimum(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		minimum string
		below   bool
	}{
		"above": {"69.9", false},
		"equal": {"70", false},
		"below": {"70.1", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-min", test.minimum, "-exclude", "example.com/m/gen/"}, write(t, unit, processes)...)
			if err := run(args, &strings.Builder{}); errors.Is(err, errBelow) != test.below {
				t.Errorf("got %v, want below = %t", err, test.below)
			}
		})
	}
}

func TestRunRefusesBadProfiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		profiles []string
		want     string
	}{
		"none":           {nil, "no profile given"},
		"empty":          {[]string{""}, "empty profile"},
		"no mode":        {[]string{"example.com/m/a/a.go:1.1,3.2 4 9\n"}, "want a mode"},
		"only a mode":    {[]string{"mode: set\n"}, "no statement"},
		"short line":     {[]string{"mode: set\na.go:1.1,2.2 4\n"}, "line 2: want position"},
		"no position":    {[]string{"mode: set\na.go 4 9\n"}, "want position"},
		"bad statements": {[]string{"mode: set\na.go:1.1,2.2 x 9\n"}, "parse statements"},
		"bad count":      {[]string{"mode: set\na.go:1.1,2.2 1 -9\n"}, "parse count"},
		"other sources":  {[]string{unit, "mode: set\nexample.com/m/a/a.go:1.1,3.2 5 1\n"}, "different sources"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(write(t, test.profiles...), &strings.Builder{})
			if err == nil || errors.Is(err, errBelow) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	if err := run([]string{filepath.Join(t.TempDir(), "absent.out")}, &strings.Builder{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}
