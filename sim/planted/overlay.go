package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An overlay is sources with a bug: the texts of the files that it edits, by their names relative
// to the module.
type overlay map[string]string

// apply makes the bug's edits to copies of the sources.
func (b *bug) apply(root string) (overlay, error) {
	files := overlay{}
	var errs []error
	for _, e := range b.edits {
		text, known := files[e.file]
		if !known {
			data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.file)))
			if err != nil {
				errs = append(errs, fmt.Errorf("edit: %w", err))
				continue
			}
			text = string(data)
		}
		at := places(text, e.old)
		if len(at) != 1 {
			errs = append(errs, fmt.Errorf("edit %s: these lines are there %d times, and not once; bring the bug up to date with the sources:\n%s",
				e.file, len(at), e.old))
			continue
		}
		files[e.file] = text[:at[0]] + e.new + text[at[0]+len(e.old):]
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return files, nil
}

// places returns where in a text some whole lines are.
func places(text, lines string) []int {
	var at []int
	for i := 0; i < len(text); {
		if strings.HasPrefix(text[i:], lines) {
			at = append(at, i)
		}
		next := strings.IndexByte(text[i:], '\n')
		if next < 0 {
			break
		}
		i += next + 1
	}
	return at
}

// packages returns the patterns of the packages that it changes, sorted.
func (o overlay) packages() []string {
	var dirs []string
	for file := range o { // order-free: sorted below
		dirs = append(dirs, "./"+filepath.ToSlash(filepath.Dir(file)))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// write puts the sources into dir, and returns the name of the file that go build -overlay takes.
func (o overlay) write(root, dir string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, text := range o { // order-free: a file each
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "__"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(file))] = path
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}
