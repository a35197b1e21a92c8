//go:build unix

package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/cmd/fray/internal/fleet"
	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/internal/children"
)

// hopeless is the exit code of a worker that is not to be started again.
const hopeless = 2

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		os.Exit(beWorker(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "other" && os.Args[2] == "worker" {
		os.Exit(beWorker(os.Args[3:]))
	}
	goleak.VerifyTestMain(m)
}

// beWorker is a worker that says that it is there and waits until it is to leave; "leave", "fail"
// and "deaf" among its arguments are what it does else.
func beWorker(args []string) int {
	leave := make(chan os.Signal, 1)
	signal.Notify(leave, syscall.SIGTERM)
	fmt.Fprintf(os.Stderr, "up %d\n", os.Getpid())
	switch {
	case slices.Contains(args, "leave"):
		return 0
	case slices.Contains(args, "fail"):
		return hopeless
	case slices.Contains(args, "deaf"):
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 1
	}
	<-leave
	return 0
}

// lines passes on what is written, a line at a time.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// pid waits for a line of a worker that is up, and returns its id.
func (l lines) pid(t *testing.T) (worker string, pid int) {
	t.Helper()
	worker, text, ok := strings.Cut(strings.TrimSpace(<-l), ": up ")
	pid, err := strconv.Atoi(text)
	if err != nil || !ok {
		t.Fatalf("%s says %q", worker, text)
	}
	return worker, pid
}

func newFleet(size int, args ...string) (*fleet.Fleet, lines, lines) {
	const room = 100
	output, told := make(lines, room), make(lines, room)
	return &fleet.Fleet{
		Executable: os.Args[0], Environ: os.Environ(), Size: size, Args: args, Output: screen.Shared(output),
		Tell: func(format string, args ...any) { fmt.Fprintf(told, format, args...) }, Hopeless: hopeless,
	}, output, told
}

func TestWorkerThatDiesIsStartedAgain(t *testing.T) { // A process has one set of children.
	f, output, told := newFleet(2)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	first, pid := output.pid(t)
	if second, _ := output.pid(t); first == second {
		t.Errorf("both are %s", first)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if again, later := output.pid(t); again != first || later == pid {
		t.Errorf("%s, process %d, is there after %s, process %d, was killed", again, later, first, pid)
	}
	if text, want := <-told, first+" died (signal: killed), starting it again"; text != want {
		t.Errorf("told %q, want %q", text, want)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left := children.Left(); len(left) > 0 || len(told) > 0 {
		t.Errorf("left %v, and told more: %d", left, len(told))
	}
}

func TestFleetEndsWithItsWorkers(t *testing.T) { // As above.
	for does, want := range map[string]string{
		"leave": "worker-1 has left, as it was told to",
		"fail":  "worker-1 died (exit status 2), and is not started again",
	} {
		f, _, told := newFleet(1, does)
		if err := f.Run(t.Context()); !errors.Is(err, fleet.ErrNoWorkers) {
			t.Errorf("%s: got %v", does, err)
		}
		if text := <-told; text != want {
			t.Errorf("%s: told %q, want %q", does, text, want)
		}
	}
}

// The processes of a fleet can be of another command, with names of their own.
func TestFleetOfAnotherCommand(t *testing.T) { // As above.
	f, output, _ := newFleet(1)
	type start struct {
		id  string
		pid int
	}
	started := make(chan start, 1)
	f.Command, f.Name, f.Started = []string{"other", "worker"}, "bench-x", func(id string, pid int) { started <- start{id, pid} }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	id, pid := output.pid(t)
	if got := <-started; got != (start{id, pid}) || id != "bench-x-1" {
		t.Errorf("started %+v, and %s, process %d, is there", got, id, pid)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestHurryKills(t *testing.T) { // As above.
	f, output, told := newFleet(1, "deaf")
	hurry := make(chan struct{})
	f.Hurry = hurry
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	_, pid := output.pid(t)
	cancel()
	close(hurry)
	if err := <-ended; err != nil || len(told) > 0 {
		t.Errorf("ended with %v and %d words", err, len(told))
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
}
