package children

import (
	"os/exec"
	"syscall"
	"time"
)

// A Child is a process that a [Starter] has started.
type Child struct {
	cmd  *exec.Cmd
	gone chan struct{}
	err  error // valid once gone is closed
}

// Gone returns a channel that is closed when the process has ended and nothing of its output is to
// come.
func (c *Child) Gone() <-chan struct{} { return c.gone }

// Running reports whether the process has yet to end.
func (c *Child) Running() bool {
	select {
	case <-c.gone:
		return false
	default:
		return true
	}
}

// Wait waits until the process is gone, and returns how it ended, as [exec.Cmd.Wait] does.
func (c *Child) Wait() error {
	<-c.gone
	return c.err
}

// Kill kills the process and its group, as a power cut does, and waits as Wait does.
func (c *Child) Kill() error {
	if c.Running() {
		_ = c.Signal(syscall.SIGKILL) // it may have ended
	}
	return c.Wait()
}

// Stop asks the process to end, kills it if it does not within the grace, or as soon as hurry is
// closed, and waits as Wait does. It calls late before it kills because of the grace.
func (c *Child) Stop(grace time.Duration, hurry <-chan struct{}, late func()) error {
	c.Ask()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.gone:
	case <-hurry:
	case <-timer.C:
		late()
	}
	return c.Kill()
}
