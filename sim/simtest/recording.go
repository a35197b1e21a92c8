package simtest

import (
	"bufio"
	"io"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/timeline"
)

// A recording is what is written down of a run while it goes on. Nil records nothing.
type recording struct {
	// traces get each event of the run, as a line of JSON.
	traces []io.Writer
	// page is what a drawing of the run is made from; nil: none is wanted.
	page *timeline.Collector
}

// listen has a run's options tell the recording what happens. The function that it returns writes
// what is left when the run is over.
func (r *recording) listen(options *virtual.Options) (flush func() error) {
	flush = func() error { return nil }
	if r == nil {
		return flush
	}
	if len(r.traces) > 0 {
		buffered := bufio.NewWriter(io.MultiWriter(r.traces...))
		options.Trace, flush = buffered, buffered.Flush
	}
	if r.page != nil {
		r.page.Listen(options)
	}
	return flush
}

// writePage draws a run that is over as a page for a browser. It is that of a seed of a subject.
func (r *recording) writePage(w io.Writer, result *engine.Result, of *subject) error {
	page, err := r.page.Page(result, of.Command(result.Seed), report.Tell(of.Subject, result))
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(w)
	if err := page.Write(buffered); err != nil {
		return err
	}
	return buffered.Flush()
}
