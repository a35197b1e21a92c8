package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/frayrpc/fray/sim/engine"
)

// outputTail is how much is kept of what a process writes to its standard error, in bytes.
const outputTail = 16 << 10

// A child is a process of the run. It leads a process group.
//
// None outlives this process, however that ends: its standard input is a pipe that breaks then, upon which it ends by itself,
// and on Linux the kernel kills it, too.
type child struct {
	name   string
	cmd    *exec.Cmd
	output *tail
	// gone is closed when the process has ended and nothing of it is to come.
	gone chan struct{}
	err  error // how it ended; nil: with exit code 0

	lifeline io.Closer
	// Of the loop: the process was killed, or asked to end; it stands still.
	killed, asked, paused bool
}

// A starter starts processes on one thread that lives as long as it does: Linux tells a child of the death of the thread
// that started it.
type starter struct {
	starts chan func()
	ended  sync.WaitGroup
}

func newStarter() *starter {
	s := &starter{starts: make(chan func())}
	s.ended.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for start := range s.starts {
			start()
		}
	})
	return s
}

// close ends the thread. All children must have ended.
func (s *starter) close() {
	close(s.starts)
	s.ended.Wait()
}

// start starts a program. Extra files become its descriptors from 3 on; they are closed here.
func (s *starter) start(name string, environ []string, stdout io.Writer, extra []*os.File, argv ...string) (*child, error) {
	defer func() {
		for _, file := range extra {
			_ = file.Close() // The child has a copy.
		}
	}()
	c := &child{name: name, output: &tail{}, gone: make(chan struct{})}
	c.cmd = exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // The programs that the caller names; Close ends them.
	c.cmd.Env = environ
	c.cmd.Stdout, c.cmd.Stderr = stdout, c.output
	c.cmd.ExtraFiles = extra
	c.cmd.SysProcAttr = attributes()
	c.cmd.WaitDelay = time.Second
	lifeline, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.lifeline = lifeline
	result := make(chan error, 1)
	s.starts <- func() { result <- c.cmd.Start() }
	if err := <-result; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { // Ends with the process, which Close sees to.
		c.err = c.cmd.Wait()
		close(c.gone)
	}()
	return c, nil
}

func (c *child) running() bool {
	select {
	case <-c.gone:
		return false
	default:
		return true
	}
}

// signal sends a signal to the process and its group, which may find nobody any more.
func (c *child) signal(sig syscall.Signal) { _ = syscall.Kill(-c.cmd.Process.Pid, sig) }

// kill ends the process as a power cut does, and waits for that.
func (c *child) kill() {
	c.killed = true
	if c.running() {
		c.signal(syscall.SIGKILL)
	}
	<-c.gone
	_ = c.lifeline.Close()
}

// unexpected returns what is wrong with the end of the process: nil if that is the run's doing.
func (c *child) unexpected() error {
	switch {
	case c.panicked(), !c.killed && !c.asked, c.asked && !c.killed && c.err != nil:
		return c.endedByItself()
	}
	return nil
}

// endedByItself is the error of a process that nobody ended.
func (c *child) endedByItself() error {
	err := c.err
	if err == nil {
		err = errors.New("exit code 0")
	}
	return &engine.HostError{Host: c.name, Err: err, Panicked: c.panicked(), Output: c.output.String()}
}

// bugs is what no program may ever write.
var bugs = regexp.MustCompile(`(?m)^(panic: |fatal error: |WARNING: DATA RACE)|handler panicked`)

// panicked says whether the process has written that it has a bug.
func (c *child) panicked() bool { return bugs.MatchString(c.output.String()) }

// A tail is the end of what was written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - 2*outputTail; over > 0 {
		t.text = append(t.text[:0], t.text[len(t.text)-outputTail:]...)
	}
	return len(p), nil
}

// String returns the end, from the beginning of a line on.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.text
	if over := len(text) - outputTail; over > 0 {
		text = text[over:]
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	return string(text)
}

// A firstLine takes what a process writes, and passes its first line on.
type firstLine struct {
	line chan string // has room for it
	text []byte
	done bool
}

func newFirstLine() *firstLine { return &firstLine{line: make(chan string, 1)} }

// Write implements io.Writer.
func (f *firstLine) Write(p []byte) (int, error) {
	if !f.done {
		f.text = append(f.text, p...)
		if line, _, ok := bytes.Cut(f.text, []byte("\n")); ok {
			f.done, f.text = true, nil
			f.line <- string(line)
		}
	}
	return len(p), nil
}
