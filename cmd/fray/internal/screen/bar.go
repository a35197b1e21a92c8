package screen

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/frayrpc/fray/internal/visible"
)

const (
	// drawPause is how long after one drawing of the bar the next one is.
	drawPause = 150 * time.Millisecond
	// barWidth is how many columns the bar itself has, where there is room.
	barWidth = 40
	// margin is how many columns stay free at the right: those of a ^C that the terminal shows.
	margin = 3
	// leastColumns is what there has to be for anything to be drawn. defaultColumns is for a terminal that does
	// not tell.
	leastColumns   = 12
	defaultColumns = 80
	// maxWhat is how many characters of what is done are shown.
	maxWhat = 40
)

// progress is how far it is.
type progress struct {
	what        string
	done, total int
	failed      int
	estimate    bool
}

// line is the progress in one line of so many columns at most.
func (p progress) line(took time.Duration, columns int) string {
	room := columns - margin
	if room < leastColumns-margin || p.what == "" && p.total == 0 {
		return ""
	}
	var parts []string
	if p.what != "" {
		parts = append(parts, shorten(visible.Line(p.what), maxWhat))
	}
	var after []string
	if p.failed > 0 {
		after = append(after, fmt.Sprintf("%d failed", p.failed))
	}
	length := took.Round(time.Second).String()
	if p.estimate && p.done > 0 && p.done < p.total {
		left := took / time.Duration(p.done) * time.Duration(p.total-p.done) // within: of a run's length
		length += ", " + left.Round(time.Second).String() + " left"
	}
	after = append(after, length)
	if p.total > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d", p.done, p.total))
		others := strings.Join(append(slices.Clone(parts), after...), " ")
		if width := min(barWidth, room-utf8.RuneCountInString(others)-len(" []")); width > 0 {
			full := min(width, width*p.done/p.total)
			parts = append(parts, "["+strings.Repeat("=", full)+strings.Repeat("-", width-full)+"]")
		}
	}
	return shorten(strings.Join(append(parts, after...), " "), room)
}

// shorten cuts a text to so many characters.
func shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most])
}

// bar is one line of a terminal, which is taken away before anything else is written there. Its methods may be
// called by several goroutines.
type bar struct {
	terminal io.Writer
	width    func() int
	begin    time.Time

	mu       sync.Mutex
	progress progress
	drawn    int  // columns that the line has on the terminal; 0: it is not there
	over     bool // nothing is drawn any more
	midLine  bool // what was written last was no whole line

	stop chan struct{}
	done sync.WaitGroup
}

// newBar draws a bar, until its end.
func newBar(terminal io.Writer, width func() int) *bar {
	b := &bar{terminal: terminal, width: width, begin: time.Now(), stop: make(chan struct{})}
	b.draw()
	b.done.Go(func() {
		ticker := time.NewTicker(drawPause)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				b.draw()
			case <-b.stop:
				return
			}
		}
	})
	return b
}

func (b *bar) change(how func(*progress)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	how(&b.progress)
}

// draw draws it anew.
func (b *bar) draw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || b.midLine {
		return
	}
	line := b.progress.line(time.Since(b.begin), b.columns())
	_, _ = io.WriteString(b.terminal, b.erasure()+line) // who cannot see it needs no bar
	b.drawn = utf8.RuneCountInString(line)
}

func (b *bar) columns() int {
	if n := b.width(); n > 0 {
		return n
	}
	return defaultColumns
}

// erasure is what takes the line from the terminal, and leaves the cursor where the line began. A terminal that
// has become narrower shows it on several lines.
func (b *bar) erasure() string {
	if b.drawn == 0 {
		return ""
	}
	up := (b.drawn - 1) / b.columns()
	b.drawn = 0
	if up > 0 {
		return fmt.Sprintf("\x1b[%dA\r\x1b[J", up)
	}
	return "\r\x1b[J"
}

// end takes the bar away for good.
func (b *bar) end() {
	b.mu.Lock()
	already := b.over
	b.over = true
	_, _ = io.WriteString(b.terminal, b.erasure()) // who cannot see it needs no bar
	b.mu.Unlock()
	if !already {
		close(b.stop)
	}
	b.done.Wait()
}

// above returns a writer to w, which leads to the same terminal.
func (b *bar) above(w io.Writer) io.Writer { return &aboveBar{b, w} }

type aboveBar struct {
	bar *bar
	w   io.Writer
}

// Write implements io.Writer.
func (a *aboveBar) Write(data []byte) (int, error) {
	b := a.bar
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(data) == 0 {
		return 0, nil
	}
	_, _ = io.WriteString(b.terminal, b.erasure()) // who cannot see it needs no bar
	b.midLine = data[len(data)-1] != '\n'
	return a.w.Write(data)
}
