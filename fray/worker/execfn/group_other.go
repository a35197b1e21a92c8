//go:build !unix

package execfn

import (
	"os"
	"os/exec"
)

// There are no process groups: the program is killed, and what it started is not.
func isolate(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}

func exitCode(state *os.ProcessState) int { return state.ExitCode() }
