package cluster

import (
	"embed"
	"io/fs"

	"github.com/frayrpc/fray/sim/scenario"
)

//go:embed library/*.yaml
var library embed.FS

// Library returns the scenarios about clusters that are built in.
func Library() scenario.Library {
	files, err := fs.Sub(library, "library")
	if err != nil {
		panic("cluster: library: " + err.Error()) // It is embedded under that name.
	}
	return scenario.Library{Files: files, Subjects: subjects()}
}

// List returns the names of the library's scenarios, in order.
func List() []string { return Library().List() }

// Load returns a scenario of the library, with or without .yaml at the end of its name.
func Load(name string) (*scenario.Scenario, error) { return Library().Load(name) }

// subjects are those that this package's readers know.
func subjects() scenario.Subjects { return scenario.Subjects{Format()} }

// Parse reads a scenario about a cluster, as [scenario.Subjects] does.
func Parse(file string, text []byte) (*scenario.Scenario, error) { return subjects().Parse(file, text) }

// ParseFile reads a scenario about a cluster from a file.
func ParseFile(path string) (*scenario.Scenario, error) { return subjects().ParseFile(path) }
