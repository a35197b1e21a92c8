//go:build !linux

package children

import "syscall"

// DieWithParent does nothing: only Linux can tie a process's life to its parent's.
func DieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
