package maprun

import (
	"strings"
	"testing"
)

func TestTagWriter(t *testing.T) {
	t.Parallel()
	for want, parts := range map[string][]string{
		"":                      {""},
		"x\ta\nx\tb\n":          {"a", "\n", "b"},
		"x\tab\nx\t\nx\t\xff\n": {"a", "b\n\n", "\xff\n"},
	} {
		var text strings.Builder
		w := &tagWriter{w: &text, tag: "x\t"}
		for _, part := range parts {
			if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := w.endLine(); err != nil || text.String() != want {
			t.Errorf("%q became %q, %v, want %q", parts, text.String(), err, want)
		}
	}
}
