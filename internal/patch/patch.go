// Package patch edits sources for one build and leaves them as they are: it makes the edits to copies,
// and lays these over the sources, see go help build, -overlay. An edit is anchored by whole lines,
// which have to be there as often as it says. So an edit of sources that have changed since is refused
// by name, and never made in another place.
//
//	-- FILE: old --
//	// a line that is there
//	-- FILE: new --
//	// another one
package patch

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/tools/txtar"
)

// An Edit replaces some lines of a file by others.
type Edit struct {
	// File is relative to the root of the sources, with slashes.
	File string
	// Old and New are whole lines. Old is there Times times, and all of them are replaced.
	Old, New string
	Times    int
	// Or is what is done where the lines are not there: other versions of the sources have others.
	// Nil: there is nothing else.
	Or *Edit
}

// section is the name of a section: a file, what it has, and how often.
var section = regexp.MustCompile(`^(.+): (old|or old|new)(?:, (\d+) times)?$`)

// Parse reads edits, each of which has two sections: what was, and what will be. A section "FILE: or
// old" begins what is done if the lines of the one before are not there. "FILE: old, 4 times" is for
// lines that are there so often.
func Parse(sections []txtar.File) ([]Edit, error) {
	if len(sections) == 0 || len(sections)%2 != 0 {
		return nil, errors.New("want pairs of sections, FILE: old and FILE: new")
	}
	var edits []Edit
	for pair := range slices.Chunk(sections, 2) {
		was, will := section.FindStringSubmatch(pair[0].Name), section.FindStringSubmatch(pair[1].Name)
		if was == nil || will == nil || was[2] == "new" || will[2] != "new" || was[1] != will[1] {
			return nil, fmt.Errorf("sections %q and %q: want FILE: old and FILE: new", pair[0].Name, pair[1].Name)
		}
		e := Edit{File: was[1], Old: string(pair[0].Data), New: string(pair[1].Data), Times: 1}
		if was[3] != "" {
			e.Times, _ = strconv.Atoi(was[3]) // Digits; too many of them are there 0 times.
		}
		if e.Old == "" || e.Old == e.New {
			return nil, fmt.Errorf("section %q: want lines that the edit replaces", pair[0].Name)
		}
		switch {
		case was[2] == "old":
			edits = append(edits, e)
		case len(edits) == 0:
			return nil, fmt.Errorf("section %q: want what it is the alternative of before it", pair[0].Name)
		default:
			last := &edits[len(edits)-1]
			for last.Or != nil {
				last = last.Or
			}
			last.Or = &e
		}
	}
	return edits, nil
}

// Files are the texts of the files that were edited, by their names relative to the root.
type Files map[string]string

// Apply makes edits to copies of the sources beneath a root, in their order. It returns all that is
// wrong.
func Apply(root string, edits []Edit) (Files, error) {
	files := Files{}
	var errs []error
	for _, e := range edits {
		if err := files.apply(root, e); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return files, nil
}

func (f Files) apply(root string, e Edit) error {
	text, known := f[e.File]
	if !known {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
		if err != nil && e.Or != nil {
			return f.apply(root, *e.Or)
		}
		if err != nil {
			return fmt.Errorf("edit: %w", err)
		}
		text = string(data)
	}
	at := places(text, e.Old)
	switch {
	case len(at) == e.Times:
	case e.Or != nil:
		return f.apply(root, *e.Or)
	case e.Times == 1:
		return fmt.Errorf("edit %s: these lines are there %d times, and not once:\n%s", e.File, len(at), e.Old)
	default:
		return fmt.Errorf("edit %s: these lines are there %d times, and not %d:\n%s", e.File, len(at), e.Times, e.Old)
	}
	for _, i := range slices.Backward(at) {
		text = text[:i] + e.New + text[i+len(e.Old):]
	}
	f[e.File] = text
	return nil
}

// places returns where in a text some whole lines are.
func places(text, lines string) []int {
	var at []int
	for i := 0; i < len(text); {
		if strings.HasPrefix(text[i:], lines) {
			at = append(at, i)
			i += len(lines)
			continue
		}
		next := strings.IndexByte(text[i:], '\n')
		if next < 0 {
			break
		}
		i += next + 1
	}
	return at
}

// Packages returns the patterns of the packages that the files are of, sorted.
func (f Files) Packages() []string {
	var dirs []string
	for file := range f { // order-free: sorted below
		dirs = append(dirs, "./"+filepath.ToSlash(filepath.Dir(file)))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// Write puts the files into dir, which is there, each in full or not at all, and last the file that go
// build -overlay takes, whose name it returns.
func (f Files) Write(root, dir string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, file := range slices.Sorted(maps.Keys(f)) {
		path := filepath.Join(dir, Name(file))
		if err := renameio.WriteFile(path, []byte(f[file]), 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(file))] = path
	}
	list, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", "\t")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, List)
	return path, renameio.WriteFile(path, list, 0o644)
}

// List is the name of the file that go build -overlay takes.
const List = "overlay.json"

// Name returns the name that the copy of a file has.
func Name(file string) string { return strings.ReplaceAll(file, "/", "__") }
