//go:build unix

package execfn

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/frayrpc/fray/internal/children"
)

var (
	errBusy     error = syscall.ETXTBSY
	errNoFormat error = syscall.ENOEXEC
	// passingErrors are of starts that fail because of the moment: too little of something, or a
	// file that is being written.
	passingErrors = []error{
		syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ETXTBSY, syscall.EBUSY, syscall.ESTALE,
	}
)

func mayEnter(dir string) bool { return unix.Access(dir, unix.X_OK) == nil }

// isolate gives the program a session, and so a process group, which is what gets the signals, and
// no terminal: in a group that is not the terminal's, a read from it would stop the program, and
// nothing would ever let it go on.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	children.DieWithParent(cmd.SysProcAttr, syscall.SIGKILL)
}

// terminate asks the program and what belongs to it to end.
func (p *program) terminate() {
	p.escaped = stragglers(p)
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) // ESRCH: nothing is left
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGCONT) // so that what is stopped hears it
	for _, s := range p.escaped {
		s.Signal(syscall.SIGTERM)
		s.Signal(syscall.SIGCONT)
	}
}

// kill kills the program and what belongs to it.
func (p *program) kill() {
	killGroup(p.cmd)
	p.group.kill()
	for _, s := range append(p.escaped, stragglers(p)...) {
		s.Signal(syscall.SIGKILL)
	}
}

// killGroup kills what is left of the program's group.
func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // ESRCH: nothing is left
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// noProgram is no program: a file has nothing below it. The system finds that out when it has done
// everything else for its start.
const noProgram = "/dev/null/none"

// tryStart returns why no process can be started with attr.
func tryStart(attr *syscall.SysProcAttr) error {
	_, err := os.StartProcess(noProgram, []string{noProgram}, &os.ProcAttr{Sys: attr})
	return notStarted(err)
}

// notStarted returns the reason but for that noProgram is none.
func notStarted(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
