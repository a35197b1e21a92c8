//go:build !unix

package children

import "syscall"

func attributes(syscall.Signal) *syscall.SysProcAttr { return nil }

// Signal sends a signal to the process, which may have ended. There are no process groups.
func (c *Child) Signal(sig syscall.Signal) error { return c.cmd.Process.Signal(sig) }

// Ask asks the process to end.
func (c *Child) Ask() { _ = c.Signal(syscall.SIGTERM) } // it may have ended
