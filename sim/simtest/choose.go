package simtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxScenarios is how many scenarios one command takes.
const maxScenarios = 10_000

// scenarioEnding is how the name of a scenario's file ends, as directories and globs are searched
// for it.
const scenarioEnding = ".yaml"

// choose returns the scenarios that a user names, each once, as [App.load] takes them: in the order
// of the names, and those of a directory or of a glob sorted. A name is a file, a directory, one of
// the library, or a glob of any of them. A name that stands for nothing is an error, but for one
// that might be the library's: load knows what it is near to.
func (a *App) choose(names []string) ([]string, error) {
	var chosen []string
	seen := map[string]bool{}
	for _, name := range names {
		more, err := a.expand(name)
		if err != nil {
			return nil, err
		}
		for _, s := range more {
			if !seen[filepath.Clean(s)] {
				seen[filepath.Clean(s)] = true
				chosen = append(chosen, s)
			}
		}
		if len(chosen) > maxScenarios {
			return nil, Invalid("%s: these are more than %d scenarios: run them in parts", name, maxScenarios)
		}
	}
	if len(chosen) == 0 {
		return nil, Invalid("which scenario? pass --scenario FILE or NAME; %s list has the names", a.name())
	}
	return chosen, nil
}

// expand returns the scenarios that one name stands for.
func (a *App) expand(name string) ([]string, error) {
	if name == "" {
		return nil, Invalid("the name of a scenario is empty: give a file, a directory, a glob, or a name that %s list has", a.name())
	}
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir() && a.inLibrary(name):
		return []string{name}, nil
	case err == nil && info.IsDir():
		files, err := below(name)
		if err == nil && len(files) == 0 {
			err = Invalid("%s: no scenario is in this directory or below it: their files end in %s", name, scenarioEnding)
		}
		return files, err
	case err == nil || !strings.ContainsAny(name, "*?["):
		return []string{name}, nil
	}
	return a.glob(name)
}

// inLibrary says whether the library has a scenario of that very name.
func (a *App) inLibrary(name string) bool {
	return slices.Contains(a.library().List(), strings.TrimSuffix(name, scenarioEnding))
}

// below returns the scenario files of a directory and of those below it, sorted. Directories whose
// names begin with a dot are left out.
func below(dir string) ([]string, error) {
	var files []string
	// With a separator, so that a link to a directory is followed.
	err := filepath.WalkDir(dir+string(filepath.Separator), func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && filepath.Clean(file) != filepath.Clean(dir):
			return filepath.SkipDir
		case !entry.IsDir() && strings.HasSuffix(file, scenarioEnding):
			files = append(files, filepath.Clean(file))
		}
		if len(files) > maxScenarios {
			return fmt.Errorf("there are more than %d scenarios below it: run them in parts", maxScenarios)
		}
		return nil
	})
	if err != nil {
		return nil, Invalid("%s: %w", dir, err)
	}
	slices.Sort(files)
	return files, nil
}

// glob returns what matches a pattern, sorted: files and what is below directories, and then names
// of the library, as they are or with .yaml. A file goes before one of the library that is called
// so.
func (a *App) glob(pattern string) ([]string, error) {
	matches, err := filepath.Glob(pattern)
	if errors.Is(err, filepath.ErrBadPattern) {
		return nil, Invalid("%s: the pattern is not valid: * and ? stand for any text and any letter, and [a-z] for one of those", pattern)
	}
	var files []string
	called := map[string]bool{}
	for _, match := range matches {
		info, err := os.Stat(match)
		switch {
		case err != nil:
			return nil, Invalid("%s: %w", pattern, err)
		case info.IsDir():
			more, err := below(match)
			if err != nil {
				return nil, err
			}
			files = append(files, more...)
		case strings.HasSuffix(match, scenarioEnding):
			files = append(files, match)
		}
	}
	slices.Sort(files)
	for _, file := range files {
		called[strings.TrimSuffix(filepath.Base(file), scenarioEnding)] = true
	}
	for _, name := range a.library().List() {
		bare, _ := path.Match(pattern, name)
		ended, _ := path.Match(pattern, name+scenarioEnding)
		if (bare || ended) && !called[name] {
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		return nil, Invalid("%s: no file that ends in %s matches, no directory with one, and no name that %s list has", pattern, scenarioEnding, a.name())
	}
	return files, nil
}
