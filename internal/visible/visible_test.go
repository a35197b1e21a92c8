package visible_test

import (
	"testing"

	"github.com/frayrpc/fray/internal/visible"
)

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ block, line string }{
		"":                          {"", ""},
		"plain, größer, 日本 🙂":       {"plain, größer, 日本 🙂", "plain, größer, 日本 🙂"},
		"two\nlines\tand\r":         {"two\nlines\tand" + `\r`, `two\nlines\tand\r`},
		"\x1b[2J\x1b]0;title\x07":   {`\x1b[2J\x1b]0;title\x07`, `\x1b[2J\x1b]0;title\x07`},
		"bell\a back\b\x7f nul\x00": {`bell\x07 back\x08\x7f nul\x00`, `bell\x07 back\x08\x7f nul\x00`},
		"c1 \u009b31m":              {`c1 \u009b31m`, `c1 \u009b31m`},
		"turned \u202eexe.txt":      {`turned \u202eexe.txt`, `turned \u202eexe.txt`},
		"hidden \u200b\u2066\ufeff": {`hidden \u200b\u2066\ufeff`, `hidden \u200b\u2066\ufeff`},
		"bytes \xff\xfe":            {`bytes \xff\xfe`, `bytes \xff\xfe`},
		"a real \ufffd":             {"a real \ufffd", "a real \ufffd"},
	} {
		if got := visible.Text(text); got != want.block {
			t.Errorf("Text(%q) = %q, want %q", text, got, want.block)
		}
		if got := visible.Line(text); got != want.line {
			t.Errorf("Line(%q) = %q, want %q", text, got, want.line)
		}
	}
}
