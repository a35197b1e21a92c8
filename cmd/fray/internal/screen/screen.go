// Package screen is where a command writes that shows how far it is: its outputs, and on a terminal
// a progress bar that stays below them.
package screen

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// Screen is where a command writes: its results, what goes wrong, and on a terminal how far it is.
// The progress bar stays below whatever else goes to the terminal.
type Screen struct {
	// Out is for results; one goroutine writes it.
	Out *bufio.Writer
	// Err is for messages; several goroutines write it, each time whole lines.
	Err io.Writer

	stderr  io.Writer
	outPart *wholeLines // nil: Out is no terminal with a bar
	errPart *wholeLines

	progress *mpb.Progress // nil: there is no bar
	bar      *mpb.Bar
	total    atomic.Int64
	failed   atomic.Int64
	doing    atomic.Pointer[string]
}

// New returns a screen over the two outputs of a command. It has a bar if that is wanted and stderr
// is a terminal. Its owner calls Finish.
func New(stdout, stderr io.Writer, progress bool) *Screen {
	s := &Screen{Out: bufio.NewWriterSize(stdout, 64<<10), Err: Shared(stderr), stderr: stderr}
	if !progress || !IsTerminal(stderr) {
		return s
	}
	s.progress = mpb.New(mpb.WithOutput(stderr), mpb.WithWidth(40))
	s.bar = s.progress.AddBar(0,
		mpb.PrependDecorators(
			decor.Any(func(decor.Statistics) string {
				if what := s.doing.Load(); what != nil {
					return *what + " "
				}
				return ""
			}),
			decor.CountersNoUnit("%d of %d ", decor.WCSyncSpace),
		),
		mpb.AppendDecorators(
			decor.Any(func(decor.Statistics) string {
				if n := s.failed.Load(); n > 0 {
					return fmt.Sprintf(" %d failed ", n)
				}
				return " "
			}),
			decor.Elapsed(decor.ET_STYLE_GO),
		),
	)
	s.errPart = &wholeLines{w: s.progress}
	s.Err = s.errPart
	if IsTerminal(stdout) {
		s.outPart = &wholeLines{w: s.progress}
		s.Out = bufio.NewWriterSize(s.outPart, 64<<10)
	}
	return s
}

// Added notes that there is more to do, n times.
func (s *Screen) Added(n int) {
	total := s.total.Add(int64(n))
	if s.bar != nil {
		s.bar.SetTotal(total, false)
	}
}

// Doing says what is being done, when so many things of all are done.
func (s *Screen) Doing(what string, done, all int) {
	s.doing.Store(&what)
	if s.bar != nil {
		s.bar.SetTotal(int64(all), false)
		s.bar.SetCurrent(int64(done))
	}
}

// Ended notes that one thing is done, or has failed.
func (s *Screen) Ended(ok bool) {
	if !ok {
		s.failed.Add(1)
	}
	if s.bar != nil {
		s.bar.Increment()
	}
}

// Finish takes the bar away, after which everything goes where it went without one. Its error is
// that of Out.
func (s *Screen) Finish() error {
	err := s.Out.Flush()
	if s.progress == nil {
		return err
	}
	for _, part := range []*wholeLines{s.outPart, s.errPart} {
		if part != nil {
			part.flush(nil)
		}
	}
	s.bar.Abort(true)
	s.progress.Wait()
	s.progress = nil
	s.errPart.flush(s.stderr)
	return err
}

// maxPartLine is how much of a line that does not end is held back.
const maxPartLine = 64 << 10

// wholeLines passes on whole lines, for a bar would be drawn over the beginning of one, and what is
// too long for that.
type wholeLines struct {
	mu   sync.Mutex
	w    io.Writer
	rest []byte
}

// Write implements io.Writer.
func (l *wholeLines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := bytes.LastIndexByte(data, '\n') + 1
	if len(data)-end > maxPartLine || end == 0 && len(l.rest)+len(data) > maxPartLine {
		end = len(data)
	}
	if end > 0 {
		l.rest = append(l.rest, data[:end]...)
		if _, err := l.w.Write(l.rest); err != nil {
			return 0, err
		}
		l.rest = l.rest[:0]
	}
	l.rest = append(l.rest, data[end:]...)
	return len(data), nil
}

// flush ends a line that has not ended, and passes it on. If next is not nil, everything goes there
// from then on.
func (l *wholeLines) flush(next io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if next != nil {
		l.w = next
	}
	if len(l.rest) > 0 {
		_, _ = l.w.Write(append(l.rest, '\n'))
		l.rest = nil
	}
}

// IsTerminal reports whether stream is a terminal that a person may look at.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) // A descriptor is small.
}
