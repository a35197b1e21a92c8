package examples_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
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
	worker, _ := start(ctx, t, filepath.Join(bin, "worker"), "--controller", url)
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

// The fray command injects faults into a service that is not Fray's.
func TestFaultService(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", dir, "./faulted", "../cmd/fray").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	service, lines := start(ctx, t, filepath.Join(dir, "faulted"), "-listen", "127.0.0.1:0")
	lines.Scan()
	url, ok := strings.CutPrefix(lines.Text(), "listening on ")
	if !ok {
		t.Fatalf("the service says %q", lines.Text())
	}
	plan := filepath.Join(dir, "down.txt")
	if err := os.WriteFile(plan, []byte("down: error(unavailable, \"maintenance\") procedure=/grpc.health.v1.Health/Check nth=2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fray := func(args ...string) string {
		out, err := exec.CommandContext(ctx, filepath.Join(dir, "fray"), append(args, "--controller", url)...).CombinedOutput()
		if err != nil {
			t.Errorf("fray %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := fray("faults", "apply", plan, "--ttl", "30s"); got != "1 rule in force for 30s\n" {
		t.Errorf("got %q", got)
	}
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, want := range []string{`{"status":"SERVING_STATUS_SERVING"}`, `{"code":"unavailable","message":"maintenance"`, `{"status":"SERVING_STATUS_SERVING"}`} {
		res, err := client.Post(url+"/grpc.health.v1.Health/Check", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || !strings.HasPrefix(strings.ReplaceAll(string(got), " ", ""), want) {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	if got := fray("faults", "show"); !strings.Contains(got, "nth=2  3        1") {
		t.Errorf("got %q, want that it met three calls and acted on one", got)
	}
	fray("faults", "clear")
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := service.Wait(); err != nil {
		t.Errorf("faulted: %v", err)
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
