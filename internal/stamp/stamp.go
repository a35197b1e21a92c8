// Package stamp tells what the program that runs was built from: the version of its module, the
// commit, and the Go that compiled it. It reads what go build wrote into the program; nothing has
// to be set when it is linked.
//
//   - go install MODULE@VERSION: the version. If that is a pseudo-version, the commit is in it.
//   - go build in a clone: all of it, and the version is the commit's tag or a pseudo-version.
//   - go build elsewhere, or with -buildvcs=false: the version is [Devel], and the commit unknown.
package stamp

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/mod/module"
)

// Devel is the version of a program that does not know its own.
const Devel = "devel"

// A Stamp is what a program was built from.
type Stamp struct {
	// Version is that of the main module: "v1.2.3", a pseudo-version, or [Devel]. It ends in "+dirty"
	// if files differed from the commit.
	Version string `json:"version"`
	// Commit is nil where it is unknown.
	Commit *Commit `json:"commit,omitempty"`
	// Go, OS and Arch are as in package runtime.
	Go   string `json:"go"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
}

// A Commit is a state of the repository.
type Commit struct {
	// ID is its hash in hexadecimal, cut to 12 digits if it is from a pseudo-version.
	ID string `json:"id"`
	// Time is when it was committed, in UTC.
	Time time.Time `json:"time"`
	// Modified says whether files differed from it.
	Modified bool `json:"modified"`
}

// Read returns the stamp of this program.
func Read() Stamp {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return Of(info)
}

// Of returns the stamp of a program of this platform and Go that has info.
func Of(info *debug.BuildInfo) Stamp {
	s := Stamp{Version: info.Main.Version, Commit: commit(info), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if s.Version == "" || s.Version == "(devel)" {
		s.Version = Devel
	}
	return s
}

func commit(info *debug.BuildInfo) *Commit {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if id := settings["vcs.revision"]; id != "" {
		at, err := time.Parse(time.RFC3339, settings["vcs.time"])
		if err != nil {
			return nil
		}
		return &Commit{ID: id, Time: at.UTC(), Modified: settings["vcs.modified"] == "true"}
	}
	id, err := module.PseudoVersionRev(info.Main.Version)
	if err != nil {
		return nil
	}
	at, err := module.PseudoVersionTime(info.Main.Version)
	if err != nil {
		return nil
	}
	return &Commit{ID: id, Time: at}
}

// Lines returns the stamp of a program with that name as people read it, a line or two.
func (s Stamp) Lines(name string) string {
	lines := fmt.Sprintf("%s %s (%s %s/%s)\n", name, s.Version, s.Go, s.OS, s.Arch)
	if c := s.Commit; c != nil {
		lines += fmt.Sprintf("commit %s of %s", c.ID, c.Time.Format(time.RFC3339))
		if c.Modified {
			lines += ", with changes that are not committed"
		}
		lines += "\n"
	}
	return lines
}
