//go:build !unix

package maprun

import (
	"errors"
	"io"
	"os"
)

// lockFile makes a file. One that is there counts as locked, for it cannot be told.
func lockFile(path string) (io.Closer, error) {
	const ownerOnly = 0o600
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, ownerOnly)
	if err != nil {
		return nil, errors.Join(errors.New("the folder may be in use"), err)
	}
	return file, nil
}
