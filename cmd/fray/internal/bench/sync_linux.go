package bench

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData has the system write what was appended to the disk, and of the rest what is needed to read
// it.
func syncData(file *os.File) error {
	return unix.Fdatasync(int(file.Fd())) // within: a descriptor is small
}
