package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/scenario/timeline"
)

// A drawing is the page of a run that --html asks for.
type drawing struct {
	file      *os.File
	collector *timeline.Collector
	replay    string
}

// draw prepares the page of a run, and has the run's options tell it what happens. It returns nil if no page is asked for.
func draw(o *runOptions, s *scenario.Scenario, seed uint64, options *scenario.Options) (*drawing, error) {
	if o.html == "" {
		return nil, nil //nolint:nilnil // There is nothing to draw, and nothing wrong with that.
	}
	file, err := os.Create(o.html)
	if err != nil {
		return nil, invalid("write page: %w", err)
	}
	d := &drawing{file: file, collector: timeline.New(s), replay: fmt.Sprintf("fray-sim --scenario %s --seed %d", o.scenario, seed)}
	d.collector.Listen(options)
	return d, nil
}

// finish writes the page, unless there was no run.
func (d *drawing) finish(result *scenario.Result) error {
	if d == nil {
		return nil
	}
	if result == nil {
		return d.file.Close()
	}
	page, err := d.collector.Page(result, d.replay)
	if err != nil {
		return errors.Join(err, d.file.Close())
	}
	buffered := bufio.NewWriter(d.file)
	return errors.Join(page.Write(buffered), buffered.Flush(), d.file.Close())
}
