package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/frayrpc/fray/internal/patch"
)

// switchboard is what each package with mutants gets. One program has all of them, and
// FRAY_MUTANT says which it is: so there is one build and not hundreds. With FRAY_MUTANT_REACHED
// it appends to that file the number of each mutant whose place it comes to.
const switchboard = `package %s

import (
	"os"
	"strconv"
	"sync/atomic"
)

var (
	mutantActive, _  = strconv.Atoi(os.Getenv("FRAY_MUTANT"))
	mutantReachedLog = os.Getenv("FRAY_MUTANT_REACHED")
	mutantReached    [%d]atomic.Bool
)

func mutantOn(n int) bool {
	if mutantReachedLog != "" && mutantReached[n].CompareAndSwap(false, true) {
		if f, err := os.OpenFile(mutantReachedLog, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			f.WriteString(strconv.Itoa(n) + "\n")
			f.Close()
		}
	}
	return n == mutantActive
}

func mutantSees(n int, is bool) bool {
	if is {
		mutantOn(n)
	}
	return is
}

func mutantPick[T any](n int, usual, other T) T {
	if mutantOn(n) {
		return other
	}
	return usual
}
`

// weave returns the sources with all of the mutants in them, each asleep.
func weave(root string, pkgs []*packages.Package, mutants []*mutant) (patch.Files, error) {
	files := patch.Files{}
	byFile, last := map[string][]*mutant{}, 0
	for _, m := range mutants {
		last = max(last, m.n)
		byFile[m.file] = append(byFile[m.file], m)
	}
	names := map[string]string{}
	for _, p := range pkgs {
		for _, path := range p.GoFiles {
			if file, err := relative(root, path); err == nil {
				names[file] = p.Name
			}
		}
	}
	for file, of := range byFile { // order-free: a map of files
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			return nil, err
		}
		files[file] = string(interleave(source, of))
		files[filepath.ToSlash(filepath.Join(filepath.Dir(file), "zz_mutants.go"))] = fmt.Sprintf(switchboard, names[file], last+1)
	}
	return files, nil
}

// relative returns the name of a file relative to the root, with slashes.
func relative(root, path string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	file, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(file) {
		return "", fmt.Errorf("file %s is not beneath %s: name the root of the module", path, root)
	}
	return filepath.ToSlash(file), nil
}

// interleave puts the texts of all edits into a source. What an edit is around may have others in
// it.
func interleave(source []byte, mutants []*mutant) []byte {
	type insertion struct {
		at   int
		rank int // among those at one place
		text string
	}
	type span struct {
		edit
		n int
	}
	var spans []span
	for _, m := range mutants {
		for _, e := range m.edits {
			spans = append(spans, span{e, m.n})
		}
	}
	// Outer ones first.
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to))
	})
	var all []insertion
	for i, s := range spans {
		n := strconv.Itoa(s.n)
		// Where one ends, others that began after it have ended already, and then others begin.
		all = append(all,
			insertion{s.from, len(spans) + i, strings.ReplaceAll(s.before, number, n)},
			insertion{s.to, len(spans) - 1 - i, strings.ReplaceAll(s.after, number, n)})
	}
	slices.SortStableFunc(all, func(a, b insertion) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.rank, b.rank)) })
	var out []byte
	last := 0
	for _, in := range all {
		out = append(append(out, source[last:in.at]...), in.text...)
		last = in.at
	}
	return append(out, source[last:]...)
}
