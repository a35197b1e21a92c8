package simtest

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/frayrpc/fray/internal/number"
)

// progress is a bar on a terminal that shows how far a sweep is: seeds, failures, rate, time to go.
// Nil shows nothing, which is so wherever nobody looks: a log of CI is no place for it.
type progress struct {
	all    *mpb.Progress
	bar    *mpb.Bar
	failed atomic.Uint64
	// Of one that shows time: since when, and the seeds so far.
	began time.Time
	ran   atomic.Uint64
}

// newProgress returns a bar for some seeds, or for as many as there is time for, if w is a
// terminal.
func newProgress(w io.Writer, seeds uint64, lasts time.Duration) *progress {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) { // A descriptor is small.
		return nil
	}
	p := &progress{all: mpb.New(mpb.WithOutput(w), mpb.WithWidth(40))}
	failed := decor.Any(func(decor.Statistics) string {
		if n := p.failed.Load(); n > 0 {
			return fmt.Sprintf(" %d failed,", n)
		}
		return ""
	})
	if lasts > 0 {
		p.began = time.Now()
		p.bar = p.all.AddBar(number.Millis(lasts), mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return fmt.Sprintf("%d seeds ", p.ran.Load()) })),
			mpb.AppendDecorators(failed, decor.Any(func(decor.Statistics) string {
				return fmt.Sprintf(" %s to go", max(0, lasts-time.Since(p.began)).Round(time.Second))
			})))
		return p
	}
	p.bar = p.all.AddBar(int64(seeds), mpb.BarRemoveOnComplete(), //nolint:gosec // A sweep is bounded.
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d seeds ")),
		mpb.AppendDecorators(
			failed,
			decor.AverageSpeed(0, " %.1f seeds/s, "),
			decor.AverageETA(decor.ET_STYLE_GO),
			decor.Name(" to go"),
		),
	)
	return p
}

// add notes that a seed has run.
func (p *progress) add(failed bool) {
	if p == nil {
		return
	}
	if failed {
		p.failed.Add(1)
	}
	if p.began.IsZero() {
		p.bar.Increment()
		return
	}
	p.ran.Add(1)
	p.bar.SetCurrent(number.Millis(time.Since(p.began)))
}

// above returns where lines go that are to stand above the bar, which is w where there is none.
func (p *progress) above(w io.Writer) io.Writer {
	if p == nil {
		return w
	}
	return p.all
}

// finish takes the bar away.
func (p *progress) finish() {
	if p == nil {
		return
	}
	p.bar.Abort(true)
	p.all.Wait()
}
