package bubble_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/sim/bubble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const want = `run: <nil>
run: <nil>
run: <nil>
virtual: 72h0m0s real seconds: 0
panic: true boom
deadlock: true
left behind: true
after: <nil>
arguments: [--test.run=none -x serve]
`

func TestRunInOrdinaryProgram(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/program").CombinedOutput(); err != nil {
		t.Fatalf("build program: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), program, "--test.run=none", "-x", "serve").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("program ended with %v, want its own exit code", err)
	}
	if string(out) != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestInTest(t *testing.T) {
	run := bubble.In(t)
	start := time.Now()
	if err := run(func() { time.Sleep(time.Hour) }); err != nil || time.Since(start) > time.Minute {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
	var panicked *bubble.PanicError
	if err := run(func() { panic("boom") }); !errors.As(err, &panicked) || panicked.Value != "boom" {
		t.Errorf("got %v, want the panic", err)
	}
	if err := bubble.Run(func() {}); !errors.Is(err, bubble.ErrTest) {
		t.Errorf("got %v, want %v", err, bubble.ErrTest)
	}
}

func TestGoexit(t *testing.T) {
	t.Run("bubble", func(t *testing.T) {
		if err := bubble.In(t)(runtime.Goexit); !errors.Is(err, bubble.ErrGoexit) {
			t.Errorf("got %v, want %v", err, bubble.ErrGoexit)
		}
	})
}
