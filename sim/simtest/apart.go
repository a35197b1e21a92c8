package simtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
)

// apart makes a single run in a process of its own, with the same command line, so that a crash of
// it is told with the scenario and its seed. What that process writes is passed on.
func (a *App) apart(ctx context.Context, of *subject, seed uint64, o *runOptions) error {
	executable, err := a.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, executable, append(slices.Clone(a.args), "--"+hereFlag)...) // It is this program.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * endWait
	var stderr tail
	cmd.Stdout, cmd.Stderr = a.Stdout, io.MultiWriter(a.Stderr, &stderr)
	err = cmd.Run()
	code := -1
	if cmd.ProcessState != nil {
		code = cmd.ProcessState.ExitCode()
	}
	switch {
	case code == exitPass:
		return nil
	case ctx.Err() == nil && (code < 0 || stderr.crashed()):
		r := brokenDown(of.nameOf(seed), seed, &breakdownError{seed, err, stderr})
		if err := a.print(r, of, o); err != nil {
			return err
		}
		if o.out != "" { // That process has opened it.
			if err := (&savedRun{dir: o.out}).abort(r, of); err != nil {
				return err
			}
		}
		return &ExitError{Code: r.ExitCode()}
	case code < 0:
		return context.Cause(ctx)
	}
	return &ExitError{Code: code}
}
