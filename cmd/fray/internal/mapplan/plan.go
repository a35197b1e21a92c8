package mapplan

import (
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
)

// Bounds of a plan.
const (
	// MaxPerJob is how many rows of arguments a job may have.
	MaxPerJob = 100_000
	// maxKept is how many bytes of arguments stand in memory: of all sources but the first, and of all that
	// is to be shuffled or counted before it begins.
	maxKept = 256 << 20
	// perArgument is what an argument costs besides its bytes.
	perArgument = 32
)

// A Job is one command.
type Job struct {
	// Number counts from 1.
	Number int
	// Args are the arguments, by which people know it.
	Args []string
	// Block is what the command is given as its input; nil: it is given none.
	Block []byte
	// Partial: it is the last one, and has fewer rows than the others.
	Partial bool
}

// Name is the arguments in one line.
func (j Job) Name() string { return strings.Join(j.Args, " ") }

// Options say how jobs are made of sources.
type Options struct {
	// Open opens a file of arguments; what comes of it is closed with its last line.
	Open func(path string) (io.ReadCloser, error)
	// Delimiter ends each value of a file.
	Delimiter byte
	// Columns cuts each value into several arguments; nil: it is one.
	Columns *regexp.Regexp
	// PerJob is how many rows of arguments each job has. With none, as NoArguments says, one row is taken,
	// and its arguments are not.
	PerJob      int
	NoArguments bool
	// Shuffle has jobs in random order; nil: in that of the sources.
	Shuffle *rand.Rand
}

// row is a row of arguments, or the error that ends them.
type rows = iter.Seq2[[]string, error]

// Jobs yields the jobs of some sources. It ends with the first error.
func Jobs(sources []Source, o Options) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		all := combine(groups(sources, o))
		if o.Shuffle != nil {
			all = shuffled(all, o.Shuffle)
		}
		job := Job{}
		perJob := max(1, o.PerJob)
		taken := 0
		for row, err := range all {
			if err != nil {
				yield(Job{}, err)
				return
			}
			if !o.NoArguments {
				job.Args = append(job.Args, row...)
			}
			if taken++; taken < perJob {
				continue
			}
			job.Number++
			if !yield(job, nil) {
				return
			}
			job.Args, taken = nil, 0
		}
		if taken > 0 {
			job.Number++
			job.Partial = true
			yield(job, nil)
		}
	}
}

// groups are the sources, each with those that are linked with it.
func groups(sources []Source, o Options) []rows {
	var all []rows
	var group []rows
	for _, s := range sources {
		if !s.Linked && len(group) > 0 {
			all = append(all, link(group))
			group = nil
		}
		group = append(group, s.rows(o))
	}
	if len(group) > 0 {
		all = append(all, link(group))
	}
	return all
}

// rows yields the values of a source, each cut into its columns.
func (s Source) rows(o Options) rows {
	cut := func(value string) []string {
		if o.Columns == nil {
			return []string{value}
		}
		columns := o.Columns.Split(value, -1)
		for i, column := range columns {
			columns[i] = strings.Trim(column, " \t\r\n")
		}
		return columns
	}
	return func(yield func([]string, error) bool) {
		if s.Values != nil {
			for _, value := range s.Values {
				if !yield(cut(value), nil) {
					return
				}
			}
			return
		}
		name := s.Path
		if name == "-" {
			name = "standard input"
		}
		r, err := o.Open(s.Path)
		if err != nil {
			yield(nil, &InputError{fmt.Errorf("open inputs: %w", err)})
			return
		}
		defer r.Close() //nolint:errcheck // It was only read.
		for value, err := range Read(r, name, o.Delimiter) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(cut(value), nil) {
				return
			}
		}
	}
}

// link joins the first rows of all, then the second ones, and so on, until the shortest ends.
func link(all []rows) rows {
	if len(all) == 1 {
		return all[0]
	}
	return func(yield func([]string, error) bool) {
		nexts := make([]func() ([]string, error, bool), len(all))
		stops := make([]func(), len(all))
		for i, r := range all {
			nexts[i], stops[i] = iter.Pull2(r)
		}
		defer func() {
			for _, stop := range stops {
				stop()
			}
		}()
		for {
			var joined []string
			for _, next := range nexts {
				row, err, ok := next()
				if !ok {
					return
				}
				if err != nil {
					yield(nil, err)
					return
				}
				joined = append(joined, row...)
			}
			if !yield(joined, nil) {
				return
			}
		}
	}
}

// combine joins each row of the first with each of the second, and so on; the last changes fastest. All but
// the first are read before the first is.
func combine(all []rows) rows {
	switch len(all) {
	case 0:
		return func(func([]string, error) bool) {}
	case 1:
		return all[0]
	}
	return func(yield func([]string, error) bool) {
		room := maxKept
		rest := make([][][]string, 0, len(all)-1)
		for _, r := range all[1:] {
			kept, err := keep(r, &room)
			if err != nil {
				yield(nil, err)
				return
			}
			rest = append(rest, kept)
		}
		for row, err := range all[0] {
			if err != nil {
				yield(nil, err)
				return
			}
			if !product(row, rest, yield) {
				return
			}
		}
	}
}

// product yields a row joined with each of the first list, and each of the second, and so on.
func product(row []string, rest [][][]string, yield func([]string, error) bool) bool {
	if len(rest) == 0 {
		return yield(row, nil)
	}
	for _, next := range rest[0] {
		joined := make([]string, 0, len(row)+len(next))
		joined = append(append(joined, row...), next...)
		if !product(joined, rest[1:], yield) {
			return false
		}
	}
	return true
}

// keep reads rows to their end into memory, of which room has so many bytes left.
func keep(r rows, room *int) (kept [][]string, err error) {
	for row, err := range r {
		if err != nil {
			return nil, err
		}
		for _, arg := range row {
			*room -= len(arg) + perArgument
		}
		if *room < 0 {
			return nil, &InputError{fmt.Errorf("more than %d bytes of inputs would have to stand in memory: with several sources, put the longest first; else leave out --shuf and percentages in --halt", maxKept)}
		}
		kept = append(kept, row)
	}
	return kept, nil
}

// shuffled has the rows in random order.
func shuffled(r rows, random *rand.Rand) rows {
	return func(yield func([]string, error) bool) {
		room := maxKept
		kept, err := keep(r, &room)
		if err != nil {
			yield(nil, err)
			return
		}
		random.Shuffle(len(kept), func(i, j int) { kept[i], kept[j] = kept[j], kept[i] })
		for _, row := range kept {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// Count reads jobs to their end, into memory, and returns them with their number.
func Count(jobs iter.Seq2[Job, error]) (counted iter.Seq2[Job, error], n int, err error) {
	room := maxKept
	var kept []Job
	for job, err := range jobs {
		if err != nil {
			return nil, 0, err
		}
		if room -= len(job.Name()) + perArgument*(len(job.Args)+1); room < 0 {
			return nil, 0, &InputError{fmt.Errorf("more than %d bytes of inputs would have to stand in memory to be counted: give --halt a number in place of a percentage", maxKept)}
		}
		kept = append(kept, job)
	}
	return func(yield func(Job, error) bool) {
		for _, job := range kept {
			if !yield(job, nil) {
				return
			}
		}
	}, len(kept), nil
}

// Total is how many jobs some sources have, if all their values are known; else 0.
func Total(sources []Source, o Options) int {
	total, group := 1, 0
	multiply := func(n int) { total = min(total*n, math.MaxInt32) }
	for i, s := range sources {
		switch {
		case s.Values == nil:
			return 0
		case s.Linked:
			group = min(group, len(s.Values))
			continue
		case i > 0:
			multiply(group)
		}
		group = min(len(s.Values), math.MaxInt32)
	}
	multiply(group)
	perJob := max(1, o.PerJob)
	return (total + perJob - 1) / perJob
}
