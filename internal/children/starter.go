package children

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// outputDelay is how long the outputs of a process may stay open after it has ended.
const outputDelay = time.Second

// A Starter starts processes that are not to outlive this one. Each leads a process group, so that
// a Ctrl-C is not for it and a kill reaches all of it. Its standard input is a pipe that breaks
// when this process dies, however that happens; and on Linux the kernel sends it a signal then.
//
// Linux takes the death of the thread that started a process for that of the parent. So a Starter
// has one thread, which lives as long as it does.
type Starter struct {
	parting syscall.Signal
	starts  chan func()
	ended   sync.WaitGroup
}

// NewStarter returns a Starter, which its owner closes. Linux sends its processes the signal
// parting when this process dies.
func NewStarter(parting syscall.Signal) *Starter {
	s := &Starter{parting: parting, starts: make(chan func())}
	s.ended.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for start := range s.starts {
			start()
		}
	})
	return s
}

// Close ends the thread. All processes must have ended.
func (s *Starter) Close() {
	close(s.starts)
	s.ended.Wait()
}

// Start starts cmd, whose standard input and process attributes are the Starter's to set. What it
// starts is waited for.
func (s *Starter) Start(cmd *exec.Cmd) (*Child, error) {
	cmd.SysProcAttr = attributes(s.parting)
	cmd.WaitDelay = outputDelay
	if _, err := cmd.StdinPipe(); err != nil { // Wait closes it.
		return nil, err
	}
	started := make(chan error, 1)
	s.starts <- func() { started <- Start(cmd) }
	if err := <-started; err != nil {
		return nil, err
	}
	c := &Child{cmd: cmd, gone: make(chan struct{})}
	go func() { // ends with the process, whose end is its owner's to see to
		c.err = Wait(cmd)
		close(c.gone)
	}()
	return c, nil
}
