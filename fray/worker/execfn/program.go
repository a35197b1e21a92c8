package execfn

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/frayrpc/fray/internal/children"
)

const (
	// killPause is how long after a SIGKILL a program that has not ended is looked at again,
	// killRounds how often.
	killPause  = 50 * time.Millisecond
	killRounds = 20
)

// exit is how a process ended.
type exit struct{ err error }

// program is one that runs.
type program struct {
	cmd     *exec.Cmd
	group   *cgroup    // nil: it has none
	stdin   *os.File   // the writing end; nil: it has no input
	reading []*os.File // the reading ends of its outputs
	readers sync.WaitGroup
	ended   chan exit
	begin   uint64 // no later than its start, as stragglers compare it

	mu      sync.Mutex
	broken  error         // why an output could not be kept
	failed  chan struct{} // closed with it
	escaped []straggler   // what SIGTERM was sent to besides the group
}

// newProgram starts cmd with pipes to and from it; a file that is its input the caller closes.
func (cfg *Config) newProgram(cmd *exec.Cmd, stdin []byte, file *os.File, o *outputs) (_ *program, err error) {
	p := &program{cmd: cmd, begin: startTicks(), ended: make(chan exit, 1), failed: make(chan struct{})}
	var theirs []*os.File
	defer func() {
		closeAll(theirs)
		if err != nil {
			closeAll(p.reading)
			closeAll([]*os.File{p.stdin})
			p.group.remove()
		}
	}()
	for _, end := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		theirs, p.reading = append(theirs, w), append(p.reading, r)
		*end = w
	}
	if file != nil {
		cmd.Stdin = file
	} else if len(stdin) > 0 {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		theirs, p.stdin = append(theirs, r), w
		cmd.Stdin = r
	}
	if err := cfg.User.own(theirs); err != nil {
		return nil, err
	}
	if p.group, err = cfg.Cgroup.group(); err != nil {
		return nil, err
	}
	p.group.join(cmd)
	if err := cfg.Limits.start(cmd); err != nil {
		return nil, err
	}
	if err := p.group.bound(); err != nil {
		_ = cmd.Process.Kill() // it may have ended
		_ = children.Wait(cmd) // it was killed
		return nil, err
	}
	for i, into := range []*output{&o.stdout, &o.stderr} {
		p.readers.Go(func() { p.read(into, p.reading[i]) })
	}
	if p.stdin != nil {
		p.readers.Go(func() {
			_, _ = p.stdin.Write(stdin) // it need not be read
			_ = p.stdin.Close()
		})
	}
	go func() { p.ended <- exit{children.Wait(cmd)} }() // wait receives it
	return p, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close() // nothing was written to it here
		}
	}
}

// buffers are those of read that nothing uses: each is as large as what a pipe holds, and most commands
// print next to nothing.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// read keeps what comes from a pipe until everything has let go of it.
func (p *program) read(into *output, from *os.File) {
	room := buffers.Get().(*[64 << 10]byte) //nolint:errcheck,forcetypeassert // It has nothing else.
	defer buffers.Put(room)
	buffer := room[:]
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := into.Write(buffer[:n]); err != nil {
				p.fail(err)
				_, _ = io.Copy(io.Discard, from) // until it is killed
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *program) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken == nil {
		p.broken = err
		close(p.failed)
	}
}

// wait waits until the program has ended and everything has let go of its outputs, and ends it
// before if ctx is done or they cannot be kept. It returns an error if the program has not ended by
// itself.
func (p *program) wait(ctx context.Context, logger *slog.Logger) error {
	defer p.group.remove()
	outputs := make(chan struct{})
	go func() {
		p.readers.Wait()
		close(outputs)
	}()
	defer func() {
		closeAll(p.reading) // so that the readers end, whichever process holds the other ends
		closeAll([]*os.File{p.stdin})
		<-outputs
	}()
	notice := time.NewTimer(0)
	notice.Stop()
	defer notice.Stop()
	ended, open := p.ended, outputs
	var err error
	for ended != nil || open != nil {
		select {
		case e := <-ended:
			ended, err = nil, e.err
			notice.Reset(lingerNotice)
			if p.stdin != nil {
				_ = p.stdin.Close() // nothing else is to be given it
			}
		case <-open:
			open = nil
		case <-notice.C:
			logger.Warn("program has ended, but what it started keeps its output open: waiting for that",
				"program", p.cmd.Args[0], "pid", p.cmd.Process.Pid)
		case <-ctx.Done():
			p.end(ended, open)
			return context.Cause(ctx)
		case <-p.failed:
			p.end(ended, open)
			return p.broken
		}
	}
	killGroup(p.cmd)
	var nonzero *exec.ExitError
	if errors.As(err, &nonzero) {
		return nil
	}
	return err
}

// end ends the program and what belongs to it: it asks, and then kills.
func (p *program) end(ended <-chan exit, open <-chan struct{}) {
	p.terminate()
	timer := time.NewTimer(killGrace)
	defer timer.Stop()
	for round := 0; ; {
		select {
		case <-ended:
			ended = nil
		case <-open:
			open = nil
		case <-timer.C:
			if round++; round > killRounds {
				if ended != nil {
					<-ended // SIGKILL has been sent: only the kernel can hold it up
				}
				return
			}
			p.kill()
			timer.Reset(killPause)
		}
		if ended == nil && open == nil {
			p.kill() // what is left, and does not hold the outputs
			return
		}
	}
}
