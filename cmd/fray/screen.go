package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// screen is where map writes: what commands print, what goes wrong, and on a terminal how far it is. The progress bar
// stays below whatever else goes to the terminal.
type screen struct {
	// What commands print; one goroutine writes it.
	out *bufio.Writer
	// What commands print to their standard error, and messages; several goroutines write it.
	err io.Writer

	stderr  io.Writer
	outPart *wholeLines // nil: out is no terminal with a bar
	errPart *wholeLines

	progress *mpb.Progress // nil: there is no bar
	bar      *mpb.Bar
	total    atomic.Int64
	failed   atomic.Int64
}

func (a *app) newScreen(showProgress bool) *screen {
	s := &screen{out: bufio.NewWriterSize(a.stdout, 64<<10), err: &lineWriter{w: a.stderr}, stderr: a.stderr}
	if !showProgress || !isTTY(a.stderr) {
		return s
	}
	s.progress = mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(40))
	s.bar = s.progress.AddBar(0,
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d ", decor.WCSyncSpace)),
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
	s.err = s.errPart
	if isTTY(a.stdout) {
		s.outPart = &wholeLines{w: s.progress}
		s.out = bufio.NewWriterSize(s.outPart, 64<<10)
	}
	return s
}

// added notes that there are n more inputs.
func (s *screen) added(n int) {
	total := s.total.Add(int64(n))
	if s.bar != nil {
		s.bar.SetTotal(total, false)
	}
}

// ended notes that a command has ended.
func (s *screen) ended(ok bool) {
	if !ok {
		s.failed.Add(1)
	}
	if s.bar != nil {
		s.bar.Increment()
	}
}

// finish takes the bar away, after which everything goes where it went without one.
func (s *screen) finish() error {
	err := s.out.Flush()
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

// wholeLines passes on whole lines, for a bar would be drawn over the beginning of one, and what is too long for that.
type wholeLines struct {
	mu   sync.Mutex
	w    io.Writer
	rest []byte
}

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

// flush ends a line that has not ended, and passes it on. If next is not nil, everything goes there from then on.
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
