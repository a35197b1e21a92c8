// Package visible shows texts that others may have written as they can stand on a terminal.
//
//	fmt.Fprintln(os.Stderr, visible.Text(err.Error()))
package visible

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns a text that others may have written as it can be shown on a terminal: what would
// move the cursor, change colours, turn the direction of writing round or not be seen at all is
// written as in a Go string, \x1b for the escape character. Line breaks and tabs stay. So do texts
// that have none of it.
func Text(text string) string { return visible(text, "\n\t") }

// Line is Text for what must stay on one line.
func Line(text string) string { return visible(text, "") }

func visible(text, keep string) string {
	shown := func(r rune) bool { return unicode.IsPrint(r) || strings.ContainsRune(keep, r) }
	clean := utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !shown(r) }) < 0
	if clean {
		return text
	}
	var b strings.Builder
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1, r < utf8.RuneSelf && !shown(r):
			if escape, ok := map[byte]string{'\n': `\n`, '\t': `\t`, '\r': `\r`}[text[0]]; ok {
				b.WriteString(escape)
			} else {
				fmt.Fprintf(&b, `\x%02x`, text[0])
			}
		case shown(r):
			b.WriteString(text[:size])
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		text = text[size:]
	}
	return b.String()
}
