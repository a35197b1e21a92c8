package faults

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A scanner reads the words of one line.
type scanner struct {
	text string
	at   int // of the next byte
}

// A word is a piece of text and where it starts.
type word struct {
	text   string
	column int // counts from 1
}

func (s *scanner) column() int { return s.at + 1 }

func (s *scanner) skipSpace() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t') {
		s.at++
	}
}

func (s *scanner) done() bool {
	s.skipSpace()
	return s.at == len(s.text)
}

// accept takes a byte if it comes next, and says whether it did.
func (s *scanner) accept(c byte) bool {
	s.skipSpace()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// found describes what comes next.
func (s *scanner) found() string {
	s.skipSpace()
	if s.at == len(s.text) {
		return "the end of the line"
	}
	c, _ := utf8.DecodeRuneInString(s.text[s.at:])
	return strconv.QuoteRune(c)
}

// word takes a word, in quotes or without. what says what it should be.
func (s *scanner) word(what string) (word, *RuleError) {
	s.skipSpace()
	start := s.at
	if strings.HasPrefix(s.text[start:], `"`) {
		quoted, err := strconv.QuotedPrefix(s.text[start:])
		if err != nil {
			return word{}, at(start+1, "the quotes around %s do not close; end it with \" and write a quote in it as \\\"", what)
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return word{}, at(start+1, "%s is not a quoted text as Go has it: %v", quoted, err)
		}
		s.at += len(quoted)
		return word{text, start + 1}, nil
	}
	for s.at < len(s.text) && isWordByte(s.text[s.at]) {
		s.at++
	}
	if s.at == start {
		return word{}, at(start+1, "found %s in place of %s", s.found(), what)
	}
	return word{s.text[start:s.at], start + 1}, nil
}

func at(column int, format string, args ...any) *RuleError {
	err := wrong("", format, args...)
	err.Column = column
	return err
}
