package main

import (
	"errors"

	"github.com/frayrpc/fray/cmd/fray/internal/mapplan"
	"github.com/frayrpc/fray/cmd/fray/internal/maprun"
	"github.com/frayrpc/fray/internal/command"
)

const exitCodesHelp = `  0    all went well
  1    a task failed or was cancelled, or a command of map did, whatever its own code is: where xargs exits with 123, and parallel with
       how many failed
  2    the command line, the environment or the configuration file is wrong
  3    the controller cannot be reached, refuses the call, or cannot be started; or no client watches the job of
       --job-lease
  4    there is no such task, schedule or worker
  5    the wait was longer than its timeout; the task goes on, or, of step-down, the epoch has ended all the same
  130  interrupted by SIGINT (Ctrl-C); 143 by SIGTERM, 129 by SIGHUP
  141  what reads the output of map is gone (SIGPIPE), as in: fray map ... | head -1

controller, worker and dev exit with 0 when a signal ends them in good order.
`

// exitCode is what this command exits with after err.
func exitCode(err error) int {
	code := command.ExitCode(err)
	var argument *maprun.ArgumentError
	var input *mapplan.InputError
	if code == command.ExitUnavailable && (errors.As(err, &argument) || errors.As(err, &input)) {
		return command.ExitUsage
	}
	return code
}

// silent exits with code after the command has said itself what there was to say.
func silent(code int) error { return &command.CodedError{Code: code} }
