package simtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/reach"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/story"
	"github.com/frayrpc/fray/sim/timeline"
)

// Formats of what goes to the standard output.
const (
	formatText  = "text"
	formatJSON  = "json"
	formatJUnit = "junit"
)

var formats = []string{formatText, formatJSON, formatJUnit}

type runOptions struct {
	program               *Program
	scenario, seed, seeds string
	// xmlTold says that the XML is written, of which there is to be one document.
	xmlTold bool
	// scenarios are the names of those to run, of commands that run several.
	scenarios        []string
	jobs             jobs
	verify, failFast bool
	trace, html, out string
	// task is the thing whose life is told, and why asks what a failure rests on.
	task   string
	why    bool
	format string
	place  place
	// stall is how much real time may pass without anything happening; 0: as much as it likes.
	stall time.Duration
	// pins is a file that gets what chance decides in a run, for a process that shrinks it.
	pins string
	// here has runs take place in this process, and not in one that they can take down.
	here bool
	// onStall is told of a run that goes no further, and ends the process.
	onStall func(*engine.Result)
	// reach has results tell which points the runs came to.
	reach bool
	// guided has the points that runs came to decide what runs next.
	guided bool
	// lasts is how long a sweep goes on with one seed after the other. 0: to the last of its seeds.
	lasts time.Duration
}

func (o *runOptions) addFlags(flags *pflag.FlagSet, a *App) {
	flags.StringVar(&o.seed, "seed", "", "run with this `number` (default: the first of the scenario's seeds)")
	flags.StringVar(&o.seeds, "seeds", "", "sweep a `range` of seeds such as 1..500, over all CPUs")
	o.jobs.addFlag(flags)
	flags.BoolVar(&o.verify, "verify", false, "run each seed again with other GOMAXPROCS, and compare the traces")
	flags.StringVar(&o.trace, "trace", "", "write each event of the run to this `file`, a line of JSON each")
	flags.StringVar(&o.html, "html", "", "draw the run as a page for a browser in this `file`")
	flags.StringVar(&o.task, "task", "", "tell all that touched the task with this `id`, in place of the report")
	flags.BoolVar(&o.why, "why", false, "tell of a run that fails where it goes another way than the nearest run that passes")
	flags.BoolVar(&o.failFast, "fail-fast", false, "end a sweep at the first seed that fails")
	flags.StringVar(&o.out, "out", "", "save what came of it in this `directory`: report, result, trace and history, of a sweep those of failing seeds")
	flags.BoolVar(&o.reach, reachFlag, false, "tell which points runs came to: their number, and with --format json the points")
	flags.StringVar(&o.format, "format", formatText, "how the result is printed: "+strings.Join(formats, ", "))
	flags.DurationVar(&o.stall, "stall", sim.DefaultStall, "end a run in which nothing has happened for so much real `time`; 0: never")
	flags.BoolVar(&o.here, hereFlag, false, "run in this process, as a debugger needs it")
	flags.StringVar(&o.pins, pinsFlag, "", "write what chance decides to this `file`")
	_ = flags.MarkHidden(hereFlag) // They were defined just now.
	_ = flags.MarkHidden(pinsFlag)
	o.place.addFlags(flags, a)
	a.addVariant(flags)
}

// addScenarios adds the flag that names the scenarios to run.
func (o *runOptions) addScenarios(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.scenarios, "scenario", nil,
		"a `name` of the library, a file, a directory with scenarios in it or below, or a glob; may be repeated")
}

func (a *App) newRun() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use: "run NAME|FILE|DIRECTORY|GLOB...", Short: "Run scenarios: each with its first seed, or with those of --seeds", Args: cobra.ArbitraryArgs,
		Long: `run is what the command does without a verb, with scenarios as arguments: names of the library, files, directories (each file below
that ends in .yaml), and globs, which match files and names of the library. One scenario is told in full. Several run one after the
other, with a line for each; one that fails is told in full, and keeps no other from running.`,
		Example: fmt.Sprintf(`  %[1]s run worker-crash
  %[1]s run scenarios/ 'worker-*' --seeds 1..50 --format junit --out results`, a.name()),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.scenarios = append(o.scenarios, args...)
			return a.runScenarios(cmd.Context(), &o)
		},
	}
	o.addScenarios(cmd.Flags())
	o.addFlags(cmd.Flags(), a)
	return cmd
}

// reachFlag has runs tell which points they came to.
const reachFlag = "reach"

// hereFlag keeps runs in the process that is told to make them.
const hereFlag = "in-process"

// maxStall is the most of --stall.
const maxStall = 24 * time.Hour

// maxTimedSeeds is the most seeds of a sweep that ends when its time is over.
const maxTimedSeeds = 1_000_000

// pick returns the seeds to run; single says that it is one run that the user looks at.
func (o *runOptions) pick(of *subject) (seeds scenario.Seeds, single bool, err error) {
	if err := o.place.check(); err != nil {
		return seeds, false, err
	}
	switch {
	case o.place.used() && (o.verify || o.trace != "" || o.html != "" || o.out != "" || o.task != "" || o.why || o.reach):
		return seeds, false, Invalid("--verify, --trace, --html, --out, --task, --why and --reach are for runs in virtual time: leave --backend out")
	case o.place.used() && o.jobs > 0:
		return seeds, false, Invalid("--jobs is for runs in virtual time: leave it or --backend out")
	case !slices.Contains(formats, o.format):
		return seeds, false, Invalid("--format %q is not one of %s", o.format, strings.Join(formats, ", "))
	case o.stall < 0 || o.stall > maxStall:
		return seeds, false, Invalid("--stall %v is not between 0 and %v", o.stall, maxStall)
	case o.lasts < 0:
		return seeds, false, Invalid("--for %v is less than no time", o.lasts)
	case (o.task != "" || o.why) && o.format != formatText:
		return seeds, false, Invalid("--task and --why are told as text: leave --format out")
	case o.seed != "" && o.seeds != "":
		return seeds, false, Invalid("--seed and --seeds exclude each other")
	case o.seeds != "":
		if o.ofOne() {
			return seeds, false, Invalid("--trace, --html, --task and --why are for one seed: pass --seed")
		}
		seeds, err = scenario.ParseSeeds(o.seeds)
		if err != nil {
			return seeds, false, Invalid("--seeds: %w", err)
		}
		return seeds, false, nil
	case o.failFast && o.lasts == 0 && !o.guided:
		return seeds, false, Invalid("--fail-fast is for a sweep: pass --seeds")
	}
	seed := of.first
	if o.seed != "" {
		if seed, err = strconv.ParseUint(o.seed, 10, 64); err != nil {
			return seeds, false, Invalid("--seed %q is not a number from 0 to %d", o.seed, uint64(1<<64-1))
		}
	}
	if o.lasts == 0 {
		return scenario.Seeds{First: seed, Last: seed}, true, nil
	}
	if o.ofOne() {
		return seeds, false, Invalid("--trace, --html, --task and --why are for one seed: leave --for out")
	}
	return scenario.Seeds{First: seed, Last: seed + min(maxTimedSeeds-1, math.MaxUint64-seed)}, false, nil
}

// ofOne says whether the user looks at one run.
func (o *runOptions) ofOne() bool { return o.trace != "" || o.html != "" || o.task != "" || o.why }

// runScenarios runs the scenarios that the user names: one, with all that can be asked of it, or
// several one after the other.
func (a *App) runScenarios(ctx context.Context, o *runOptions) error {
	names, err := a.choose(o.scenarios)
	if err != nil {
		return a.refused(o, strings.Join(o.scenarios, " "), err)
	}
	if len(names) > 1 {
		if o.ofOne() || o.pins != "" {
			return a.xmlOf(o, a.name(), Invalid("--trace, --html, --task and --why are for one scenario, and these are %d", len(names)))
		}
		return a.sweepAll(ctx, names, o, nil)
	}
	of, err := a.named(names[0])
	if err != nil {
		return a.refused(o, names[0], err)
	}
	return a.xmlOf(o, of.Name, a.runSubject(ctx, of, o))
}

func (a *App) runSubject(ctx context.Context, of *subject, o *runOptions) error {
	o.program = a.program
	seeds, single, err := o.pick(of)
	if err != nil {
		return err
	}
	if o.place.used() {
		if err := o.place.prepare(of, seeds.First); err != nil {
			return err
		}
	}
	if single && !o.here && !o.place.used() {
		return a.apart(ctx, of, seeds.First, o)
	}
	out, err := openOutput(o.out)
	if err != nil {
		return err
	}
	if !single {
		return a.sweep(ctx, of, o, seeds, out)
	}
	err = a.single(ctx, of, o, seeds.First, out)
	var known *ExitError
	if out != nil && err != nil && (!errors.As(err, &known) || known.Err != nil) {
		err = errors.Join(err, out.saveXML(a.unrun(of.Name, err)))
	}
	return err
}

// single makes one run and writes what came of it.
func (a *App) single(ctx context.Context, of *subject, o *runOptions, seed uint64, out *output) (err error) {
	s := of.of(seed)
	rec := &recording{}
	var page *os.File
	if o.trace != "" {
		file, createErr := os.Create(o.trace)
		if createErr != nil {
			return Invalid("write trace: %w", createErr)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		rec.traces = append(rec.traces, file)
	}
	if o.html != "" {
		file, createErr := os.Create(o.html)
		if createErr != nil {
			return Invalid("write page: %w", createErr)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		page, rec.page = file, timeline.New(s)
	}
	if o.pins != "" {
		file, createErr := os.OpenFile(o.pins, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
		if createErr != nil {
			return Invalid("write pins: %w", createErr)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		rec.pins = file
	}
	if o.task != "" || o.why {
		rec.story = story.NewRecorder(s)
	}
	var saved *savedRun
	if out != nil {
		if saved, err = saveRun(out.dir, s, rec); err != nil {
			return err
		}
		defer saved.abandon()
	}
	o.onStall = func(r *engine.Result) {
		_ = a.print(r, of, o) // There is nobody to tell.
		if saved != nil {
			_ = saved.abort(r, of)
		}
		os.Exit(r.ExitCode())
	}
	result, err := o.runOne(ctx, s, seed, o.verify, rec)
	if err != nil {
		if result != nil && o.format != formatJUnit { // Of which the error is told.
			return errors.Join(err, a.print(result, of, o))
		}
		return err
	}
	// What takes long, or may break down, comes after what is known.
	told := a.tell(result, rec, of, o)
	if o.why && told == nil {
		why := a.why(ctx, result, rec, s, o)
		why.Write(a.Stdout)
		rec.why = why
	}
	if page != nil {
		if err := rec.writePage(page, result, of); err != nil {
			return err
		}
	}
	if saved != nil {
		if err := saved.finish(result, of); err != nil {
			return err
		}
	}
	if told != nil {
		return told
	}
	if code := result.ExitCode(); code != exitPass {
		return &ExitError{Code: code}
	}
	return nil
}

// tell writes to the standard output what the user asks to know of one run: the life of a task, or
// the result and what it rests on.
func (a *App) tell(r *engine.Result, rec *recording, of *subject, o *runOptions) error {
	if o.task == "" {
		return a.print(r, of, o)
	}
	report.Verdict(a.Stdout, r)
	fmt.Fprintln(a.Stdout)
	if err := rec.story.WriteLife(a.Stdout, o.task); err != nil {
		return Invalid("--task %s: %w", o.task, err)
	}
	return nil
}

// print writes the result of one run to the standard output.
func (a *App) print(r *engine.Result, of *subject, o *runOptions) error {
	switch o.format {
	case formatJSON:
		return json.NewEncoder(a.Stdout).Encode(r)
	case formatJUnit:
		o.xmlTold = true
		return report.WriteSuites(a.Stdout, suiteOf(r, of))
	}
	report.Run(a.Stdout, r, of.Subject)
	return nil
}

// suiteOf returns a suite of one run.
func suiteOf(r *engine.Result, of *subject) *report.Suite {
	suite := report.NewSuite(of.Subject)
	suite.Add(r)
	return suite
}

// runOne runs one seed on the backend that is asked for.
func (o *runOptions) runOne(ctx context.Context, s *scenario.Scenario, seed uint64, verify bool, rec *recording) (*engine.Result, error) {
	if o.place.used() {
		return o.place.run(ctx, s, seed)
	}
	return o.runHere(ctx, s, seed, verify, rec)
}

// runHere runs one seed in virtual time. What happens goes into the recording, if there is one.
func (o *runOptions) runHere(ctx context.Context, s *scenario.Scenario, seed uint64, verify bool, rec *recording) (result *engine.Result, err error) {
	options := virtual.Options{OnStall: o.onStall, Stall: o.stall}
	if o.stall == 0 {
		options.Stall = -1
	}
	flush := rec.listen(&options)
	defer func() { err = errors.Join(err, flush()) }()
	if o.reach {
		points := reach.NewRecorder(o.program.Subject, s)
		points.Listen(&options)
		defer func() {
			if result != nil {
				result.Reached = points.Points()
			}
		}()
	}
	if verify {
		result, err = virtual.Verify(ctx, o.program.Subject, s, seed, options, 1, max(runtime.NumCPU(), 2))
	} else {
		// Hardly ever is more than one goroutine of a simulation at work; to hand it from core to
		// core costs half as much again.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		result, err = virtual.Run(ctx, o.program.Subject, s, seed, options)
	}
	if err != nil {
		return result, fmt.Errorf("seed %d: %w", seed, err)
	}
	return result, err
}
