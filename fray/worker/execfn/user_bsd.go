//go:build unix && !linux

package execfn

import (
	"errors"
	"os"
)

func maySwitchUser() error {
	if os.Geteuid() != 0 {
		return errors.New("this process may not run commands as another user: start it as root")
	}
	return nil
}

func dropAmbient() {}
