package fleet

import (
	"strings"
	"testing"
)

func TestPrefixWriter(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	w := &prefixWriter{w: &out, prefix: "p: "}
	long := strings.Repeat("x", maxLogLine+10)
	for _, part := range []string{"a\nb", "c\n", "", "d\n\n", long, "\ntail"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	want := "p: a\np: bc\np: d\np: \np: " + long[:maxLogLine] + "\np: " + long[maxLogLine:] + "\n"
	if out.String() != want {
		t.Errorf("wrote %.100q, want %.100q", out.String(), want)
	}
}
