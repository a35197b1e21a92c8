package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// ErrUnknown is returned for a name that no scenario of a library has.
var ErrUnknown = errors.New("no such scenario")

// A Library is scenarios that a program has built in.
type Library struct {
	// Files has them as NAME.yaml in its root. Nil: there are none.
	Files fs.FS
	// Subjects are those that they are about.
	Subjects Subjects
}

// List returns the names of the library's scenarios, in order.
func (l Library) List() []string {
	if l.Files == nil {
		return nil
	}
	files, err := fs.Glob(l.Files, "*.yaml")
	if err != nil {
		panic("scenario: list library: " + err.Error()) // Only a bad pattern is an error.
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(path.Base(file), ".yaml")
	}
	slices.Sort(files)
	return files
}

// Text returns the file of a scenario, with or without .yaml at the end of its name. The error
// wraps [ErrUnknown], and suggests a name.
func (l Library) Text(name string) ([]byte, error) {
	name = strings.TrimSuffix(name, ".yaml")
	if l.Files != nil {
		if text, err := fs.ReadFile(l.Files, name+".yaml"); err == nil {
			return text, nil
		}
	}
	c := Complain("%q", name).SuggestName(name, l.List())
	if c.Suggestion == "" {
		c.Suggestion = "the library is empty"
	}
	return nil, fmt.Errorf("%w: %s; %s", ErrUnknown, c.Message, c.Suggestion)
}

// Load returns a scenario, with or without .yaml at the end of its name.
func (l Library) Load(name string) (*Scenario, error) {
	text, err := l.Text(name)
	if err != nil {
		return nil, err
	}
	return l.Subjects.Parse(strings.TrimSuffix(name, ".yaml")+".yaml", text)
}
