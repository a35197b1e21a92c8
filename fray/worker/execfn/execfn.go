// Package execfn is a function that runs a program of the worker's machine.
//
//	w, err := worker.New(worker.Config{Functions: []fray.Function{execfn.Task}, ...})
//
//	out, err := execfn.Task.Call(ctx, execfn.Command{Argv: []string{"wc", "-c"}, Stdin: []byte("hello")})
//
// A worker that has it lets everybody who can submit tasks run anything as the worker's user.
//
// The program gets a process group of its own. When the attempt is stopped or runs past its timeout, the group gets SIGTERM,
// and SIGKILL two seconds later; and what is left of the group when the program ends gets SIGKILL, so that
// nothing outlives its task. If the worker itself is killed, so is the program, but on Linux only, and not what the program
// started. On systems other than Unix only the program itself is killed.
package execfn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/frayrpc/fray/fray"
)

// Bounds of one execution.
const (
	// DefaultMaxOutputBytes is how much is kept of each output, MaxOutputBytes how much a Command can ask for.
	DefaultMaxOutputBytes = 8 << 20
	MaxOutputBytes        = 16 << 20
	// killGrace is the time between SIGTERM and SIGKILL, and the time that is given to a grandchild to let go of the outputs
	// once the program has ended. It is well under the time that a worker waits before it abandons an attempt.
	killGrace = 2 * time.Second
	// maxTailBytes is how much of the end of the error output a failure carries.
	maxTailBytes = 2 << 10
)

// Task is the function, under the name "exec".
var Task = fray.Define("exec", run)

// Command is what to run.
type Command struct {
	// Argv is the program and its arguments. Without a slash in its name, the program is looked for in the worker's PATH.
	// There is no shell, unless Argv names one.
	Argv []string `json:"argv"`
	// Stdin is the program's input; empty: none.
	Stdin []byte `json:"stdin,omitempty"`
	// Env is added to the worker's own environment, as "NAME=value".
	Env []string `json:"env,omitempty"`
	// Dir is where it runs. Empty: where the worker does.
	Dir string `json:"dir,omitempty"`
	// AllowNonzero makes an exit code other than 0 a result like any other, not a failure.
	AllowNonzero bool `json:"allow_nonzero,omitempty"`
	// MaxOutputBytes is how much to keep of each output. 0: DefaultMaxOutputBytes.
	MaxOutputBytes int `json:"max_output_bytes,omitempty"`
}

// Result is how a program ended.
type Result struct {
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	// ExitCode is 128 and the signal's number for a program that a signal ended, as in a shell.
	ExitCode int `json:"exit_code"`
	// StdoutTruncated and StderrTruncated say that there was more than is kept; what is kept is the beginning.
	StdoutTruncated bool `json:"stdout_truncated,omitempty"`
	StderrTruncated bool `json:"stderr_truncated,omitempty"`
}

// ExitError is the failure of a program that ran and ended with another exit code than 0.
type ExitError struct {
	Program  string
	ExitCode int
	// Stderr is the end of the error output, at most 2 KiB.
	Stderr string
}

// Error names the program, its exit code and the end of its error output.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s: exit code %d", e.Program, e.ExitCode)
	if tail := strings.TrimSpace(e.Stderr); tail != "" {
		text += ": " + tail
	}
	return text
}

func run(ctx context.Context, c Command) (Result, error) {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return Result{}, fray.NonRetryable(errors.New("run program: argv is empty"))
	}
	limit := c.MaxOutputBytes
	if limit == 0 {
		limit = DefaultMaxOutputBytes
	}
	if limit < 0 || limit > MaxOutputBytes {
		err := fmt.Errorf("run program: max_output_bytes %d is not from 0 to %d", limit, MaxOutputBytes)
		return Result{}, fray.NonRetryable(err)
	}
	stdout, stderr := &output{limit: limit}, &output{limit: limit}
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...) //nolint:gosec // To run what it is told is its purpose.
	cmd.Dir = c.Dir
	if len(c.Env) > 0 {
		cmd.Env = append(cmd.Environ(), c.Env...)
	}
	if len(c.Stdin) > 0 {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = killGrace
	isolate(cmd)

	// The kernel ties the program's life to that of the thread which started it. While it is locked to this goroutine, no
	// other one can end it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		return Result{}, fray.NonRetryable(fmt.Errorf("run program: %w", err))
	}
	err := cmd.Wait()
	killGroup(cmd)
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return Result{}, fmt.Errorf("run program: %w", err)
	}
	result := Result{
		Stdout: stdout.head, StdoutTruncated: stdout.truncated(),
		Stderr: stderr.head, StderrTruncated: stderr.truncated(),
		ExitCode: exitCode(cmd.ProcessState),
	}
	if result.ExitCode != 0 && !c.AllowNonzero {
		return Result{}, &ExitError{Program: c.Argv[0], ExitCode: result.ExitCode, Stderr: string(stderr.tail)}
	}
	return result, nil
}

// output keeps the beginning of what is written to it, and the very end for a failure. It takes everything, so that the
// program never waits for it.
type output struct {
	limit   int
	head    []byte
	tail    []byte
	written int64
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.written += int64(len(p))
	if room := o.limit - len(o.head); room > 0 {
		o.head = append(o.head, p[:min(room, len(p))]...)
	}
	o.tail = append(o.tail, p[max(0, len(p)-maxTailBytes):]...)
	if over := len(o.tail) - maxTailBytes; over > 0 {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
	return len(p), nil
}

func (o *output) truncated() bool { return o.written > int64(len(o.head)) }
