//go:build unix && !linux

package execfn

import "syscall"

// straggler is a process that has left the program's group. Only Linux tells of them.
type straggler struct{}

// Signal does nothing: there are none.
func (straggler) Signal(syscall.Signal) {}

// startTicks is for what finds stragglers.
func startTicks() uint64 { return 0 }

func stragglers(*program) []straggler { return nil }
