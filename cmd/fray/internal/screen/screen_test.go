package screen

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScreenWithoutTerminal(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	s := New(&stdout, &stderr, true)
	s.Added(2)
	for _, text := range []string{"a", "b\n"} {
		if _, err := s.Out.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Err.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	s.Ended(true)
	s.Ended(false)
	if err := s.Finish(); err != nil || stdout.String() != "ab\n" || stderr.String() != "ab\n" {
		t.Errorf("printed %q and %q, %v", stdout.String(), stderr.String(), err)
	}
}

// A bar is drawn between lines, so that what is no line yet is held back.
func TestWholeLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxPartLine+1)
	var out, later strings.Builder
	w := &wholeLines{w: &out}
	for _, step := range []struct{ write, want string }{
		{"a\nb", "a\n"}, {"c", "a\n"}, {"\n", "a\nbc\n"}, {"d", "a\nbc\n"}, {long, "a\nbc\nd" + long},
	} {
		if n, err := w.Write([]byte(step.write)); n != len(step.write) || err != nil || out.String() != step.want {
			t.Errorf("after %.10q: %.20q, %v", step.write, out.String(), err)
		}
	}
	out.Reset()
	if _, err := w.Write([]byte("e")); err != nil {
		t.Fatal(err)
	}
	w.flush(&later)
	if _, err := w.Write([]byte("f\n")); err != nil || out.String() != "" || later.String() != "e\nf\n" {
		t.Errorf("after flush: %q, then %q, %v", out.String(), later.String(), err)
	}
}
