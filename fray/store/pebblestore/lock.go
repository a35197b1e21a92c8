package pebblestore

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// heldError says that a directory is open already.
type heldError struct{ pid int } // 0: by whom is not known; -1: by this process

func (e heldError) Error() string {
	switch e.pid {
	case -1:
		return "it is in use by this process already; close the store that has it open first"
	case 0:
		return "it is in use by another process; stop that one first, or pass another directory"
	default:
		return fmt.Sprintf("it is in use by another process (pid %d); stop that one first, or pass another directory", e.pid)
	}
}

// heldBy replaces an error of locking a file that says that another process has it.
func heldBy(err error, name string) error {
	var no syscall.Errno
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "held by current process"):
		return heldError{pid: -1}
	case errors.As(err, &no) && (no == syscall.EAGAIN || no == syscall.EWOULDBLOCK):
		return heldError{pid: lockHolder(name)}
	default:
		return err
	}
}
