// Package overlay has goroutines of testing/synctest bubbles follow a seed, on the stock toolchain.
//
// A bubble has its own time, but which of its goroutines runs first, which ready case a select takes,
// how a map is walked and what package rand draws are left to chance. So code that does not keep the
// rules of package sim gives another run each time. The overlay takes these to the seed: copies of some
// files of the standard library with a few anchored edits, which go test lays over the installed ones
// (see go help build, -overlay). The compiler, the linker, -race and cgo stay what they are. Outside of
// bubbles nothing changes but the keys of hashes and the seed of package rand, which are constants.
//
// In a bubble one goroutine runs at a time. The next is drawn from the seed when it parks or ends, and
// at one in four of the places at which it could be overtaken: before it sends, receives, selects,
// locks, starts a goroutine or uses a typed atomic. With seed 0 goroutines run in the order in which
// they became runnable, and give way only where they wait. Waiting for a mutex counts as waiting.
//
// In a simulation a goroutine knows its host, and packages net and os are that host's, see package sim.
//
// What does not follow the seed: system calls, cgo, goroutines outside of the bubble, functions of
// sync/atomic that are no methods, maps with more than eight keys that are pointers, and what a
// program keeps in package variables from one run to the next. A run in which a system call made a goroutine runnable, or
// in which one spun, is counted as not replayable, see package order.
package overlay

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"go/version"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/frayrpc/fray/internal/patch"
)

var (
	//go:embed edits/*.txtar
	edits embed.FS
	//go:embed added/*.go.txt
	added embed.FS
)

// Tag is the build tag of files that are for builds with the overlay.
const Tag = "frayoverlay"

// The versions of Go whose standard library the edits are known to fit.
const (
	oldest = "go1.25"
	newest = "go1.27"
)

// addedFile is the name of the file that a package is given. Its source is added/PACKAGE.go.txt.
const addedFile = "fray.go"

// A Toolchain is an installed Go.
type Toolchain struct {
	Root    string // its GOROOT
	Version string // such as go1.26.8
	// ModCache is the cache of modules, over whose files the go command lays nothing.
	ModCache string
}

// Write writes the overlay of a toolchain beneath dir, unless it is there, and returns the name of the
// file that go test -overlay takes. It refuses a toolchain whose sources are not those that it knows,
// and names the lines that are missing. It may be called by several processes at once.
func Write(t Toolchain, dir string) (string, error) {
	if v := version.Lang(t.Version); version.Compare(v, oldest) < 0 || version.Compare(v, newest) > 0 {
		return "", fmt.Errorf("toolchain %s at %s is not one of %s to %s: use one of these, or a newer fray-sim", t.Version, t.Root, oldest, newest)
	}
	if t.ModCache != "" && strings.HasPrefix(t.Root, t.ModCache+string(filepath.Separator)) {
		return "", fmt.Errorf("toolchain %s is a module at %s, and the go command lays nothing over those: install it from https://go.dev/dl, or copy that directory, and call its bin/go", t.Version, t.Root)
	}
	source := filepath.Join(t.Root, "src")
	files, err := edit(source)
	if err != nil {
		return "", fmt.Errorf("overlay of toolchain %s at %s, whose sources are not those of that version or not known: %w", t.Version, t.Root, err)
	}
	place := filepath.Join(dir, t.Version+"-"+digest(t.Root, files))
	if intact(place, files) {
		return filepath.Join(place, patch.List), nil
	}
	if err := os.MkdirAll(place, 0o755); err != nil {
		return "", err
	}
	return files.Write(source, place)
}

// edit makes all edits to copies of the standard library's sources.
func edit(source string) (patch.Files, error) {
	all, err := allEdits()
	if err != nil {
		return nil, err
	}
	files, err := patch.Apply(source, all)
	if err != nil {
		return nil, err
	}
	sources, err := fs.Glob(added, "added/*.go.txt")
	if err != nil {
		return nil, err
	}
	for _, name := range sources {
		text, err := added.ReadFile(name)
		if err != nil {
			return nil, err
		}
		pkg := strings.ReplaceAll(strings.TrimSuffix(path.Base(name), ".go.txt"), "_", "/")
		file := path.Join(pkg, addedFile)
		if _, err := os.Stat(filepath.Join(source, file)); err == nil {
			return nil, fmt.Errorf("%s is there already", file)
		}
		files[file] = string(text)
	}
	return files, yieldInAtomics(source, files)
}

// allEdits reads the edits, in the order of the names of their files.
func allEdits() ([]patch.Edit, error) {
	names, err := fs.Glob(edits, "edits/*.txtar")
	if err != nil {
		return nil, err
	}
	var all []patch.Edit
	for _, name := range names {
		text, err := edits.ReadFile(name)
		if err != nil {
			return nil, err
		}
		parsed, err := patch.Parse(txtar.Parse(text).Files)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Base(name), err)
		}
		all = append(all, parsed...)
	}
	return all, nil
}

// atomicMethods is where the methods of typed atomics begin, by the file that has them.
var atomicMethods = map[string]*regexp.Regexp{
	"sync/atomic/type.go":  regexp.MustCompile(`(?m)^(func \(x \*.*\{)( .*\})?$`),
	"sync/atomic/value.go": regexp.MustCompile(`(?m)^(func \(v \*Value\) .*\{)()$`),
}

// minAtomics is how many methods each file has at least.
const minAtomics = 4

// yieldInAtomics has each method of a typed atomic begin with a place at which others may run.
func yieldInAtomics(source string, files patch.Files) error {
	for _, name := range slices.Sorted(maps.Keys(atomicMethods)) {
		text, edited := files[name]
		if !edited {
			data, err := os.ReadFile(filepath.Join(source, filepath.FromSlash(name)))
			if err != nil {
				return err
			}
			text = string(data)
		}
		methods := atomicMethods[name]
		if n := len(methods.FindAllString(text, -1)); n < minAtomics {
			return fmt.Errorf("edit %s: it has %d methods that match %s, and not %d or more", name, n, methods, minAtomics)
		}
		files[name] = methods.ReplaceAllString(text, "$1 frayYield();$2")
	}
	return nil
}

// digest stands for an overlay: where it belongs, and what it has.
func digest(root string, files patch.Files) string {
	h := sha256.New()
	fmt.Fprintln(h, root)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %d\n%s", name, len(files[name]), files[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// intact says whether an overlay is there in full.
func intact(place string, files patch.Files) bool {
	if _, err := os.Stat(filepath.Join(place, patch.List)); err != nil {
		return false
	}
	for name, want := range files { // order-free: all or none
		if got, err := os.ReadFile(filepath.Join(place, patch.Name(name))); err != nil || string(got) != want {
			return false
		}
	}
	return true
}
