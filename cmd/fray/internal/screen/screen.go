// Package screen is where a command writes that shows how far it is: its outputs, and on a terminal
// a progress bar that stays below them and leaves nothing behind.
package screen

import (
	"bufio"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// Screen is where a command writes: its results, what goes wrong, and on a terminal how far it is.
// The progress bar stays below whatever else goes to the terminal.
type Screen struct {
	// Out is for results; one goroutine writes it.
	Out *bufio.Writer
	// Err is for messages; several goroutines write it, each time whole lines.
	Err io.Writer

	outPart *wholeLines // nil: Out is no terminal with a bar
	errPart *wholeLines
	bar     *bar // nil: there is none
}

// New returns a screen over the two outputs of a command. It has a bar if that is wanted and stderr
// is a terminal. Its owner calls Finish.
func New(stdout, stderr io.Writer, progress bool) *Screen {
	s := &Screen{Out: bufio.NewWriterSize(stdout, 64<<10), Err: Shared(stderr)}
	file, ok := stderr.(*os.File)
	if !progress || !ok || !IsTerminal(stderr) {
		return s
	}
	s.begin(stdout, stderr, func() int {
		width, _, _ := term.GetSize(int(file.Fd())) // A descriptor is small.
		return width
	}, IsTerminal(stdout))
	return s
}

// begin draws a bar on terminal, whose width tells how many columns it has. both: stdout is the same.
func (s *Screen) begin(stdout, terminal io.Writer, width func() int, both bool) {
	s.bar = newBar(terminal, width)
	s.errPart = &wholeLines{w: s.bar.above(terminal)}
	s.Err = s.errPart
	if both {
		s.outPart = &wholeLines{w: s.bar.above(stdout)}
		s.Out = bufio.NewWriterSize(s.outPart, 64<<10)
	}
}

// Added notes that there is more to do, n times.
func (s *Screen) Added(n int) {
	if s.bar != nil {
		s.bar.change(func(p *progress) { p.total += n })
	}
}

// Say says what is being done.
func (s *Screen) Say(what string) {
	if s.bar != nil {
		s.bar.change(func(p *progress) { p.what = what })
		s.bar.draw()
	}
}

// Estimate has the bar say when everything will be done, by how long it took so far.
func (s *Screen) Estimate() {
	if s.bar != nil {
		s.bar.change(func(p *progress) { p.estimate = true })
	}
}

// Doing says what is being done, when so many things of all are done.
func (s *Screen) Doing(what string, done, all int) {
	if s.bar != nil {
		s.bar.change(func(p *progress) { p.what, p.done, p.total = what, done, all })
	}
}

// Ended notes that one thing is done, or has failed.
func (s *Screen) Ended(ok bool) {
	if s.bar == nil {
		return
	}
	s.bar.change(func(p *progress) {
		p.done++
		if !ok {
			p.failed++
		}
	})
}

// Finish takes the bar away, after which everything goes where it went without one. Its error is
// that of Out. It may be repeated.
func (s *Screen) Finish() error {
	err := s.Out.Flush()
	if s.bar == nil {
		return err
	}
	for _, part := range []*wholeLines{s.outPart, s.errPart} {
		if part != nil {
			part.flush()
		}
	}
	s.bar.end()
	return err
}

// maxPartLine is how much of a line that does not end is held back.
const maxPartLine = 64 << 10

// IsTerminal reports whether stream is a terminal that a person may look at.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) // A descriptor is small.
}

// wholeLines passes on whole lines, for a bar would be drawn over the beginning of one, and what is
// too long for that.
type wholeLines struct {
	mu   sync.Mutex
	w    io.Writer
	rest []byte
	over bool // there is no bar any more, and nothing is held back
}
