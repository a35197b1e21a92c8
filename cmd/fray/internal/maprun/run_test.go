//go:build unix

package maprun_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/cmd/fray/internal/fleet"
	"github.com/frayrpc/fray/cmd/fray/internal/mapplan"
	"github.com/frayrpc/fray/cmd/fray/internal/maprun"
	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/fray"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// printed are the outputs of a run.
type printed struct{ stdout, stderr strings.Builder }

// newConfig is a run of a script, in a directory of its own, on workers in this process.
func newConfig(t *testing.T, out *printed, script string, inputs ...string) maprun.Config {
	t.Helper()
	dir := t.TempDir()
	spool, err := maprun.NewSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	const workers = 4
	job, err := fray.NewJobContext(context.Background(), fray.KindThreadPool, fray.WithWorkers(workers))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(job.Close(), spool.Close()); err != nil {
			t.Error(err)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "fray-map-*")); err != nil || len(left) > 0 {
			t.Errorf("left %v, %v", left, err)
		}
	})
	return maprun.Config{
		Template: mapplan.ParseTemplate([]string{"sh", "-c", script, "sh"}, ""), Dir: dir, Halt: mapplan.AtFirstFailure,
		Jobs: mapplan.Jobs([]mapplan.Source{{Values: append([]string{}, inputs...)}}, mapplan.Options{}), Bounded: true,
		Job: job, Slots: workers, Spool: spool, MaxBuffered: 1 << 20, Screen: screen.New(&out.stdout, &out.stderr, false),
		Locate: func(context.Context, string) (int, string, error) { return 1, "nowhere", nil },
	}
}

func (p *printed) check(t *testing.T, stdout, stderr string) {
	t.Helper()
	if p.stdout.String() != stdout {
		t.Errorf("printed %.200q, want %.200q", p.stdout.String(), stdout)
	}
	if p.stderr.String() != stderr {
		t.Errorf("printed %.500q as errors, want %.500q", p.stderr.String(), stderr)
	}
}

// The first command ends after the last, and its output comes first all the same.
func TestOutputsAreInTheOrderOfInputs(t *testing.T) {
	t.Parallel()
	var out printed
	c := newConfig(t, &out, `case $1 in a) until test -e done; do sleep 0.01; done;; c) touch done;; esac; echo $1; echo e$1 >&2`, "a", "b", "c")
	if err := maprun.Run(t.Context(), c); err != nil {
		t.Error(err)
	}
	out.check(t, "a\nb\nc\n", "ea\neb\nec\n")
}

// Long outputs wait in files, of which none is left when the run ends.
func TestLongOutputsWaitInTheSpool(t *testing.T) {
	t.Parallel()
	var out printed
	c := newConfig(t, &out, `head -c 20000 /dev/zero | tr '\0' $1`, "a", "b")
	c.MaxBuffered = 1
	if err := maprun.Run(t.Context(), c); err != nil {
		t.Error(err)
	}
	out.check(t, strings.Repeat("a", 20000)+strings.Repeat("b", 20000), "")
	if left, err := os.ReadDir(c.Spool.Path()); err != nil || len(left) != 1 { // its lock
		t.Errorf("left %v, %v", left, err)
	}
}

func TestTagBeginsEachLine(t *testing.T) {
	t.Parallel()
	var out printed
	c := newConfig(t, &out, `echo 1; printf 2`, "a", "b")
	c.Tag = true
	if err := maprun.Run(t.Context(), c); err != nil {
		t.Error(err)
	}
	out.check(t, "a\t1\na\t2\nb\t1\nb\t2\n", "")
}

func TestSummaryTellsWhatFailed(t *testing.T) {
	t.Parallel()
	var out printed
	c := newConfig(t, &out, `echo $1; echo e$1 >&2; test $1 = a`, "a", "b", "c")
	c.Halt = mapplan.Halt{}
	if err := maprun.Run(t.Context(), c); !errors.Is(err, maprun.ErrFailed) {
		t.Errorf("got %v", err)
	}
	out.check(t, "a\nb\nc\n", "ea\neb\nec\nfray map: 2 of 3 commands failed\n"+
		"  b: exit code 1, attempt 1 on nowhere\n    | eb\n  c: exit code 1, attempt 1 on nowhere\n    | ec\n")
}

// The first failure ends the others, those that run and those that wait.
func TestFailureEndsTheOthers(t *testing.T) {
	t.Parallel()
	var out printed
	c := newConfig(t, &out, `test $1 = a && exit 7; exec sleep 1000`, "a", "b", "c", "d", "e", "f")
	if err := maprun.Run(t.Context(), c); !errors.Is(err, maprun.ErrFailed) {
		t.Errorf("got %v", err)
	}
	out.check(t, "", "fray map: 1 of 6 commands failed, 5 not run to the end\n  a: exit code 7, attempt 1 on nowhere\n")
}

func TestNoInputs(t *testing.T) {
	t.Parallel()
	var out printed
	if err := maprun.Run(t.Context(), newConfig(t, &out, `exit 1`)); err != nil {
		t.Error(err)
	}
	out.check(t, "", "fray map: no inputs\n")
}

// What ends a run from outside is what it returns.
func TestRunEndsWithItsCause(t *testing.T) {
	t.Parallel()
	errEnough, errTorn := errors.New("enough"), errors.New("torn")
	torn := iter.Seq2[mapplan.Job, error](func(yield func(mapplan.Job, error) bool) { yield(mapplan.Job{}, errTorn) })
	for name, tt := range map[string]struct {
		inputs iter.Seq2[mapplan.Job, error]
		lost   bool
		want   error
	}{
		"interrupted":         {want: errEnough},
		"without its workers": {lost: true, want: fleet.ErrNoWorkers},
		"without its inputs":  {inputs: torn, want: errTorn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out printed
			c := newConfig(t, &out, `touch started; exec sleep 1000`, "a")
			if tt.inputs != nil {
				c.Jobs = tt.inputs
			}
			lost := make(chan struct{})
			c.Lost = lost
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			ended := make(chan error, 1)
			go func() { ended <- maprun.Run(ctx, c) }()
			if tt.inputs == nil {
				awaitFile(t, filepath.Join(c.Dir, "started"))
			}
			if tt.lost {
				close(lost)
			} else if tt.inputs == nil {
				cancel(errEnough)
			}
			if err := <-ended; !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			out.check(t, "", "")
		})
	}
}

// awaitFile waits until a file is there.
func awaitFile(t *testing.T, path string) {
	t.Helper()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatalf("%s is not there", path)
		}
	}
}

// broken is an output that fails.
type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func TestOutputThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]error{syscall.EPIPE: maprun.ErrUnread, syscall.ENOSPC: syscall.ENOSPC} {
		var out printed
		c := newConfig(t, &out, `echo $1; test $1 = a || exec sleep 1000`, "a", "b")
		c.Screen = screen.New(broken{err}, &out.stderr, false)
		if got := maprun.Run(t.Context(), c); !errors.Is(got, want) {
			t.Errorf("%v: got %v", err, got)
		}
		out.check(t, "", "")
	}
}

// Enough have ended: those that run come to their end, and none begins.
func TestHaltSoonLetsThoseEndThatRun(t *testing.T) {
	t.Parallel()
	var out printed
	c := newConfig(t, &out, `case $1 in a) exit 0;; b) until test -e go; do sleep 0.01; done;; esac; echo $1`, "a", "b", "c", "d", "e", "f", "g", "h")
	c.Slots, c.OnlyFree = 2, true
	var err error
	if c.Halt, err = mapplan.ParseHalt("soon,done=1"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	c.Screen = screen.New(&out.stdout, &out.stderr, false)
	go func() { ended <- maprun.Run(t.Context(), c) }()
	if err := os.WriteFile(filepath.Join(c.Dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
	if got := out.stdout.String(); got != "" && !strings.HasPrefix(got, "b\n") || strings.Contains(got, "h\n") {
		t.Errorf("printed %q", got)
	}
	if !strings.HasPrefix(out.stderr.String(), "fray map: halted, since ") {
		t.Errorf("said %q", out.stderr.String())
	}
}

// A success that was waited for ends the others, and counts whatever failed before.
func TestHaltForSuccess(t *testing.T) {
	t.Parallel()
	var out printed
	c := newConfig(t, &out, `case $1 in a) exit 1;; b) until test -e failed; do sleep 0.01; done;; c) exec sleep 1000;; esac; echo $1`, "a", "b", "c")
	c.OnlyFree = true
	var err error
	if c.Halt, err = mapplan.ParseHalt("now,success=1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "failed"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := maprun.Run(t.Context(), c); err != nil {
		t.Errorf("got %v", err)
	}
	if out.stdout.String() != "b\n" || !strings.HasPrefix(out.stderr.String(), "fray map: halted, since 1 succeeded\n") {
		t.Errorf("printed %q and %q", out.stdout.String(), out.stderr.String())
	}
}

// seen is an output that makes a file when a text was printed.
type seen struct {
	strings.Builder

	text, path string
}

func (s *seen) Write(data []byte) (int, error) {
	n, _ := s.Builder.Write(data) // which never fails
	if strings.Contains(s.String(), s.text) {
		return n, os.WriteFile(s.path, nil, 0o600)
	}
	return n, nil
}

// Outputs come as commands end, each of them whole: that of the second is printed while the first one runs.
func TestOutputsComeAsCommandsEnd(t *testing.T) {
	t.Parallel()
	var out printed
	c := newConfig(t, &out, `case $1 in a) until test -e printed; do sleep 0.01; done;; esac; seq 3000; echo $1`, "a", "b")
	c.AsEnded = true
	stdout := &seen{text: "\nb\n", path: filepath.Join(c.Dir, "printed")}
	c.Screen = screen.New(stdout, &out.stderr, false)
	if err := maprun.Run(t.Context(), c); err != nil {
		t.Error(err)
	}
	if got := stdout.String(); !strings.HasSuffix(got, "\n3000\na\n") || strings.Index(got, "\nb\n1\n") != strings.Index(got, "\n3000\nb\n")+len("\n3000") {
		t.Errorf("printed %.60q and so on", got)
	}
}

// What the log has is not run again, and a command is in the log once its output is printed.
func TestLogAndResume(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	run := func(want string, failed bool, inputs ...string) {
		t.Helper()
		var out printed
		c := newConfig(t, &out, `echo $1; test $1 != b`, inputs...)
		log, logged, err := maprun.OpenLog(path, true)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		}()
		c.Log, c.Halt = log, mapplan.Halt{}
		c.Skip = func(n int) bool {
			ended, _ := logged.Ended(n)
			return ended
		}
		if err := maprun.Run(t.Context(), c); (err != nil) != failed || out.stdout.String() != want {
			t.Errorf("printed %q, %v, want %q", out.stdout.String(), err, want)
		}
	}
	run("a\nb\n", true, "a", "b")
	run("c\n", false, "a", "b", "c")
	run("", false, "a", "b", "c")
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") != 4 {
		t.Errorf("the log is %q, %v", text, err)
	}
	if err := os.WriteFile(path, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := maprun.OpenLog(path, true); !errors.Is(err, mapplan.ErrNotALog) {
		t.Errorf("another file: %v", err)
	}
}

// An output that is longer than a result takes is printed to its end, and let go of.
func TestOutputsOfAnyLengthArePrinted(t *testing.T) {
	t.Parallel()
	var out printed
	c := newConfig(t, &out, `head -c 12000000 /dev/zero; echo $1`, "a", "b")
	if err := maprun.Run(t.Context(), c); err != nil {
		t.Error(err)
	}
	zeros := strings.Repeat("\x00", 12_000_000)
	if got := out.stdout.String(); got != zeros+"a\n"+zeros+"b\n" || out.stderr.Len() > 0 {
		t.Errorf("printed %d bytes, and %q", len(got), out.stderr.String())
	}
}
