package examples_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const submitted = `78498 primes below 1000000, counted by 50 tasks on %s
primes failed after attempt 1 of 1: primes to 1125899906842624: number is too large
`

// The three programs work together, each as a reader would start it.
func TestPrograms(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, "./controller", "./worker", "./submit")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := func(kind string, args ...string) {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "submit"), args...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if want := strings.Replace(submitted, "%s", kind, 1); err != nil || string(out) != want {
			t.Errorf("submit %v: %v\n%s\nwant\n%s", args, err, out, want)
		}
	}
	run("threadpool")

	controller, lines := start(ctx, t, filepath.Join(bin, "controller"), "-listen", "127.0.0.1:0")
	if !lines.Scan() {
		t.Fatal("the controller says nothing")
	}
	url, ok := strings.CutPrefix(lines.Text(), "controller listens on ")
	if !ok {
		t.Fatalf("the controller says %q", lines.Text())
	}
	worker, _ := start(ctx, t, filepath.Join(bin, "worker"), "-controller", url)
	run("fray", "-controller", url)
	for _, p := range []*exec.Cmd{worker, controller} {
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := p.Wait(); err != nil {
			t.Errorf("%s: %v", filepath.Base(p.Path), err)
		}
	}
}

func start(ctx context.Context, t *testing.T, program string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(ctx, program, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out)
}
