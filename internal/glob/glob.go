// Package glob matches the names of hosts and procedures against patterns.
//
//	glob.Match("*.PingService/*", "/acme.v1.PingService/Ping") // true
//
// A star stands for any text, and all else for itself. path.Match of the standard library does
// something else: its star ends at a slash, of which a procedure has two, and its brackets, which
// the address of a host may have, are a set of characters.
package glob

import "strings"

// Match says whether a text is what a pattern describes, in which each * stands for any text.
func Match(pattern, text string) bool {
	head, tail, found := strings.Cut(pattern, "*")
	if !found {
		return pattern == text
	}
	if !strings.HasPrefix(text, head) {
		return false
	}
	text = text[len(head):]
	for {
		middle, rest, more := strings.Cut(tail, "*")
		if !more {
			return strings.HasSuffix(text, tail)
		}
		at := strings.Index(text, middle)
		if at < 0 {
			return false
		}
		text, tail = text[at+len(middle):], rest
	}
}
