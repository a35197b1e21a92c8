//go:build unix

package maprun

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

// A worker's word names a file of the spool and of its task, and nothing else.
func TestSpoolOpensNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := NewSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("left %v, %v", left, err)
		}
	}()
	write := func(path string) {
		const ownerOnly = 0o600
		if err := os.WriteFile(path, []byte("secret"), ownerOnly); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "secret"))
	more, err := s.save("task", "1.out", []byte("output"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.save("other", "1.out", []byte("output")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(s.path, "task", "2.out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.path, "task", "3.out"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{
		"", "/", "task/", "../secret", "task/../../secret", filepath.Join(dir, "secret"), "/etc/passwd", "other/1.out", "lock", "task/2.out",
		"task/3.out", "task//1.out", "./task/1.out", "task/1.out/", "task/9.out", "task/1.out\x00", "task/x1.out",
	} {
		if f, err := s.open("task", &execfn.More{Bytes: 6, File: file}); err == nil {
			t.Errorf("opened %q: %s", file, f.Name())
		}
	}
	if _, err := s.open("task", &execfn.More{Bytes: 7, File: more.File}); err == nil {
		t.Error("opened a file that is cut")
	}
	var text strings.Builder
	if err := (&output{more: more}).copyTo(t.Context(), &text, s, "task", 0); err != nil || text.String() != "output" {
		t.Errorf("got %q, %v", text.String(), err)
	}
	if end := (&output{more: more}).end(3, s, "task"); string(end) != "put" {
		t.Errorf("the end is %q", end)
	}
	if err := s.drop("task"); err != nil {
		t.Error(err)
	}
	if _, err := s.open("task", more); err == nil {
		t.Error("opened what was dropped")
	}
}
