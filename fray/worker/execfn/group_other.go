//go:build !unix

package execfn

import (
	"errors"
	"os"
	"os/exec"
)

var (
	errBusy       = errors.New("text file busy")
	errNoFormat   = errors.New("exec format error")
	passingErrors []error
)

func mayEnter(string) bool { return true }

// There are no process groups: the program is killed, and what it started is not.
func isolate(*exec.Cmd) {}

type straggler struct{}

func startTicks() uint64 { return 0 }

func (p *program) terminate() { p.kill() }

func (p *program) kill() { _ = p.cmd.Process.Kill() } // it may have ended

func killGroup(*exec.Cmd) {}

func exitCode(state *os.ProcessState) int { return state.ExitCode() }

// noProgram is no program.
const noProgram = `NUL:\none`

// notStarted returns nothing: whatever is wrong with noProgram, nothing else is set for its start.
func notStarted(error) error { return nil }
