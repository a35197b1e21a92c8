package pebblestore_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// holdVariable has this test binary hold a directory until its standard input ends.
const holdVariable = "PEBBLESTORE_TEST_HOLD"

var heldKey = store.Key{Kind: store.Result, Num: 1}

func hold(dir string) int {
	s, err := pebblestore.Open(pebblestore.Config{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var b store.Batch
	b.Set(heldKey, []byte("held"))
	if err := s.Commit(&b); err != nil {
		return 1
	}
	fmt.Println("held")
	if os.Getenv(busyVariable) != "" {
		return busy(s)
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	if s.Close() != nil {
		return 1
	}
	return 0
}

// holdOnce has another process open a directory and let go of it at once, and returns how it ended
// and what it said.
func holdOnce(t *testing.T, dir string) (code int, said string) {
	t.Helper()
	holder := exec.CommandContext(t.Context(), os.Args[0])
	holder.Env = append(os.Environ(), holdVariable+"="+dir)
	out, err := holder.CombinedOutput()
	if holder.ProcessState == nil {
		t.Fatal(err)
	}
	return holder.ProcessState.ExitCode(), string(out)
}

func wantHeld(t *testing.T, dir, want string) {
	t.Helper()
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{false, true} {
		before := contents(t, resolved)
		_, err := pebblestore.Open(pebblestore.Config{Dir: dir, ReadOnly: readOnly})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("open with ReadOnly %v: %v, want an error with %q", readOnly, err, want)
		}
		if after := contents(t, resolved); after != before {
			t.Errorf("the attempt changed the directory from\n%s\nto\n%s", before, after)
		}
	}
}

func TestHeldByAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new") // In which the holder has nothing to clean up.
	holder := exec.CommandContext(t.Context(), os.Args[0])
	holder.Env = append(os.Environ(), holdVariable+"="+dir)
	holder.Stderr = os.Stderr
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	wantHeld(t, dir, fmt.Sprintf("it is in use by another process (pid %d)", holder.Process.Pid))
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := holder.Wait(); err != nil {
		t.Fatal(err)
	}
	s := open(t, pebblestore.Config{Dir: dir})
	defer closeStore(t, s)
	if _, err := s.Get(heldKey); err != nil {
		t.Error(err)
	}
}

func TestHeldByThisProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	s := open(t, pebblestore.Config{Dir: dir})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, link} {
		wantHeld(t, path, "it is in use by this process already")
	}
	closeStore(t, s)
	closeStore(t, open(t, pebblestore.Config{Dir: link}))
}
