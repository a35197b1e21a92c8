//go:build unix

package maprun

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

// Lines are printed once they are whole, those of an attempt before with what it left of a line, and the rest
// at the end, each byte once.
func TestLinesAreFollowed(t *testing.T) {
	t.Parallel()
	for _, tag := range []bool{false, true} {
		followLines(t, tag)
	}
}

func followLines(t *testing.T, tag bool) {
	t.Helper()
	s, err := NewSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // The test's directory goes with the test.
	var out, errs strings.Builder
	m := &run{Config: Config{Spool: s, Tag: tag, Live: true, Screen: screen.New(&out, &errs, false)}, open: map[string]*item{}}
	m.life = t.Context()
	it := &item{name: "x", taskID: "task"}
	m.open["task"] = it
	const folderMode, fileMode = 0o700, 0o600
	if err := os.MkdirAll(filepath.Join(s.path, "task"), folderMode); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		file, err := os.OpenFile(filepath.Join(s.path, "task", name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, fileMode)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string) {
		t.Helper()
		if err := m.followAll(); err != nil {
			t.Fatal(err)
		}
		if tag {
			var tagged strings.Builder
			for line := range strings.Lines(want) {
				tagged.WriteString("x\t" + line)
			}
			want = tagged.String()
		}
		if got := out.String(); got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
	}
	check("")
	write("1.out", "a\nb")
	check("a\n")
	write("1.out", "c")
	check("a\n")
	write("1.out", "\nd")
	check("a\nbc\n")
	if err := os.Remove(filepath.Join(s.path, "task", "1.out")); err != nil { // as a new attempt does
		t.Fatal(err)
	}
	write("2.out", "e\nf")
	check("a\nbc\nd\ne\n")
	long := strings.Repeat("y", maxLineHeld+1)
	write("2.out", "g\n"+long)
	check("a\nbc\nd\ne\nfg\n")
	for range 10 {
		check("a\nbc\nd\ne\nfg\n")
	}
	write("2.out", "\n")
	it.stdout.more = &execfn.More{Bytes: int64(len("e\nfg\n") + len(long) + 1), File: "task/2.out"}
	if err := m.printOutputs(it); err != nil {
		t.Fatal(err)
	}
	check("a\nbc\nd\ne\nfg\n" + long + "\n")
}

func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		p := pace{each: time.Second}
		for range 3 {
			if err := p.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(begin); d != 2*time.Second {
			t.Errorf("three begin within %v", d)
		}
		time.Sleep(5 * time.Second)
		begin = time.Now()
		if err := p.wait(t.Context()); err != nil || time.Since(begin) > 0 {
			t.Errorf("one that is late waits: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if p.wait(ctx) == nil {
			t.Error("it goes on after the end")
		}
	})
}
