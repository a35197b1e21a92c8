package process

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"

	"github.com/frayrpc/fray/internal/children"
	"github.com/frayrpc/fray/sim/engine"
)

// outputTail is how much is kept of what a process writes to its standard error, in bytes.
const outputTail = 16 << 10

// A child is a process of the run. None outlives this process: see [children.Starter].
type child struct {
	*children.Child

	name   string
	output *tail
	// Of the loop: the process was killed, or asked to end; it may end by itself; it stands still.
	killed, asked, excused, paused bool
}

// spawn starts a program. Extra files become its descriptors from 3 on; they are closed here.
func (s *stage) spawn(name string, stdout io.Writer, extra []*os.File, argv ...string) (*child, error) {
	defer func() {
		for _, file := range extra {
			_ = file.Close() // The child has a copy.
		}
	}()
	c := &child{name: name, output: &tail{}, excused: s.excused[name]}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // The programs that the caller names; close ends them.
	cmd.Env, cmd.ExtraFiles = s.config.Environ, extra
	cmd.Stdout, cmd.Stderr = stdout, c.output
	var err error
	if c.Child, err = s.starter.Start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

// kill ends the process as a power cut does, and waits for that.
func (c *child) kill() {
	c.killed = true
	_ = c.Kill() // unexpected tells how it ended
}

// unexpected returns what is wrong with the end of the process: nil if that is the run's doing.
func (c *child) unexpected() error {
	switch {
	case c.panicked(), !c.killed && !c.asked && !c.excused, !c.killed && c.Wait() != nil:
		return c.endedByItself()
	}
	return nil
}

// endedByItself is the error of a process that nobody ended.
func (c *child) endedByItself() error {
	err := cmp.Or(c.Wait(), errors.New("exit code 0"))
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
