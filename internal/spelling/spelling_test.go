package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"slots", "labels", "Drop", "worker-crash", "worker-pause", "ab"}
	for word, want := range map[string]string{
		"slot": "slots", "slots": "slots", "sltos": "slots", "SLOTS": "slots", "drpo": "Drop",
		"worker-crush": "worker-crash", "worker-cause": "worker-pause", "workercrsh": "worker-crash",
		"": "", "x": "", "ba": "ab", "xy": "", "something else": "", "slotsslots": "",
		strings.Repeat("slots", 100): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
	if got := Nearest("slots", []string{strings.Repeat("s", 1000)}); got != "" {
		t.Errorf("nearest is %q", got)
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	known := []string{"/GetPlan", "/ClearPlan"}
	for word, want := range map[string]int{"/ClearPlane": 1, "/getplan": 0, "/Got": -1} {
		if got := Within(3, word, known); got != want {
			t.Errorf("%q is number %d, want %d", word, got, want)
		}
	}
	if got := Within(4, "/Got", known); got != -1 {
		t.Errorf("/Got is number %d", got)
	}
	if got := Within(5, "/Got", known); got != 0 {
		t.Errorf("/Got is number %d", got)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"slots", "slots", 0},
		{"slot", "slots", 1},
		{"kitten", "sitting", 3},
		{"ab", "ba", 1},
		{"abcd", "acbd", 1},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("from %q to %q are %d changes, want %d", test.a, test.b, got, test.want)
		}
	}
}
