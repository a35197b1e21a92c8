package main

import (
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/cmd/fray/internal/mapplan"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// mapOptions are those of the map command.
type mapOptions struct {
	// Inputs.
	inputs    []string
	null      bool
	delimiter string
	colsep    string
	perJob    int
	perJobSet bool
	all       string // what {} is called
	shuffle   bool
	pipe      bool
	block     int64
	recend    string
	recstart  string

	// How commands are run.
	jobs           string // as ParseJobs reads it; empty: it is not said
	workers, slots int
	retries        int
	workerLosses   int
	timeout        time.Duration
	delay          time.Duration
	halt           mapplan.Halt
	keepGoing      bool
	dir            string
	dryRun         bool

	// What comes of them.
	keepOrder, lineBuffer bool
	asEnded               bool
	onlyFree              bool // no command is submitted before there is a slot for it
	tag, verbose          bool
	noProgress, eta       bool
	joblog, results       string
	resume, resumeFailed  bool
	bufferDir             string
	maxBuffered           int

	ofJob jobFlags
	log   command.Log
}

// defaultBlock is how long a block of --pipe becomes, as parallel has it.
const defaultBlock = 1 << 20

// addMapFlags declares the options of map. A short one means what it means to xargs and to parallel.
func addMapFlags(cmd *cobra.Command, o *mapOptions) {
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.StringArrayVarP(&o.inputs, "inputs", "a", nil, "read inputs from this `file`; -: the standard input; of several files, each line of one with each of the next")
	flags.BoolVarP(&o.null, "null", "0", false, "NUL bytes separate the inputs that are read, not line ends")
	flags.VarP(&textValue{&o.delimiter, checkDelimiter}, "delimiter", "d", `this byte separates the inputs that are read, such as , or \t`)
	flags.VarP(&textValue{&o.colsep, checkPattern}, "colsep", "C", "cut each input into columns {1}, {2} and so on, at each match of this regular expression")
	for _, names := range [][2]string{{"max-args", "n"}, {"max-replace-args", "N"}} {
		flags.VarP(&perJobValue{o}, names[0], names[1], "give each command so many inputs, {1} {2} and so on; with --pipe, so many records; 0: run it for each and give it none")
	}
	flags.StringVarP(&o.all, "replace", "I", "{}", "this `text` stands for the input in place of {}")
	flags.BoolVar(&o.shuffle, "shuf", false, "run the commands in random order")
	flags.BoolP("no-run-if-empty", "r", true, "run nothing without inputs, which map never does")
	flags.BoolVar(&o.pipe, "pipe", false, "cut the standard input into blocks, and give each command one as its standard input")
	o.block = defaultBlock
	flags.Var(&sizeValue{&o.block}, "block", "with --pipe: bytes of a block, about, such as 64K or 10M")
	flags.StringVar(&o.recend, "recend", `\n`, "with --pipe: this `text` ends a record, and blocks have whole ones")
	flags.StringVar(&o.recstart, "recstart", "", "with --pipe: this `text` begins a record")

	for _, names := range [][2]string{{"jobs", "j"}, {"max-procs", "P"}} {
		flags.VarP(&textValue{&o.jobs, checkJobs}, names[0], names[1], "how many commands run at once: 8, 0 for as many as may be, 50% of the CPUs, or +2 or -2 of them")
	}
	command.Between(flags, &o.workers, 1, maxLocalWorkers, "workers", 2, "how many worker processes to start")
	command.Between(flags, &o.slots, 0, limit.Slots, "slots", 0, "how many commands each runs at once; 0: the CPUs divided among them")
	command.Between(flags, &o.retries, 0, limit.Retries, "retries", 0, "how often a command that failed is tried again")
	addTimeFlag(flags, &o.timeout, "timeout", "how long a command may run, each time, in seconds or with a unit; 0: for ever")
	addTimeFlag(flags, &o.delay, "delay", "how much time there is between the starts of two commands, in seconds or with a unit")
	command.Between(flags, &o.workerLosses, 0, limit.WorkerLosses, "max-worker-losses", 3, "how many workers may die of a command before it counts as failed")
	o.halt = mapplan.AtFirstFailure
	flags.Var(&haltValue{&o.halt}, "halt", "when to start no more commands, now,fail=1 unless it is given: never, or WHEN,WHY=N with now (which ends those that run) or soon, and fail, success or done, and a number or a percentage")
	flags.BoolVar(&o.keepGoing, "keep-going", false, "run the other commands when one fails: --halt never")
	addJobFlags(flags, &o.ofJob)
	flags.StringVar(&o.dir, "dir", "", "run the commands in this `directory` (default: the current one; with --controller, the worker's)")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print the commands and run none")

	flags.BoolVarP(&o.keepOrder, "keep-order", "k", true, "print what commands print in the order of the inputs; with =false, as they end")
	flags.BoolVar(&o.lineBuffer, "line-buffer", false, "print lines while commands run, those of several mixed; with -k, those of the first that runs")
	flags.BoolVar(&o.tag, "tag", false, "begin each line of output with the input and a tab")
	flags.BoolVarP(&o.verbose, "verbose", "t", false, "print each command on the standard error before it runs")
	flags.BoolVar(&o.noProgress, "no-progress", false, "show no progress on a terminal")
	flags.BoolVar(&o.eta, "eta", false, "have the progress say how long the rest will take")
	flags.StringVar(&o.joblog, "joblog", "", "write a line for each command that has ended to this `file`, as parallel does")
	flags.BoolVar(&o.resume, "resume", false, "leave out commands that --joblog has, whether they failed or not, and go on with it")
	flags.BoolVar(&o.resumeFailed, "resume-failed", false, "the same, but run those that failed again")
	flags.StringVar(&o.results, "results", "", "have what commands print in files in this `folder`, and do not print it, as parallel does")
	flags.StringVar(&o.bufferDir, "buffer-dir", "", "the `directory` for output that waits for its turn (default: $TMPDIR, or /tmp)")
	command.AtLeast(flags, &o.maxBuffered, 1, "max-buffered-bytes", 1<<30, "bytes of output that wait for their turn; beyond, no commands are started")
	command.Momentary(flags, "inputs", "dry-run", "null", "delimiter", "colsep", "max-args", "max-replace-args", "max-procs", "replace", "no-run-if-empty", "pipe", "block", "recend", "recstart",
		"verbose", "joblog", "resume", "resume-failed", "results")
	command.MayBeEmpty(flags, "recend", "recstart")
	o.log.AddFlags(flags, "error")
}

// check refuses options that do not go together, and completes them. changed says of the name of an option
// whether it was given.
func (o *mapOptions) check(cluster bool, changed func(name string) bool) error {
	if cluster {
		for _, name := range []string{"workers", "slots"} {
			if changed(name) {
				return command.UsageError("--%s is for workers that map starts, but --controller names a cluster that has its own", name)
			}
		}
	} else if o.ofJob.parent != "" {
		return command.UsageError("--parent is for --controller: the cluster that map starts has no other jobs")
	}
	if o.jobs != "" && changed("slots") {
		return command.UsageError("--jobs says how many commands run at once in all, and --slots how many on each worker: give one of them")
	}
	if o.keepGoing && changed("halt") && o.halt.Why != "" {
		return command.UsageError("--keep-going is --halt never, and --halt %s is given: give one of them", o.halt)
	}
	counts := o.ofJob.maxFailed.set || o.ofJob.share > 0
	if o.keepGoing || counts && o.halt == mapplan.AtFirstFailure && !changed("halt") {
		o.halt = mapplan.Halt{}
	}
	if (o.resume || o.resumeFailed) && o.joblog == "" {
		return command.UsageError("--resume goes by the log of the run before: name it with --joblog")
	}
	if o.null && o.delimiter != "" {
		return command.UsageError("--null is --delimiter '\\0': give one of them")
	}
	for _, name := range []string{"block", "recend", "recstart"} {
		if changed(name) && !o.pipe {
			return command.UsageError("--%s is about --pipe, which is not given", name)
		}
	}
	if o.pipe {
		for _, name := range []string{"inputs", "null", "delimiter", "colsep", "shuf"} {
			if changed(name) {
				return command.UsageError("--%s is about inputs, and with --pipe commands have blocks of the standard input in place of them", name)
			}
		}
		if o.halt.Percent > 0 {
			return command.UsageError("--halt %s: how many commands there will be is not known with --pipe: give a number in place of a percentage", o.halt)
		}
		if o.perJobSet && o.perJob == 0 {
			return command.UsageError("--max-replace-args 0: a block has at least one record")
		}
		if changed("recstart") && !changed("recend") {
			o.recend = ""
		}
	}
	o.onlyFree = o.pipe || o.delay > 0 || o.halt.Why != "" && (changed("halt") || o.halt != mapplan.AtFirstFailure || o.atOnce() == 1)
	o.asEnded = !o.keepOrder || o.lineBuffer && !changed("keep-order")
	return nil
}

// fleetSlots returns how many slots each worker of the cluster has that map starts.
func (o *mapOptions) fleetSlots() []int {
	if o.jobs == "" {
		slots := make([]int, o.workers)
		for i := range slots {
			slots[i] = slotsFor(o.slots, o.workers)
		}
		return slots
	}
	n := o.atOnce()
	slots := make([]int, min(o.workers, n))
	for i := range n {
		slots[i%len(slots)]++
	}
	return slots
}

// atOnce is how many commands may run at once; 0: that is not said.
func (o *mapOptions) atOnce() int {
	if o.jobs == "" {
		return 0
	}
	n, _ := mapplan.ParseJobs(o.jobs, runtime.NumCPU()) // It was checked.
	return n
}

func checkJobs(text string) error {
	_, err := mapplan.ParseJobs(text, runtime.NumCPU())
	return err
}

func checkDelimiter(text string) error {
	_, err := mapplan.ParseDelimiter(text)
	return err
}

// maxPatternBytes bounds a regular expression.
const maxPatternBytes = 4096

func checkPattern(text string) error {
	if text == "" || len(text) > maxPatternBytes {
		return fmt.Errorf("a regular expression has 1 to %d bytes", maxPatternBytes)
	}
	_, err := regexp.Compile(text)
	return err
}

// textValue is a text that is checked.
type textValue struct {
	text  *string
	check func(string) error
}

func (v *textValue) String() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

func (*textValue) Type() string { return "text" }

func (v *textValue) Set(text string) error {
	if err := v.check(text); err != nil {
		return err
	}
	*v.text = text
	return nil
}

// perJobValue is how many inputs a command has.
type perJobValue struct{ o *mapOptions }

func (v *perJobValue) String() string {
	if v.o == nil || !v.o.perJobSet {
		return ""
	}
	return strconv.Itoa(v.o.perJob)
}

func (*perJobValue) Type() string { return "number" }

func (v *perJobValue) Set(text string) (err error) {
	n, err := number.Parse(text, 0, mapplan.MaxPerJob)
	if err != nil {
		return err
	}
	v.o.perJob, v.o.perJobSet = n, true
	return nil
}

// sizeValue is a number of bytes.
type sizeValue struct{ bytes *int64 }

func (v *sizeValue) String() string { return strconv.FormatInt(*v.bytes, 10) }
func (*sizeValue) Type() string     { return "bytes" }

func (v *sizeValue) Set(text string) (err error) {
	n, err := mapplan.ParseSize(text)
	if err == nil {
		*v.bytes = n
	}
	return err
}

// addTimeFlag declares an option that is a length of time, 0 unless it is given.
func addTimeFlag(flags *pflag.FlagSet, d *time.Duration, name, usage string) {
	flags.Var(&timeValue{d, limit.Timeout}, name, usage)
	flags.Lookup(name).DefValue = "" // the usage says what it means
}

// timeValue is a length of time, which is in seconds if it has no unit.
type timeValue struct {
	value *time.Duration
	most  time.Duration
}

func (v *timeValue) String() string { return number.ShortDuration(*v.value) }
func (*timeValue) Type() string     { return "duration" }

func (v *timeValue) Set(text string) error {
	d, err := mapplan.ParseTime(text)
	switch {
	case err != nil:
		return err
	case d < 0 || d > v.most:
		return fmt.Errorf("%s is not from 0 to %s", text, number.ShortDuration(v.most))
	}
	*v.value = d
	return nil
}

// haltValue is when to stop.
type haltValue struct{ halt *mapplan.Halt }

func (v *haltValue) String() string { return v.halt.String() }
func (*haltValue) Type() string     { return "rule" }

func (v *haltValue) Set(text string) error {
	h, err := mapplan.ParseHalt(strings.TrimSpace(text))
	if err == nil {
		*v.halt = h
	}
	return err
}
