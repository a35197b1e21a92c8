package process

import "syscall"

// attributes makes a process lead a group, so that a Ctrl-C is not for it and a kill reaches all of it, and has the kernel kill
// it when this process dies.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// ownAddresses says whether each host can have an address of its own: all of 127.0.0.0/8 is loopback.
const ownAddresses = true
