//go:build unix

package children

import "syscall"

func attributes(parting syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	DieWithParent(attr, parting)
	return attr
}

// Signal sends a signal to the process and its group, which may have ended.
func (c *Child) Signal(sig syscall.Signal) error { return syscall.Kill(-c.cmd.Process.Pid, sig) }

// Ask asks the process to end, and to go on for that if it stands still.
func (c *Child) Ask() {
	_ = c.Signal(syscall.SIGTERM) // it may have ended
	_ = c.Signal(syscall.SIGCONT) // as above
}
