package simtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
)

// sweepSeeds are the seeds of each scenario that a sweep of the library runs by default.
const sweepSeeds = "1..200"

func (a *App) newSweep() *cobra.Command {
	var (
		o       runOptions
		seedsOf map[string]string
	)
	cmd := &cobra.Command{
		Use: "sweep [NAME|FILE|DIRECTORY|GLOB...]", Short: "Run many seeds of each scenario of the library, or of those that are named",
		Args: cobra.ArbitraryArgs,
		Long: `sweep runs the same seeds of one scenario after the other, prints a line for each, and names in the end those that fail. A
scenario that fails keeps no other from running. It exits with the code of the first that fails. Of a directory it runs each file below
that ends in .yaml; a glob matches files and names of the library. With --backend, scenarios that cannot run there are told with the
reason, and are no failures.`,
		Example: fmt.Sprintf(`  %[1]s sweep --out results
  %[1]s sweep --seeds 1..1000 --seeds-of long-soak=1..10
  %[1]s sweep worker-crash scenarios/ 'leader-*' --seeds 1..50`, a.name()),
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) == 0 {
				names = a.library().List()
			}
			chosen, err := a.choose(names)
			if err != nil {
				return a.refused(&o, strings.Join(names, " "), err)
			}
			return a.sweepAll(cmd.Context(), chosen, &o, seedsOf)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.seeds, "seeds", sweepSeeds, "the `range` of seeds of each scenario")
	flags.StringToStringVar(&seedsOf, "seeds-of", nil, "other seeds of one scenario, as `NAME=RANGE`; may be repeated")
	o.jobs.addFlag(flags)
	flags.BoolVar(&o.verify, "verify", false, "run each seed again with other GOMAXPROCS, and compare the traces")
	flags.BoolVar(&o.failFast, "fail-fast", false, "end each scenario at its first seed that fails")
	flags.StringVar(&o.out, "out", "", "save what came of each scenario in a directory of its name in this `directory`")
	flags.StringVar(&o.format, "format", formatText, "how the results are printed: "+strings.Join(formats, ", "))
	flags.DurationVar(&o.stall, "stall", sim.DefaultStall, "end a run in which nothing has happened for so much real `time`; 0: never")
	o.place.addFlags(flags, a)
	a.addVariant(flags)
	return cmd
}

// several is scenarios that run one after the other, and what came of them.
type several struct {
	*App

	common *runOptions
	all    []*one
	out    *output // nil: nowhere
	// How many pass, and how many cannot run there; the names of those that fail, and the first of
	// them.
	passed, left int
	failed       []string
	first        *ExitError
	suites       []*report.Suite
}

// one is one of several scenarios.
type one struct {
	name    string
	subject *subject
	options runOptions

	// What came of it, once done is closed.
	done   chan struct{}
	text   bytes.Buffer
	suites []*report.Suite
	err    error
}

// sweepAll runs the seeds of scenarios, each by its first seed if no seeds are asked for. All are
// read before any runs.
func (a *App) sweepAll(ctx context.Context, names []string, common *runOptions, seedsOf map[string]string) error {
	for name := range seedsOf { // order-free: any of those that are wrong is told
		if !slices.Contains(names, name) {
			return a.xmlOf(common, a.name(), Invalid("--seeds-of: %q is not one of the scenarios to run", name))
		}
	}
	s := &several{App: a, common: common}
	if err := s.read(names); err != nil {
		return err
	}
	if err := s.prepare(seedsOf); err != nil {
		return a.xmlOf(common, a.name(), err)
	}
	err := s.run(ctx)
	return s.conclude(ctx, err)
}

// read reads all scenarios, and says of each that is invalid what is wrong with it.
func (s *several) read(names []string) error {
	var errs []error
	for _, name := range names {
		of, err := s.named(name)
		switch {
		case err != nil:
			errs = append(errs, err)
			s.suites = append(s.suites, s.unrun(name, err))
		default:
			suite := report.NewSuite(of.Subject)
			suite.AddSkipped(errorCase, "it did not run: another scenario is invalid")
			s.suites = append(s.suites, suite)
			s.all = append(s.all, &one{name: name, subject: of, done: make(chan struct{})})
		}
	}
	if len(errs) > 0 {
		return s.refuse(s.common, errors.Join(errs...), s.suites...)
	}
	s.suites = nil
	return nil
}

// prepare completes the options of each scenario, and checks them all.
func (s *several) prepare(seedsOf map[string]string) (err error) {
	called := map[string]string{}
	for _, o := range s.all {
		o.options = *s.common
		if o.options.format == "" {
			o.options.format = formatText
		}
		if seeds, ok := seedsOf[o.name]; ok {
			o.options.seeds = seeds
		}
		switch {
		case o.options.seed != "" && o.options.seeds != "":
			return Invalid("--seed and --seeds exclude each other")
		case o.options.seed != "":
			if _, single, err := o.options.pick(o.subject); err != nil || !single {
				return err
			}
			o.options.seeds, o.options.seed = o.options.seed, ""
		case o.options.seeds == "":
			o.options.seeds = strconv.FormatUint(o.subject.first, 10)
		}
		if o.options.out != "" {
			name := o.subject.Name
			if other, taken := called[name]; taken {
				return Invalid("--out: %s and %s are both called %s, and would have one directory: give one of them another metadata.name", other, o.name, name)
			}
			called[name] = o.name
			o.options.out = filepath.Join(o.options.out, name)
		}
		if _, _, err := o.options.pick(o.subject); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	s.out, err = openOutputs(s.common.out)
	return err
}

// atOnce is how many of the scenarios run at the same time: of scenarios with a seed each as many as
// seeds of one scenario would. Others share the processors out among their own seeds.
func (s *several) atOnce() int {
	for _, o := range s.all {
		seeds, _, _ := o.options.pick(o.subject) // It was checked.
		if seeds.Count() > 1 || o.options.place.used() || o.options.here {
			return 1
		}
	}
	return s.common.jobs.count()
}

// run runs the scenarios and tells of each, in their order.
func (s *several) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var owned sync.WaitGroup
	defer owned.Wait()
	defer cancel()
	atOnce := s.atOnce()
	room := make(chan struct{}, atOnce)
	owned.Go(func() {
		for _, o := range s.all {
			room <- struct{}{}
			owned.Go(func() {
				defer func() { <-room }()
				defer close(o.done)
				s.runOne(ctx, o, atOnce == 1)
			})
		}
	})
	for _, o := range s.all {
		<-o.done
		s.suites = append(s.suites, o.suites...)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.tell(o); err != nil {
			return err
		}
	}
	return nil
}

// runOne runs one scenario. If it is alone, results that are lines go out as they come.
func (s *several) runOne(ctx context.Context, o *one, alone bool) {
	if o.err = context.Cause(ctx); o.err != nil {
		return
	}
	var unsuitable *scenario.UnsuitableError
	if o.options.place.used() && errors.As(o.options.place.prepare(o.subject, o.subject.first), &unsuitable) {
		o.err = unsuitable
		suite := report.NewSuite(o.subject.Subject)
		suite.AddSkipped(errorCase, unsuitable.Error())
		o.suites = append(o.suites, suite)
		return
	}
	each := *s.App
	each.Stdout, each.suites = &o.text, &o.suites
	if alone && o.options.format == formatJSON {
		each.Stdout = s.Stdout
	}
	o.err = each.runSubject(ctx, o.subject, &o.options)
}

// tell tells what came of a scenario. An error of it ends all.
func (s *several) tell(o *one) error {
	text := io.Discard
	if o.options.format == formatText {
		text = s.Stdout
	}
	var unsuitable *scenario.UnsuitableError
	if errors.As(o.err, &unsuitable) {
		fmt.Fprintf(text, "%s: %v\n", o.subject.Called, unsuitable)
		s.left++
		return nil
	}
	var told *ExitError
	if o.err != nil && (!errors.As(o.err, &told) || told.Err != nil) {
		err := fmt.Errorf("%s: %w", o.name, o.err)
		s.suites = append(s.suites, s.unrun(o.subject.Name, err))
		return err
	}
	if o.options.format == formatJSON {
		if _, err := s.Stdout.Write(o.text.Bytes()); err != nil {
			return err
		}
	}
	line, rest, _ := strings.Cut(o.text.String(), "\n")
	fmt.Fprintln(text, line)
	if o.err == nil {
		s.passed++
		return nil
	}
	s.failed = append(s.failed, o.name)
	if s.first == nil {
		s.first = told
	}
	if s.common.out == "" {
		fmt.Fprint(text, rest, "\n")
	}
	return nil
}

// conclude writes what all came to, and returns it as an exit code, unless an error ended them.
func (s *several) conclude(ctx context.Context, err error) error {
	if ctx.Err() != nil && len(s.suites) < len(s.all) {
		for _, o := range s.all[len(s.suites):] {
			s.suites = append(s.suites, s.unrun(o.subject.Name, fmt.Errorf("it did not run: %w", context.Cause(ctx))))
		}
	}
	if s.out != nil {
		err = errors.Join(err, s.out.saveXML(s.suites...))
	}
	if s.common.format == formatJUnit {
		err = errors.Join(err, report.WriteSuites(s.Stdout, s.suites...))
	}
	if err != nil {
		return err
	}
	text := io.Discard
	if s.common.format == formatText {
		text = s.Stdout
	}
	if s.first == nil {
		fmt.Fprintf(text, "all %d scenarios pass%s\n", s.passed, besides(s.left))
		return nil
	}
	fmt.Fprintf(text, "%d of %d scenarios fail: %s%s\n", len(s.failed), len(s.failed)+s.passed, strings.Join(s.failed, ", "), besides(s.left))
	if s.out != nil {
		fmt.Fprintf(text, "see %s\n", filepath.Join(s.out.dir, "NAME", fileSummary))
	}
	return s.first
}

// besides tells of scenarios that did not run, if there are any.
func besides(left int) string {
	if left == 0 {
		return ""
	}
	return fmt.Sprintf("; %d more cannot run there", left)
}
