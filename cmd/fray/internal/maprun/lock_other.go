//go:build !unix

package maprun

import (
	"errors"
	"io"
	"os"
)

// lockFile makes a file, with os.O_CREATE. One that is there counts as locked, for it cannot be told.
func lockFile(path string, create int) (io.Closer, error) {
	const ownerOnly = 0o600
	if create == 0 {
		return nil, errors.New("the folder may be in use") // What is there may be another's.
	}
	file, err := os.OpenFile(path, os.O_RDWR|create|os.O_EXCL, ownerOnly)
	if err != nil {
		return nil, errors.Join(errors.New("the folder may be in use"), err)
	}
	return file, nil
}
