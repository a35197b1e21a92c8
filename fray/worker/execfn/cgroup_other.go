//go:build !linux

package execfn

import (
	"errors"
	"log/slog"
	"os/exec"
)

// Cgroup is where each command of a worker gets a control group of its own, on Linux.
type Cgroup struct{}

// NewCgroup returns an error: only Linux has control groups.
func NewCgroup(Limits, *slog.Logger) (*Cgroup, error) {
	return nil, errors.New("only Linux has control groups")
}

// Close does nothing.
func (*Cgroup) Close() error { return nil }

type cgroup struct{}

func (*Cgroup) group() (*cgroup, error) { return nil, nil }

func (*cgroup) join(*exec.Cmd) {}

func (*cgroup) bound() error { return nil }

func (*cgroup) kill() {}

func (*cgroup) remove() {}
