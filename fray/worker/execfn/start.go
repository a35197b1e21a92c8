package execfn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/sleep"
)

const (
	// StartPatience is for how long the worker tries again to start a program that cannot be
	// started for a reason that passes.
	StartPatience = 5 * time.Second
	// BusyPatience is the same for a program whose file is being written.
	BusyPatience = 2 * time.Second
	// The pauses between, each twice the one before.
	startPause    = 10 * time.Millisecond
	maxStartPause = 500 * time.Millisecond
	// maxHandBacks is how many attempts of a task are handed back that could not start. The next
	// one fails.
	maxHandBacks = 5
)

// start starts the program of c. The machine's faults that pass are waited for, and are not charged
// to the task.
func (cfg *Config) start(ctx context.Context, c *Command, stdin *os.File, o *outputs, info fray.TaskInfo) (*program, error) {
	begin, given := time.Now(), given(ctx, info)
	pause := startPause
	for {
		p, err := cfg.startOnce(c, given, stdin, o)
		if err == nil {
			return p, nil
		}
		if !passes(err) {
			return nil, fmt.Errorf("run program: %w", cfg.User.explain(err))
		}
		patience, busy := StartPatience, errors.Is(err, errBusy)
		if busy {
			patience = BusyPatience
		}
		if time.Since(begin) >= patience {
			err = fmt.Errorf("run program: not within %v: %w", patience, err)
			if busy || info.Attempt > maxHandBacks {
				return nil, err
			}
			cfg.Logger.Warn("program cannot be started on this machine now, handing its task back", "task_id", info.TaskID, "error", err)
			return nil, fray.HandBack(err)
		}
		if err := sleep.For(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(2*pause, maxStartPause)
	}
}

// startOnce starts the program of c, which sees what it is given, too, or says why it cannot be.
func (cfg *Config) startOnce(c *Command, given []string, stdin *os.File, o *outputs) (*program, error) {
	cmd := cfg.prepare(c, given, c.Argv)
	err := cfg.Programs.admit(cmd)
	var p *program
	if err == nil {
		p, err = cfg.newProgram(cmd, c.Stdin, stdin, o)
	}
	if errors.Is(err, errNoFormat) {
		// As execvp does it, and so every shell and xargs.
		argv := append([]string{"/bin/sh", cmd.Path}, c.Argv[1:]...)
		p, err = cfg.newProgram(cfg.prepare(c, given, argv), c.Stdin, stdin, o)
	}
	if err == nil {
		return p, nil
	}
	if wrong := dirProblem(c.Dir); wrong != nil {
		return nil, wrong
	}
	return nil, err
}

// prepare makes the process of argv, which is yet to be started.
func (cfg *Config) prepare(c *Command, given []string, argv []string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // To run what it is told is its purpose; program ends it.
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // PATH has ".", and is the user's
	}
	cmd.Dir = c.Dir
	cmd.Env = cfg.environ(c, given)
	isolate(cmd)
	cfg.User.become(cmd)
	return cmd
}

// dirProblem says why a program cannot run in dir, of which the system speaks as if it were the
// program; nil if it can.
func dirProblem(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	var path *os.PathError
	switch {
	case errors.As(err, &path):
		return fmt.Errorf("directory %s: %w", dir, path.Err)
	case err != nil:
		return fmt.Errorf("directory %s: %w", dir, err)
	case !info.IsDir():
		return fmt.Errorf("directory %s: %w", dir, syscall.ENOTDIR)
	case !mayEnter(dir):
		return fmt.Errorf("directory %s: %w", dir, syscall.EACCES)
	}
	return nil
}

// machineError is what the machine of the worker does not give at the moment: no program is to
// blame.
type machineError struct{ error }

// Unwrap returns the reason.
func (e *machineError) Unwrap() error { return e.error }

// passes reports whether a start that failed may well succeed in a moment.
func passes(err error) bool {
	var machine *machineError
	return errors.As(err, &machine) || slices.ContainsFunc(passingErrors, func(passing error) bool { return errors.Is(err, passing) })
}
