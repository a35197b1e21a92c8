//go:build !linux

package execfn

import (
	"errors"
	"os/exec"

	"github.com/frayrpc/fray/internal/children"
)

// launched is as if Main had been called: there are no limits.
const launched = true

// Main does nothing: only Linux has limits.
func Main() {}

func (Limits) hold() error { return errors.New("only on Linux can commands have limits of their own") }

func (Limits) start(cmd *exec.Cmd) error { return children.Start(cmd) }
