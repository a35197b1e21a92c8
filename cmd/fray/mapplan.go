package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"

	"github.com/frayrpc/fray/cmd/fray/internal/mapplan"
	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/number"
)

const (
	// maxBlock is how long a block of input may be that goes to a worker of this machine, and maxSentBlock one
	// that is sent to another.
	maxBlock     = 1 << 30
	maxSentBlock = 8 << 20
)

// mapPlan is what a map is to do.
type mapPlan struct {
	command  []string
	template mapplan.Template
	jobs     iter.Seq2[mapplan.Job, error]
	bounded  bool // jobs end in no longer than files take
	total    int  // 0: it is not known
}

// planMap reads the words of a map. Its warnings go to warn, which several goroutines may write.
func (a *app) planMap(o *mapOptions, words []string, warn io.Writer) (*mapPlan, error) {
	var given []mapplan.Source
	for _, path := range o.inputs {
		given = append(given, mapplan.Source{Path: path})
	}
	line, err := mapplan.Split(words, given)
	if err == nil && len(line.Command) == 0 {
		err = mapplan.ErrNoCommand
	}
	if err != nil {
		return nil, command.UsageError("%w", err)
	}
	p := &mapPlan{command: line.Command, template: mapplan.ParseTemplate(line.Command, o.all)}
	a.hint(o, p, warn)
	if o.pipe {
		if len(line.Sources) > 0 {
			return nil, command.UsageError("with --pipe commands have blocks of the standard input, and no inputs after :::")
		}
		return p, a.planBlocks(o, p)
	}
	return p, a.planInputs(o, p, line.Sources, warn)
}

// hint says what in a command may be meant otherwise.
func (a *app) hint(o *mapOptions, p *mapPlan, warn io.Writer) {
	if hint := mapplan.ShellHint(p.command); hint != "" && a.Address == "" {
		if _, err := exec.LookPath(p.command[0]); err != nil {
			fmt.Fprintf(warn, "fray map: %s\n", hint)
		}
	}
	for _, text := range mapplan.Strange(p.command, o.all) {
		fmt.Fprintf(warn, "fray map: %s is no replacement string, and stays as it is: see fray map --help\n", text)
	}
}

// planBlocks has jobs be blocks of the standard input.
func (a *app) planBlocks(o *mapOptions, p *mapPlan) error {
	b := mapplan.Blocks{
		End: mapplan.Unescape(o.recend), Start: mapplan.Unescape(o.recstart), Bytes: o.block, Records: o.perJob, Most: maxBlock,
	}
	if a.Address != "" {
		b.Most = maxSentBlock
	}
	if b.Bytes > b.Most {
		return command.UsageError("--block %d: a block has %d bytes at most", o.block, b.Most)
	}
	p.jobs = b.Jobs(a.Stdin, "standard input")
	return nil
}

// errStdinTwice is about a line that has two lists from one stream.
var errStdinTwice = errors.New("the standard input is named twice, and can be read once")

// planInputs has jobs be inputs.
func (a *app) planInputs(o *mapOptions, p *mapPlan, sources []mapplan.Source, warn io.Writer) error {
	read := len(sources) == 0
	if read {
		sources = []mapplan.Source{{Path: "-"}}
	}
	p.bounded = true
	for _, s := range sources {
		read = read || s.Values == nil
		p.bounded = p.bounded && (s.Values != nil || s.Path != "-")
	}
	for name, given := range map[string]bool{"null": o.null, "delimiter": o.delimiter != ""} { // order-free: one of them at most
		if given && !read {
			return command.UsageError("--%s is about inputs that are read, and these stand after :::", name)
		}
	}
	stdin := false
	plan := mapplan.Options{Delimiter: '\n', PerJob: o.perJob, NoArguments: o.perJobSet && o.perJob == 0, Open: func(path string) (io.ReadCloser, error) {
		if path != "-" {
			return os.Open(path) // The user names it.
		}
		if stdin {
			return nil, errStdinTwice
		}
		stdin = true
		if screen.IsTerminal(a.Stdin) {
			fmt.Fprintln(warn, "fray map: reading inputs from the terminal, one a line; Ctrl-D ends them")
		}
		return io.NopCloser(a.Stdin), nil
	}}
	if o.null {
		plan.Delimiter = 0
	} else if o.delimiter != "" {
		plan.Delimiter, _ = mapplan.ParseDelimiter(o.delimiter) // It was checked.
	}
	if o.colsep != "" {
		plan.Columns = regexp.MustCompile(o.colsep) // It was checked.
	}
	if o.shuffle {
		plan.Shuffle = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	p.jobs = warnOfPositions(mapplan.Jobs(sources, plan), p.template, warn)
	p.total = mapplan.Total(sources, plan)
	if p.total == 0 && (o.halt.Percent > 0 || o.eta && p.bounded) {
		var err error
		if p.jobs, p.total, err = mapplan.Count(p.jobs); err != nil {
			return err
		}
		p.bounded = true
	}
	return nil
}

// warnOfPositions tells once of a job that has fewer arguments than its command names.
func warnOfPositions(jobs iter.Seq2[mapplan.Job, error], t mapplan.Template, warn io.Writer) iter.Seq2[mapplan.Job, error] {
	most := t.MaxPosition()
	if most == 0 {
		return jobs
	}
	return func(yield func(mapplan.Job, error) bool) {
		told := false
		for job, err := range jobs {
			if !told && err == nil && !job.Partial && len(job.Args) < most {
				told = true
				fmt.Fprintf(warn, "fray map: {%d} stands for nothing in command %d, which has %s\n", most, job.Number, wording.Count(number.Clamp[uint64](len(job.Args)), "argument"))
			}
			if !yield(job, err) {
				return
			}
		}
	}
}

// printCommands prints what would be run.
func (a *app) printCommands(p *mapPlan) error {
	for job, err := range p.jobs {
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(a.Stdout, mapplan.QuoteAll(p.template.Expand(job.Args, job.Number, "{%}"))); err != nil {
			return err
		}
	}
	return nil
}
