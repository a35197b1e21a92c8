package execfn

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// maySwitchUser returns an error if this process may not start others as another user, or may not
// end them then.
func maySwitchUser() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	const needed = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL
	if data[0].Effective&needed != needed {
		return errors.New("this process may not run commands as another user: start it as root, or with CAP_SETUID, CAP_SETGID and CAP_KILL")
	}
	return nil
}

// dropAmbient keeps capabilities of a worker that is not root from what the calling thread starts:
// with CAP_SETUID, its commands could be any user.
func dropAmbient() {
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) // a kernel without them has none
}
