package execfn_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

func newCgroup(t *testing.T) *execfn.Cgroup {
	t.Helper()
	c, err := execfn.NewCgroup(nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Skip("this machine lets the tests make no control groups: ", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// What had left the program's session and outputs, and lost its parent, outlived the command.
func TestWhatACommandStartedEndsWithIt(t *testing.T) {
	t.Parallel()
	// A daemon: its parent is gone, its session is its own, and it holds no output.
	const daemon = `setsid sh -c 'trap "" TERM; (sleep 1000 & echo $! >"$F.new"; mv "$F.new" "$F"; wait) </dev/null >/dev/null 2>&1 &'; `
	for name, tt := range map[string]struct {
		then string
		stop bool
	}{
		"it ends by itself": {`until test -e "$F"; do sleep 0.01; done`, false},
		"it is stopped":     {`exec sleep 1000`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := execfn.Config{Cgroup: newCgroup(t)}
			file := filepath.Join(t.TempDir(), "pid")
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			ended := make(chan error, 1)
			go func() {
				_, err := invokeWith(ctx, t, cfg, execfn.Command{Argv: sh(daemon + tt.then), Env: []string{"F=" + file}})
				ended <- err
			}()
			pid := awaitPID(t, file)
			if tt.stop {
				stop(errStop)
			}
			if err := <-ended; (err != nil) != tt.stop || err != nil && !errors.Is(err, errStop) {
				t.Errorf("error %v", err)
			}
			awaitEnd(t, pid)
		})
	}
}

func TestCommandIsInItsControlGroup(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]execfn.Config{
		"alone":       {},
		"with limits": {Limits: newLimits(t, "files=50")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Cgroup = newCgroup(t)
			if err := cfg.Check(); err != nil {
				t.Fatal(err)
			}
			var places []string
			for range 2 {
				got, err := invokeWith(t.Context(), t, cfg, execfn.Command{Argv: sh("grep ^0:: /proc/self/cgroup")})
				if err != nil || !strings.Contains(string(got.Stdout), "/fray-exec-") {
					t.Fatalf("got %q, %v", got.Stdout, err)
				}
				places = append(places, string(got.Stdout))
			}
			if places[0] == places[1] {
				t.Errorf("two commands are in %s", places[0])
			}
			if _, err := invokeWith(t.Context(), t, cfg, execfn.Command{Argv: []string{"/nosuch"}}); err == nil {
				t.Error("/nosuch runs")
			}
		})
	}
}

// A worker that was killed left what its commands had started running, in groups that nothing
// removed.
func TestLeftoversOfAWorkerAreRemoved(t *testing.T) {
	t.Parallel()
	lives := newCgroup(t)
	file := filepath.Join(t.TempDir(), "pid")
	worker := exec.Command("/proc/self/exe")
	worker.Env = append(os.Environ(), askedScript+"="+
		`setsid sh -c 'sleep 1000 & grep ^0:: /proc/self/cgroup >"`+file+`.place"; echo $! >"`+file+`"' </dev/null >/dev/null 2>&1; exec sleep 1000`)
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	pid := awaitPID(t, file)
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = worker.Wait() // it was killed
	newCgroup(t)
	awaitEnd(t, pid)
	place, err := os.ReadFile(file + ".place")
	if err != nil {
		t.Fatal(err)
	}
	own := cgroupDir(t, lives)
	left := filepath.Join(filepath.Dir(own), filepath.Base(filepath.Dir(strings.TrimSpace(string(place)))))
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group of the worker that was killed: %v", err)
	}
	if _, err := os.Stat(own); err != nil {
		t.Errorf("the group of a worker that lives: %v", err)
	}
}

// cgroupDir returns where c has its groups, by what a command sees.
func cgroupDir(t *testing.T, c *execfn.Cgroup) string {
	t.Helper()
	got, err := invokeWith(t.Context(), t, execfn.Config{Cgroup: c}, execfn.Command{
		Argv: sh(`findmnt -n -o TARGET -t cgroup2 | head -1; grep ^0:: /proc/self/cgroup`),
	})
	root, place, ok := strings.Cut(string(got.Stdout), "\n0::")
	if err != nil || !ok || root == "" {
		t.Skipf("it cannot be seen where the groups are: %q, %v", got.Stdout, err)
	}
	return filepath.Dir(filepath.Join(root, strings.TrimSpace(place)))
}

// Where the kernel's controllers cannot be had, the limits hold for each process all the same, and
// the log says so.
func TestControlGroupWithoutControllersIsTold(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c, err := execfn.NewCgroup(newLimits(t, "memory=1GiB"), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Skip("this machine lets the tests make no control groups: ", err)
	}
	dir := cgroupDir(t, c)
	has := false
	if list, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control")); err == nil {
		has = strings.Contains(string(list), "memory")
	}
	if told := strings.Contains(log.String(), "but not all together"); told == has {
		t.Errorf("there is a controller for memory: %t; the log is %q", has, log.String())
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group of a worker that has ended: %v", err)
	}
}
