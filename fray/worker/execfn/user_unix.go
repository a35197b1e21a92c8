//go:build unix

package execfn

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"syscall"

	"github.com/frayrpc/fray/internal/number"
)

// User is whom commands run as. It is immutable.
type User struct {
	name, home string
	uid, gid   uint32
	groups     []uint32 // besides gid
}

// NewUser returns the user that a text like USER or USER:GROUP names, each by its name or its
// number. The group is the user's own unless it is given; the user is in its other groups, too. It
// returns an error if there is none, or if this process cannot run commands as that user and end
// them: that takes root, or on Linux CAP_SETUID, CAP_SETGID and CAP_KILL.
func NewUser(text string) (*User, error) {
	name, group, grouped := strings.Cut(text, ":")
	if name == "" || grouped && group == "" {
		return nil, fmt.Errorf("user %q is not like USER or USER:GROUP", text)
	}
	u, err := findUser(name, grouped)
	if err != nil {
		return nil, err
	}
	if grouped {
		if u.gid, err = findGroup(group); err != nil {
			return nil, err
		}
	}
	if u.uid == 0 && os.Geteuid() != 0 {
		return nil, errors.New("user root: a worker that is not root does not run commands as root")
	}
	if err := maySwitchUser(); err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	if err := tryStart(&syscall.SysProcAttr{Credential: u.credential()}); err != nil {
		return nil, fmt.Errorf("user %s: this process cannot start others as that user: %w", name, err)
	}
	return u, nil
}

// findUser returns a user by its name or number. A number that has no name needs a group.
func findUser(name string, grouped bool) (*User, error) {
	found, err := user.Lookup(name)
	if err != nil {
		found, err = user.LookupId(name)
	}
	if err != nil {
		uid, wrong := number.Parse[uint32](name, 0, maxID)
		switch {
		case wrong != nil:
			return nil, fmt.Errorf("user %q is not known on this machine", name)
		case !grouped:
			return nil, fmt.Errorf("user %s has no name and so no group on this machine: give one, such as %s:%s", name, name, name)
		}
		return &User{name: name, home: "/", uid: uid}, nil
	}
	u := &User{name: found.Username, home: found.HomeDir}
	if u.uid, err = number.Parse[uint32](found.Uid, 0, maxID); err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	if u.gid, err = number.Parse[uint32](found.Gid, 0, maxID); err != nil {
		return nil, fmt.Errorf("group of user %s: %w", name, err)
	}
	groups, err := found.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of user %s: %w", name, err)
	}
	for _, text := range groups {
		gid, err := number.Parse[uint32](text, 0, maxID)
		if err != nil {
			return nil, fmt.Errorf("groups of user %s: %w", name, err)
		}
		u.groups = append(u.groups, gid)
	}
	return u, nil
}

// maxID is the highest number of a user or group: the next one means none.
const maxID uint32 = 1<<32 - 2

func findGroup(name string) (uint32, error) {
	found, err := user.LookupGroup(name)
	if err == nil {
		name = found.Gid
	}
	gid, err := number.Parse[uint32](name, 0, maxID)
	if err != nil {
		return 0, fmt.Errorf("group %q is not known on this machine", name)
	}
	return gid, nil
}

func (u *User) credential() *syscall.Credential {
	return &syscall.Credential{Uid: u.uid, Gid: u.gid, Groups: u.groups}
}

// environ is what the user's commands see in place of what the worker has.
func (u *User) environ() []string {
	if u == nil {
		return nil
	}
	return []string{"HOME=" + u.home, "USER=" + u.name, "LOGNAME=" + u.name}
}

// become has cmd run as the user.
func (u *User) become(cmd *exec.Cmd) {
	if u == nil {
		return
	}
	cmd.SysProcAttr.Credential = u.credential()
	dropAmbient()
}

// own gives the user the pipes of its program, which may open them again by their names, such as
// /dev/stderr.
func (u *User) own(pipes []*os.File) error {
	if u == nil {
		return nil
	}
	for _, pipe := range pipes {
		if err := pipe.Chown(int(u.uid), int(u.gid)); err != nil {
			return err
		}
	}
	return nil
}

// explain adds the user to why a program could not be started, which may be its doing.
func (u *User) explain(err error) error {
	if u == nil || !errors.Is(err, os.ErrPermission) {
		return err
	}
	return fmt.Errorf("as user %s: %w", u.name, err)
}
