//go:build !linux

package process

import "syscall"

// attributes makes a process lead a group, so that a Ctrl-C is not for it and a kill reaches all of it. That it ends with this
// process is up to its standard input alone.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// ownAddresses says whether each host can have an address of its own: only 127.0.0.1 is loopback.
const ownAddresses = false
