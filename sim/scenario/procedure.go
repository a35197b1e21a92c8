package scenario

import (
	"path"
	"slices"
	"strings"

	"github.com/frayrpc/fray/internal/glob"
)

// connections is how the procedures of connections begin: tcp: and the port.
const connections = "tcp:"

// procedurePattern returns the pattern that a fault rule has for what a file says.
func procedurePattern(text string) string {
	switch {
	case text == "" || strings.HasPrefix(text, "/") || strings.HasPrefix(text, "*") || strings.HasPrefix(text, connections):
		return text
	case strings.Contains(text, "."):
		return "/" + text
	}
	return "*/" + text
}

// match returns the procedures that a file's text stands for. Where nobody knows which there are it
// is one that is as the text says.
func (s *Subject) match(text string) []string {
	switch {
	case len(s.Procedures) == 0, strings.HasPrefix(text, connections):
		return []string{procedurePattern(text)}
	case text == "":
		return s.Procedures
	}
	pattern := procedurePattern(text)
	return slices.DeleteFunc(slices.Clone(s.Procedures), func(name string) bool { return !glob.Match(pattern, name) })
}

// nearProcedures returns what a procedure that does not exist may have been meant to be, written as
// it was.
func (s *Subject) nearProcedures(text string) []string {
	var names []string
	for _, name := range s.Procedures {
		switch base := path.Base(name); {
		case strings.HasPrefix(text, "/"):
			names = append(names, name)
		case strings.Contains(text, "."):
			names = append(names, name[1:])
		case strings.HasPrefix(text, "*/"):
			names = append(names, "*/"+base)
		default:
			if !slices.Contains(names, base) {
				names = append(names, base)
			}
		}
	}
	return names
}

// nearestProcedure suggests a procedure: by its last part too, which is what people remember.
func (s *Subject) nearestProcedure(c *Complaint, text string) *Complaint {
	known := s.nearProcedures(text)
	if near := nearest(text, known); near != "" {
		return c.Suggest("did you mean %s?", near)
	}
	var bases []string
	for _, name := range s.Procedures {
		bases = append(bases, path.Base(name))
	}
	if near := nearest(path.Base(text), bases); near != "" {
		for _, name := range s.Procedures {
			if path.Base(name) == near {
				return c.Suggest("did you mean %s?", name)
			}
		}
	}
	return c.SuggestName(text, known)
}
