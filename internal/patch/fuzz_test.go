package patch_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/frayrpc/fray/internal/patch"
)

// Edits are refused, or replace whole lines as often as they say and nothing else.
func FuzzApply(f *testing.F) {
	for _, edits := range []string{
		"-- a.go: old --\nb\n-- a.go: new --\nc\n", "-- a.go: old, 2 times --\na\n-- a.go: new --\n", "-- a.go: old --\nx\n-- a.go: new --\n-- a.go: or old --\nb\n-- a.go: new --\ny\n",
		"-- a.go: old --\n-- a.go: new --\n", "-- a.go: new --\n", "-- a.go: or old --\nb\n-- a.go: new --\nc\n", "-- a.go: old, 99999999999999999999 times --\na\n-- a.go: new --\nb\n",
		"-- a.go: old --\na\nb\n-- a.go: new --\nb\na\n-- a.go: old --\nb\na\n-- a.go: new --\nx\n",
	} {
		f.Add(edits, "a\nb\na\n")
	}
	f.Fuzz(func(t *testing.T, sections, text string) {
		edits, err := patch.Parse(txtar.Parse([]byte(sections)).Files)
		if err != nil {
			return
		}
		root := t.TempDir()
		if err := os.WriteFile(filepath.Join(root, "a.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for i := range edits {
			for e := &edits[i]; e != nil; e = e.Or {
				if e.File != "a.go" {
					return
				}
			}
		}
		files, err := patch.Apply(root, edits)
		if err != nil || len(edits) != 1 || edits[0].Or != nil {
			return
		}
		e := edits[0]
		if got := files["a.go"]; len(got)-len(text) != e.Times*(len(e.New)-len(e.Old)) || strings.Count(text, e.Old) < e.Times {
			t.Errorf("%q becomes %q by %+v", text, got, e)
		}
	})
}
