package pebblestore_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// busyVariable has the process that holds a directory run a script in it, until it is killed.
const busyVariable = "PEBBLESTORE_TEST_BUSY"

func busy(s *pebblestore.Store) int {
	var sc script
	for n := 1; ; n++ {
		if err := s.Commit(sc.batch(n)); err != nil {
			return 1
		}
		fmt.Println(n)
	}
}

// A process that is killed leaves all that it acknowledged.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), holdVariable+"="+dir, busyVariable+"=1")
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	lines, acked := bufio.NewScanner(out), 0
	for lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &acked); err == nil && acked == 500 {
			if err := victim.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = victim.Wait() // It was killed.
	if acked < 500 {
		t.Fatalf("only %d batches were acknowledged", acked)
	}
	var sc script
	s := open(t, pebblestore.Config{Dir: dir})
	defer closeStore(t, s)
	if err := sc.compare(s, acked, acked+1); err != nil {
		t.Error(err)
	}
}
