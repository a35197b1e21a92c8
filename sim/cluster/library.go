package cluster

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/frayrpc/fray/sim/scenario"
)

//go:embed library/*.yaml
var library embed.FS

// ErrUnknown is returned for a name that no scenario of the library has.
var ErrUnknown = errors.New("no such scenario")

// List returns the names of the library's scenarios, in order.
func List() []string {
	files, err := fs.Glob(library, "library/*.yaml")
	if err != nil {
		panic("scenario: list library: " + err.Error()) // Only a bad pattern is an error.
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(path.Base(file), ".yaml")
	}
	slices.Sort(files)
	return files
}

// Text returns the file of a scenario of the library. The error wraps [ErrUnknown], and suggests a
// name.
func Text(name string) ([]byte, error) {
	text, err := library.ReadFile("library/" + strings.TrimSuffix(name, ".yaml") + ".yaml")
	if err != nil {
		c := scenario.Complain("%q", name).SuggestName(strings.TrimSuffix(name, ".yaml"), List())
		return nil, fmt.Errorf("%w: %s; %s", ErrUnknown, c.Message, c.Suggestion)
	}
	return text, nil
}

// Load returns a scenario of the library, with or without .yaml at the end of its name.
func Load(name string) (*scenario.Scenario, error) {
	text, err := Text(name)
	if err != nil {
		return nil, err
	}
	return Parse(strings.TrimSuffix(name, ".yaml")+".yaml", text)
}

// subjects are those that this package's readers know.
func subjects() scenario.Subjects { return scenario.Subjects{Format()} }

// Parse reads a scenario about a cluster, as [scenario.Subjects] does.
func Parse(file string, text []byte) (*scenario.Scenario, error) { return subjects().Parse(file, text) }

// ParseFile reads a scenario about a cluster from a file.
func ParseFile(path string) (*scenario.Scenario, error) { return subjects().ParseFile(path) }
