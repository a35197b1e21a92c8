package execfn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/frayrpc/fray/fray"
)

const (
	// killGrace is the time between SIGTERM and SIGKILL. It is well under the time that a worker
	// waits before it abandons an attempt.
	killGrace = 2 * time.Second
	// lingerNotice is how long after the end of a program its open outputs are waited for without a
	// word.
	lingerNotice = 10 * time.Second
)

// name is what workers have the function as.
const name = "exec"

// Task is the function, under the name "exec".
var Task = New(Config{})

// Config says how a worker runs programs. The zero value is that of Task.
type Config struct {
	// OutputDir is an absolute path of a directory that takes outputs of more than 4 KiB, which
	// then are bounded by its disk only: the result names their files. It is for clients of the
	// same machine, which have to remove the files. Empty: none.
	OutputDir string
	// PassEnv are names of variables of the worker's environment that commands see, besides those
	// that they always do; * stands for any text. FRAY_TOKEN stays with the worker all the same.
	PassEnv []string
	// User is whom commands run as; nil: the user of the worker.
	User *User
	// Programs are the only ones that are executed; nil: all are.
	Programs *Programs
	// Limits bound what each process of a command may use.
	Limits Limits
	// Cgroup is where commands get control groups, which its owner closes when the worker has ended;
	// nil: they stay in the worker's.
	Cgroup *Cgroup
	// Logger is told of programs that have ended while their outputs stay open, and of those that
	// cannot be started. nil: nothing is.
	Logger *slog.Logger
	// FirstSlot is the number of the worker's first slot, as commands see it that ask; 0: 1.
	FirstSlot int

	slots *slotNumbers // set by New
}

// New returns the function, under the name "exec", as cfg has it.
func New(cfg Config) *fray.Task[Command, Result] {
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	cfg.slots = newSlotNumbers(max(1, cfg.FirstSlot))
	return fray.Define(name, cfg.run)
}

// Check returns an error if this process cannot start commands as cfg has it: the program lacks
// [Launch], a limit is more than this process may have, or the system does not let it.
func (cfg *Config) Check() error {
	if err := cfg.Limits.check(); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, err := cfg.newProgram(cfg.prepare(&Command{}, nil, []string{noProgram}), nil, nil, &outputs{})
	return notStarted(err)
}

func (cfg *Config) run(ctx context.Context, c Command) (Result, error) {
	if err := c.check(); err != nil {
		return Result{}, fray.NonRetryable(err)
	}
	info, _ := fray.InTask(ctx)
	outputs, err := newOutputs(ctx, &c, cfg.OutputDir, info)
	if err != nil {
		return Result{}, err
	}
	slot := cfg.slots.take()
	defer cfg.slots.putBack(slot)
	c.nameSlot(slot)
	stdin, err := cfg.openStdin(&c)
	if err != nil {
		return Result{}, err
	}
	defer closeAll([]*os.File{stdin})
	// The kernel ties the program's life to that of the thread which started it. While it is locked
	// to this goroutine, no other one can end it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	account := c.newAccount(slot)
	p, err := cfg.start(ctx, &c, stdin, outputs, info)
	if err != nil {
		return Result{}, errors.Join(err, outputs.close())
	}
	err = p.wait(ctx, cfg.Logger)
	account.end(p.cmd.ProcessState)
	err = errors.Join(err, outputs.close())
	failed := outputs.result(-1)
	failed.Account = account
	switch {
	case ctx.Err() != nil:
		return Result{}, fray.WithDetails(context.Cause(ctx), failed)
	case err != nil:
		return Result{}, fray.WithDetails(fmt.Errorf("run program: %w", err), failed)
	}
	result := failed
	result.ExitCode = exitCode(p.cmd.ProcessState)
	if result.ExitCode != 0 && !c.AllowNonzero {
		exit := &ExitError{Program: c.Argv[0], ExitCode: result.ExitCode, Stderr: string(outputs.stderr.end(maxTailBytes))}
		return Result{}, fray.WithDetails(exit, result)
	}
	return result, nil
}
