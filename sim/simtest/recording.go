package simtest

import (
	"bufio"
	"errors"
	"io"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/story"
	"github.com/frayrpc/fray/sim/timeline"
)

// A recording is what is written down of a run while it goes on. Nil records nothing.
type recording struct {
	// traces get each event of the run, and histories each of the system's history, as a line of
	// JSON.
	traces    []io.Writer
	histories []io.Writer
	// page is what a drawing of the run is made from; nil: none is wanted.
	page *timeline.Collector
	// story keeps what happened to each thing; nil: nobody asks.
	story *story.Recorder
	// pins gets what chance decides, at once; nil: nobody asks.
	pins io.Writer
	// why is what a run that failed rests on; nil: nobody asked, or nothing tells.
	why *story.Why
}

// listen has a run's options tell the recording what happens. The function that it returns writes
// what is left when the run is over.
func (r *recording) listen(options *virtual.Options) (flush func() error) {
	if r == nil {
		return func() error { return nil }
	}
	var flushes []func() error
	if len(r.traces) > 0 {
		buffered := bufio.NewWriter(io.MultiWriter(r.traces...))
		options.Trace = buffered
		flushes = append(flushes, buffered.Flush)
	}
	if len(r.histories) > 0 {
		w := &historyWriter{to: io.MultiWriter(r.histories...)}
		w.listen(options)
		flushes = append(flushes, w.flush)
	}
	if r.page != nil {
		r.page.Listen(options)
	}
	if r.pins != nil {
		listenForPins(options, r.pins)
	}
	if r.story != nil {
		r.story.Listen(options)
	}
	return func() (err error) {
		for _, f := range flushes {
			err = errors.Join(err, f())
		}
		return err
	}
}

// writePage draws a run that is over as a page for a browser. It is that of a seed of a subject.
func (r *recording) writePage(w io.Writer, result *engine.Result, of *subject) error {
	page, err := r.page.Page(result, of.Command(result.Seed), report.Tell(of.Subject, result))
	if err != nil {
		return err
	}
	page.Why = r.why
	buffered := bufio.NewWriter(w)
	if err := page.Write(buffered); err != nil {
		return err
	}
	return buffered.Flush()
}
