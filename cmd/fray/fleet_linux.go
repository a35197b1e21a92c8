package main

import (
	"os"
	"syscall"
)

// workerProcess makes a worker lead a process group, so that a Ctrl-C is this process's to handle and a kill reaches
// all of it, and has the kernel tell it when this process dies.
func workerProcess() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// killGroup kills a process and its process group.
func killGroup(p *os.Process) {
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL) // it may have ended
	_ = p.Kill()
}
