//go:build unix

package maprun

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile opens a file, or with os.O_CREATE makes it if it is not there, and holds a lock on it until
// it is closed. It returns an error if another process does.
func lockFile(path string, create int) (io.Closer, error) {
	const ownerOnly = 0o600
	file, err := os.OpenFile(path, os.O_RDWR|create|unix.O_NOFOLLOW, ownerOnly) // In the folder of a map.
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil { // A descriptor is small.
		_ = file.Close() // nothing was written
		return nil, err
	}
	return file, nil
}
