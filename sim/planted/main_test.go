package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// One bug goes all the way: it is planted and found, and its scenario passes without it.
func TestRunFindsABug(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := run(t.Context(), []string{"-root", "../..", "-bugs", "bugs", "-seeds", "1", "-run", "^retry-too-few$"}, &out)
	if err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("want a header, a bug, a control and a sum:\n%s", out.String())
	}
	for i, want := range []string{
		"BUG PITFALL SCENARIO SEED FOUND AS EXIT",
		"retry-too-few none retries-exact-budget 1 invariant-broken attempts-within-budget 1",
		"(none) - retries-exact-budget none pass 0",
		"",
		"1 bugs planted, 1 controls, 0 not as expected, in",
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); !strings.HasPrefix(got, want) {
			t.Errorf("line %d: got %q, want %q", i+1, got, want)
		}
	}
}

func TestRunRefusesBadArguments(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"argument": {[]string{"retry-too-few"}, "with -run"},
		"pattern":  {[]string{"-run", "("}, "-run: error parsing"},
		"no match": {[]string{"-bugs", "bugs", "-run", "^$"}, "matches none of"},
		"no bugs":  {[]string{"-bugs", "absent"}, "no bugs in absent"},
		"seeds":    {[]string{"-seeds", "0"}, "must be one at least"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), test.args, &strings.Builder{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
