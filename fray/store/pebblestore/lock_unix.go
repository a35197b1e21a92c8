//go:build unix

package pebblestore

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockHolder returns the process that holds a lock on a file, or 0 if none does, as far as can be
// told. This process must not hold it: closing the file again would release it.
func lockHolder(name string) int {
	f, err := os.Open(name)
	if err != nil {
		return 0
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil || lock.Type == unix.F_UNLCK {
		return 0
	}
	return int(lock.Pid)
}
