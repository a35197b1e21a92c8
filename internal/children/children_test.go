//go:build linux

package children_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/internal/children"
)

func TestMain(m *testing.M) {
	if os.Getenv(parentKey) != "" {
		os.Exit(beParent())
	}
	goleak.VerifyTestMain(m)
}

// run runs a script, and returns its output and exit code. It fails the test if the exit status is
// lost.
func run(t *testing.T, script string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := children.Start(cmd); err != nil {
		t.Fatal(err)
	}
	err := children.Wait(cmd)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("wait: %v", err)
	}
	return stdout.String(), cmd.ProcessState.ExitCode()
}

// awaitGone waits until a process is collected.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	for {
		p, ok := children.Lookup(pid)
		if !ok || p.Parent != os.Getpid() {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatalf("process %d stays: %+v", pid, p)
		}
	}
}

func TestOrphansAreCollectedAndOthersAreNot(t *testing.T) { // A process has one set of children.
	release := children.Adopt()
	defer release()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 12 {
				want := (i + j) % 100
				out, code := run(t, "(sleep 0.01 & echo $!) & wait; exit "+strconv.Itoa(want))
				if code != want {
					t.Errorf("exit code %d, want %d", code, want)
				}
				pid, err := strconv.Atoi(strings.TrimSpace(out))
				if err != nil {
					t.Error(err)
					return
				}
				awaitGone(t, pid)
			}
		})
	}
	wg.Wait()
}

func TestOrphansAreKilled(t *testing.T) { // As above.
	release := children.Adopt()
	defer release()
	stays := exec.CommandContext(t.Context(), "cat")
	stdin, err := stays.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := children.Start(stays); err != nil {
		t.Fatal(err)
	}
	out, _ := run(t, `(setsid sh -c "sleep 1000 & sleep 1001" >/dev/null & echo $!) & wait`)
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	children.KillOrphans()
	awaitGone(t, pid)
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := children.Wait(stays); err != nil {
		t.Errorf("what was started is killed, too: %v", err)
	}
}
