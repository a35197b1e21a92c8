//go:build !linux

package execfn

import (
	"errors"
	"os/exec"

	"github.com/frayrpc/fray/internal/children"
)

// launched is as if Launch had been called: there are no limits.
const launched = true

// Launch returns false: only Linux has limits.
func Launch([]string) bool { return false }

func (Limits) hold() error { return errors.New("only on Linux can commands have limits of their own") }

func (Limits) start(cmd *exec.Cmd) error { return children.Start(cmd) }
