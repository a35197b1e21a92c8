package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progress is a bar on a terminal that shows how far a sweep is: seeds, failures, rate, time to go. Nil shows nothing, which is so
// wherever nobody looks: a log of CI is no place for it.
type progress struct {
	all    *mpb.Progress
	bar    *mpb.Bar
	failed atomic.Uint64
}

// newProgress returns a bar for some seeds if w is a terminal.
func newProgress(w io.Writer, seeds uint64) *progress {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) { //nolint:gosec // A descriptor is small.
		return nil
	}
	p := &progress{all: mpb.New(mpb.WithOutput(w), mpb.WithWidth(40))}
	p.bar = p.all.AddBar(int64(seeds), mpb.BarRemoveOnComplete(), //nolint:gosec // A sweep is bounded.
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d seeds ")),
		mpb.AppendDecorators(
			decor.Any(func(decor.Statistics) string {
				if n := p.failed.Load(); n > 0 {
					return fmt.Sprintf(" %d failed,", n)
				}
				return ""
			}),
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
	p.bar.Increment()
}

// finish takes the bar away.
func (p *progress) finish() {
	if p == nil {
		return
	}
	p.bar.Abort(true)
	p.all.Wait()
}
