//go:build !unix

package execfn

import (
	"errors"
	"os"
	"os/exec"
)

// User is whom commands run as, on Unix.
type User struct{}

// NewUser returns an error: only on Unix can a process start others as another user.
func NewUser(string) (*User, error) {
	return nil, errors.New("user: only on Unix can commands run as another user")
}

func (*User) environ() []string { return nil }

func (*User) become(*exec.Cmd) {}

func (*User) own([]*os.File) error { return nil }

func (*User) explain(err error) error { return err }
