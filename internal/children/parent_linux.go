package children

import "syscall"

// DieWithParent has the kernel send a process that is started with attr a signal when the thread
// that starts it ends. Only Linux does.
func DieWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }
