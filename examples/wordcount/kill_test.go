package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/examples/wordcount/words"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/fraytest"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/fray/worker"
)

// The program of these tests is a controller or a worker where the first of these says so.
const (
	roleVariable = "WORDCOUNT_TEST_ROLE"
	urlVariable  = "WORDCOUNT_TEST_URL" // the controller's, for a worker
	dirVariable  = "WORDCOUNT_TEST_DIR" // the data directory of a controller

	controllerRole = "controller"
	mortalRole     = "mortal" // a worker that dies in its third count
)

const (
	// deadly is which count a mortal worker dies in, and a controller is killed in.
	deadly = 3
	// textBytes are few, so that there are texts enough: 18 or so.
	textBytes = 128 << 10
	// sessionTTL is short, for the tasks of a worker that was killed wait for it.
	sessionTTL = time.Second
	// patience is how long a test waits for what should happen soon.
	patience = time.Minute
)

// play is what the program does in a role, until its standard input ends.
func play(role string) int {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // However it ends, the test is gone.
		cancel()
	}()
	act := map[string]func(context.Context) error{controllerRole: control, mortalRole: workUntilDeath}[role]
	if err := act(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
		return 1
	}
	return 0
}

// control is a controller that lasts, at a port that the test listens on.
func control(ctx context.Context) (err error) {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	records, err := pebblestore.Open(pebblestore.Config{Dir: os.Getenv(dirVariable)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	c, err := controller.New(controller.Config{Store: records, Listener: listener})
	if err != nil {
		return err
	}
	if err := c.Listen(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	return c.Run(ctx)
}

// workUntilDeath is a worker that kills itself.
func workUntilDeath(ctx context.Context) error {
	w, err := worker.New(worker.Config{
		ControllerURL: os.Getenv(urlVariable), ID: mortalRole, Slots: 2, DrainGrace: -1,
		Functions: counting(func(n int64) {
			if n == deadly {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // It is not said when that comes.
			}
		}),
	})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// process is the program of this test in a role.
type process struct {
	*exec.Cmd

	lines *bufio.Scanner // of its standard output
	end   func()         // ends it if it has not been killed
}

// start starts a process, which its caller ends.
func start(t *testing.T, role string, env []string, files ...*os.File) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	own := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "FRAY_") })
	cmd.Env = append(append(own, roleVariable+"="+role), env...)
	cmd.ExtraFiles, cmd.Stderr = files, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(patience, func() { _ = stdin.Close() }) // So that what waits for its end fails.
	p := &process{Cmd: cmd, lines: bufio.NewScanner(stdout)}
	p.end = sync.OnceFunc(func() {
		watchdog.Stop()
		_ = stdin.Close()
		_ = p.Wait() // It may have been waited for.
		if !p.killed() && !p.ProcessState.Success() {
			t.Errorf("%s has ended: %v", role, p.ProcessState)
		}
	})
	return p
}

// killed says whether the process, which has ended, was killed.
func (p *process) killed() bool {
	status, ok := p.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// same compares what tasks have counted with what this goroutine counts.
func same(ctx context.Context, t *testing.T, tree words.Tree, sum *words.Sum) {
	t.Helper()
	got, err := words.Summarize(ctx, sum.Total)
	if err != nil {
		t.Fatal(err)
	}
	counts, err := words.CountAll(tree)
	if err != nil {
		t.Fatal(err)
	}
	if want := counts.Summary(); !got.Equal(want) || got.Words == 0 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if sum.Counts <= 2*deadly || sum.Merges < 3 {
		t.Errorf("%d tasks count and %d add up: these are too few to be hit by a death among them", sum.Counts, sum.Merges)
	}
}

// A worker dies while it counts, and another one does what it has left.
func TestAWorkerIsKilled(t *testing.T) {
	t.Parallel()
	c := fraytest.StartCluster(t, fraytest.Workers(0), fraytest.Controller(func(c *controller.Config) {
		c.Core.SessionTTL = sessionTTL
	}))
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	tree := words.Tree{Dir: os.DirFS(sources), TextBytes: textBytes}
	sum, err := words.Submit(ctx, tree.Texts(ctx))
	if err != nil {
		t.Fatal(err)
	}
	mortal := start(t, mortalRole, []string{urlVariable + "=" + c.URL()})
	t.Cleanup(mortal.end)
	if err := mortal.Wait(); !mortal.killed() {
		t.Fatalf("the worker was not killed: %v", err)
	}
	select {
	case <-sum.Total.Done():
		t.Error("all was counted before the worker died")
	default:
	}
	c.StartWorker("survivor", fraytest.Functions(words.Functions()...))
	same(ctx, t, tree, sum)
}

// The controller dies while texts are put and counted, and goes on where it was with what it has on
// its disk.
func TestTheControllerIsKilled(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // It outlives controllers.
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(file.Close(), listener.Close()); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	var current *process
	begin := func() {
		current = start(t, controllerRole, []string{dirVariable + "=" + dir}, file)
		if !current.lines.Scan() || current.lines.Text() != "ready" {
			t.Fatalf("the controller says %q", current.lines.Text())
		}
	}
	t.Cleanup(func() { // After the worker and the client have left.
		if current != nil {
			current.end()
		}
	})
	begin()
	url := "http://" + listener.Addr().String()
	counts := make(chan struct{})
	ended := make(chan error, 1)
	w, err := worker.New(worker.Config{
		ControllerURL: url, ID: "worker", Slots: 2, DrainGrace: -1,
		Functions: counting(func(n int64) {
			if n == deadly {
				close(counts)
			}
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	working, stop := context.WithCancel(context.Background())
	go func() { ended <- w.Run(working) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	jc, err := fray.NewJobContext(context.Background(), fray.KindFray,
		fray.WithControllerAddress(url), fray.WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := jc.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(fray.NewContext(t.Context(), jc), patience)
	defer cancel()
	tree := words.Tree{Dir: os.DirFS(sources), TextBytes: textBytes}
	sum, err := words.Submit(ctx, func(yield func(fray.Ref[[]byte], error) bool) {
		n := 0
		for text, err := range tree.Texts(ctx) {
			if n++; n == 2*deadly { // Some of the tasks before wait, and some run.
				select {
				case <-counts:
				case <-ctx.Done():
					t.Error("nothing is counted")
				}
				if err := current.Process.Kill(); err != nil {
					t.Error(err)
				}
				if err := current.Wait(); !current.killed() {
					t.Errorf("the controller was not killed: %v", err)
				}
				begin()
			}
			if !yield(text, err) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	same(ctx, t, tree, sum)
}
