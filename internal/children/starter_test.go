//go:build linux

package children_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/internal/children"
)

// parentKey in the environment makes this program a parent that starts a child, says which, and
// waits for it.
const parentKey = "FRAY_TEST_PARENT"

func beParent() int {
	s := children.NewStarter(syscall.SIGKILL)
	defer s.Close()
	cmd := exec.Command("sleep", "1000") // the kernel ends it
	child, err := s.Start(cmd)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(cmd.Process.Pid)
	_ = child.Wait() // it is to be killed, after this process
	return 1
}

// said collects what a process writes, and closes heard with the first line.
type said struct {
	heard chan struct{}
	once  sync.Once
	text  strings.Builder // to be read when the process is gone
}

func (s *said) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.heard) })
	return s.text.Write(p)
}

// startScript starts a script and waits for its first line.
func startScript(t *testing.T, s *children.Starter, script string) (*children.Child, *said) {
	t.Helper()
	out := &said{heard: make(chan struct{})}
	cmd := exec.Command("sh", "-c", script) // The test waits for its end.
	cmd.Stdout = out
	c, err := s.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-out.heard:
	case <-c.Gone():
		t.Fatalf("the script has ended: %v", c.Wait())
	}
	return c, out
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("wait: %v", err)
	}
	return exit.ExitCode()
}

const (
	polite = `trap "exit 3" TERM; sleep 1000 & echo; wait`
	deaf   = `trap "" TERM; sleep 1000 & echo; wait`
)

func TestStop(t *testing.T) { // A process has one set of children.
	s := children.NewStarter(syscall.SIGKILL)
	defer s.Close()
	hurry := make(chan struct{})
	close(hurry)
	for _, tt := range []struct {
		name, script string
		paused       bool
		grace        time.Duration
		hurry        chan struct{}
		code         int
		late         bool
	}{
		{name: "polite", script: polite, grace: time.Hour, code: 3},
		{name: "polite, and stands still", script: polite, paused: true, grace: time.Hour, code: 3},
		{name: "deaf", script: deaf, grace: time.Millisecond, code: -1, late: true},
		{name: "deaf, in a hurry", script: deaf, grace: time.Hour, hurry: hurry, code: -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startScript(t, s, tt.script)
			if tt.paused {
				if err := c.Signal(syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			if len(children.Left()) != 1 || !c.Running() {
				t.Errorf("of one that runs: %v", children.Left())
			}
			late := false
			err := c.Stop(tt.grace, tt.hurry, func() { late = true })
			if code := exitCode(t, err); code != tt.code || late != tt.late {
				t.Errorf("exit code %d, late: %v; want %d, %v", code, late, tt.code, tt.late)
			}
			if len(children.Left()) != 0 || c.Running() {
				t.Errorf("of one that has ended: %v", children.Left())
			}
		})
	}
}

func TestKill(t *testing.T) { // As above.
	s := children.NewStarter(syscall.SIGKILL)
	defer s.Close()
	c, out := startScript(t, s, `echo; cat; echo end`)
	if err := c.Kill(); exitCode(t, err) != -1 {
		t.Errorf("killed, it ends with %v", err)
	}
	if out.text.String() != "\n" {
		t.Errorf("its input had ended before: %q", out.text.String())
	}
}

func TestChildDiesWithItsParent(t *testing.T) { // As above.
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), parentKey+"=1")
	out := &said{heard: make(chan struct{})}
	parent.Stdout = out
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	<-out.heard
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	pid, err := strconv.Atoi(strings.TrimSpace(out.text.String()))
	if err != nil {
		t.Fatal(err)
	}
	for {
		if p, ok := children.Lookup(pid); !ok || p.Zombie {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatalf("process %d lives on", pid)
		}
	}
}

func TestStartTellsWhatFails(t *testing.T) { // As above.
	s := children.NewStarter(syscall.SIGKILL)
	defer s.Close()
	if _, err := s.Start(exec.Command("/nonexistent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
