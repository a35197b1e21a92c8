//go:build unix

package execfn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

// inTask runs a command as a task of a job context whose workers run commands as cfg has it.
func inTask(t *testing.T, cfg execfn.Config, c execfn.Command, options ...fray.CallOption) (context.Context, execfn.Result, error) {
	t.Helper()
	job, err := fray.NewJobContext(context.Background(), fray.KindThreadPool, fray.WithWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := job.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := fray.NewContext(t.Context(), job)
	result, err := execfn.New(cfg).Call(ctx, c, options...)
	return ctx, result, err
}

// stored reads an output from its object.
func stored(ctx context.Context, t *testing.T, more *execfn.More) string {
	t.Helper()
	if more == nil || more.Object == nil {
		t.Fatalf("there is no object: %+v", more)
	}
	r, err := more.Object.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // It was only read.
	data, err := io.ReadAll(r)
	if err != nil || int64(len(data)) != more.Bytes+execfn.ObjectHeaderBytes {
		t.Fatalf("the object has %d bytes, %v, and the output %d", len(data), err, more.Bytes)
	}
	return string(data[execfn.ObjectHeaderBytes:])
}

// Outputs that are longer than a result takes are all there, as objects; short ones are in the result.
func TestLongOutputsBecomeObjects(t *testing.T) {
	t.Parallel()
	ctx, result, err := inTask(t, execfn.Config{}, execfn.Command{
		Argv: sh("head -c 30000000 /dev/zero; echo end; head -c 9000000 /dev/zero >&2; echo why >&2; exit 3"), OutputObjects: true, AllowNonzero: true,
	})
	if err != nil || result.ExitCode != 3 || result.StdoutTruncated || result.StderrTruncated {
		t.Fatalf("got %v, %+v", err, result)
	}
	if got := stored(ctx, t, result.StdoutMore); got != strings.Repeat("\x00", 30_000_000)+"end\n" {
		t.Errorf("the output has %d bytes", len(got))
	}
	if got := stored(ctx, t, result.StderrMore); got != strings.Repeat("\x00", 9_000_000)+"why\n" || !strings.HasSuffix(string(result.StderrMore.Tail), "\x00why\n") {
		t.Errorf("the error output has %d bytes", len(got))
	}
	_, result, err = inTask(t, execfn.Config{}, execfn.Command{Argv: sh("echo short"), OutputObjects: true})
	if err != nil || string(result.Stdout) != "short\n" || result.StdoutMore != nil {
		t.Errorf("got %v, %+v", err, result)
	}
}

// Two commands that print the same have objects of their own: who has done with one takes nothing from the other.
func TestEqualOutputsAreDifferentObjects(t *testing.T) {
	t.Parallel()
	job, err := fray.NewJobContext(context.Background(), fray.KindThreadPool, fray.WithWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := job.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx := fray.NewContext(t.Context(), job)
	run := func() *execfn.More {
		result, err := execfn.Task.Call(ctx, execfn.Command{Argv: sh("head -c 200000 /dev/zero"), OutputObjects: true})
		if err != nil {
			t.Fatal(err)
		}
		return result.StdoutMore
	}
	a, b := run(), run()
	if err := a.Object.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if got := stored(ctx, t, b); len(got) != 200_000 {
		t.Errorf("%d bytes are left", len(got))
	}
}

// What a command had printed that runs past its timeout is there, and it does not outlive its attempt.
func TestTimeoutKeepsLongOutput(t *testing.T) {
	t.Parallel()
	ctx, _, err := inTask(t, execfn.Config{}, execfn.Command{
		Argv: sh("head -c 100000 /dev/zero; exec sleep 1000"), OutputObjects: true, Account: true,
	}, fray.WithExecutionTimeout(time.Second))
	result, ok := execfn.OutputOf(err)
	if !ok || result.ExitCode != -1 || result.Account == nil || result.Account.Signal == 0 {
		t.Fatalf("got %v, %+v", err, result)
	}
	if got := stored(ctx, t, result.StdoutMore); len(got) != 100_000 {
		t.Errorf("%d bytes are left", len(got))
	}
}

// An object that cannot be stored fails the command, and does not hang it.
func TestObjectsWithoutRoom(t *testing.T) {
	t.Parallel()
	job, err := fray.NewJobContext(context.Background(), fray.KindThreadPool, fray.WithWorkers(1), fray.WithMaxObjectBytes(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := job.Close(); err != nil {
			t.Error(err)
		}
	}()
	_, err = execfn.Task.Call(fray.NewContext(t.Context(), job), execfn.Command{Argv: sh("head -c 9000000 /dev/zero"), OutputObjects: true}, fray.WithExecutionTimeout(3*time.Second))
	if err == nil {
		t.Error("an output of 9 MB is stored in 1 MiB")
	}
}

// Slots have numbers from the first one on, and no two commands that run have the same.
func TestSlotNumbers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	job, err := fray.NewJobContext(context.Background(), fray.KindThreadPool, fray.WithWorkers(3))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := job.Close(); err != nil {
			t.Error(err)
		}
	}()
	task := execfn.New(execfn.Config{FirstSlot: 5})
	ctx := fray.NewContext(t.Context(), job)
	var got []string
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			result, err := task.Call(ctx, execfn.Command{
				Argv: sh("echo x >>all; while test $(wc -l <all) -lt 3; do sleep 0.01; done; echo SLOT-SLOT {%}"), Dir: dir, SlotMark: "SLOT", Account: true,
			})
			mu.Lock()
			defer mu.Unlock()
			got = append(got, string(result.Stdout))
			if err != nil || result.Account == nil || !strings.HasPrefix(string(result.Stdout), fmt.Sprint(result.Account.Slot)) || result.Account.StartMicros == 0 || result.Account.Signal != 0 {
				t.Errorf("got %v, %+v", err, result.Account)
			}
		})
	}
	all.Wait()
	slices.Sort(got)
	if want := []string{"5-5 {%}\n", "6-6 {%}\n", "7-7 {%}\n"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	result, err := task.Call(ctx, execfn.Command{Argv: []string{"echo", "SLOT"}, SlotMark: "SLOT"})
	if err != nil || string(result.Stdout) != "5\n" || result.Account != nil {
		t.Errorf("a slot that is free again: %+v, %v", result, err)
	}
}

// Input comes from a file of the directory that the worker shares with its client, and from nowhere else.
func TestInputFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shared := filepath.Join(dir, "shared")
	const folderMode, fileMode = 0o700, 0o600
	if err := errors.Join(os.Mkdir(shared, folderMode), os.WriteFile(filepath.Join(shared, "in"), []byte("input"), fileMode),
		os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), fileMode), os.Symlink("../secret", filepath.Join(shared, "link"))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"in": "input", "../secret": "", "link": "", "/etc/passwd": "", "no": ""} {
		result, err := invokeWith(t.Context(), t, execfn.Config{OutputDir: shared}, execfn.Command{Argv: []string{"cat"}, StdinFile: name})
		if string(result.Stdout) != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", name, result.Stdout, err)
		}
	}
	if _, err := invoke(t.Context(), t, execfn.Command{Argv: []string{"cat"}, StdinFile: "in"}); err == nil {
		t.Error("a worker that shares no directory opens a file")
	}
	if _, err := invokeWith(t.Context(), t, execfn.Config{OutputDir: shared}, execfn.Command{Argv: []string{"cat"}, StdinFile: "in", Stdin: []byte("x")}); err == nil {
		t.Error("a command has two inputs")
	}
}

// Live outputs are in their files before the program ends.
func TestLiveOutputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, result, err := inTask(t, execfn.Config{OutputDir: dir}, execfn.Command{
		Argv: sh("printf a; until grep -qs a */1.out; do sleep 0.01; done; printf b"), Dir: dir, Live: true,
	})
	if err != nil || result.StdoutMore == nil || result.StdoutMore.Bytes != 2 || result.StderrMore != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}
