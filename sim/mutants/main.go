// Command mutants shows which small mistakes in Fray its harness sees: it changes one place of the
// sources at a time (a statement is left out, a condition always holds, a bound is off by one), and
// runs random scenarios and those of the library until one fails.
//
//	mutants                        a sample of 300
//	mutants -sample 0 -pkg ./fray/core
//	mutants -tests                 what the harness does not see, the tests of the packages may
//	mutants -known before.jsonl -again    those that survived then
//	mutants -list                  the mutants, and nothing is run
//	mutants -bounds                which trial reaches which bound of docs/architecture.md
//
// The program has all mutants in it, each behind a question: a variable of the environment says
// which is awake. So there is one build. A first round without a mutant tells which places each
// trial comes to; a mutant is tried with these alone.
//
// What survives is equivalent (equivalent.txt says why), or shows a scenario or an oracle that is
// missing. The exit code is 1 if something could not be run, and 0 whatever survives.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/tools/go/packages"

	"github.com/frayrpc/fray/sim/scenario"
)

// defaultPackages are those of the runtime that run in a simulation.
var defaultPackages = []string{
	"./fray", "./fray/core", "./fray/core/slots", "./fray/controller", "./fray/worker", "./fray/store", "./fray/store/pebblestore",
	"./fray/internal/attempt", "./fray/internal/corewire", "./fray/internal/dial", "./fray/internal/failure", "./fray/internal/wire",
}

// skipped are the files of these that no simulation can judge: what verifies core itself, what an
// operator is told in prose, and the backends that have no cluster.
var skipped = regexp.MustCompile(`^fray/core/(check.*|explain)\.go$|^fray/(auto|local|sync|threadpool|readyqueue|faithful)\.go$`)

func main() { os.Exit(runProcess()) }

func runProcess() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		return 1
	}
	return 0
}

// settings are the flags.
type settings struct {
	root, equivalent, out, known string
	packages                     []string
	only                         *regexp.Regexp
	sample, jobs                 int
	seed                         uint64
	chaos, library               scenario.Seeds
	tests, list, again, bounds   bool
	trials                       int
}

func parse(args []string) (*settings, error) {
	s := &settings{}
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.StringVar(&s.root, "root", ".", "the `directory` of the module")
	flags.StringVar(&s.equivalent, "equivalent", "sim/mutants/equivalent.txt", "the `file` of the mutants that no run can show")
	flags.StringVar(&s.out, "out", "", "write what became of each mutant to this `file`, a line of JSON each")
	flags.StringVar(&s.known, "known", "", "what became of mutants by this `file`, which -out wrote: only others are tried")
	flags.BoolVar(&s.again, "again", false, "try those again that survived by -known, and no others")
	packages := flags.String("pkg", strings.Join(defaultPackages, ","), "the `packages` to mutate")
	only := flags.String("run", "", "only mutants whose name matches this `pattern`")
	flags.IntVar(&s.sample, "sample", 300, "how many mutants; 0: all")
	flags.Uint64Var(&s.seed, "seed", 1, "which sample")
	flags.IntVar(&s.jobs, "jobs", runtime.NumCPU(), "how many run at a time")
	chaos := flags.String("chaos", "1..50", "the `seeds` of random scenarios; 0: none")
	library := flags.String("library", "1", "the `seeds` of each scenario of the library; 0: none")
	flags.BoolVar(&s.tests, "tests", false, "try the tests of the packages on what the harness does not see")
	flags.BoolVar(&s.bounds, "bounds", false, "try no mutants, and print what reaches each bound; it is an error if nothing does")
	flags.BoolVar(&s.list, "list", false, "print the mutants, and run nothing")
	flags.IntVar(&s.trials, "trials", 0, "how many trials one mutant gets at most, the quickest; 0: all that come to it")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: mutants are chosen with -run", flags.Arg(0))
	}
	s.packages = strings.Split(*packages, ",")
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	for _, f := range []struct {
		name, text string
		to         *scenario.Seeds
	}{{"chaos", *chaos, &s.chaos}, {"library", *library, &s.library}} {
		if f.text == "0" {
			continue
		}
		if *f.to, err = scenario.ParseSeeds(f.text); err != nil {
			return nil, fmt.Errorf("-%s: %w", f.name, err)
		}
	}
	if s.jobs < 1 {
		return nil, fmt.Errorf("-jobs %d: there must be one at least", s.jobs)
	}
	return s, nil
}

// run is the command.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	pkgs, err := load(s.root, s.packages)
	if err != nil {
		return err
	}
	if s.bounds {
		return s.runBounds(ctx, pkgs, out, progress)
	}
	all, err := find(s.root, pkgs, skipped.MatchString)
	if err != nil {
		return err
	}
	file := s.equivalent
	if !filepath.IsAbs(file) {
		file = filepath.Join(s.root, file)
	}
	equivalent, err := readEquivalents(file)
	if err != nil {
		return err
	}
	if err := stale(equivalent, all, s.packages); err != nil {
		return fmt.Errorf("%s: %w", s.equivalent, err)
	}
	all = slices.DeleteFunc(all, func(m *mutant) bool { return !s.only.MatchString(m.String()) })
	chosen := sample(all, s.sample, s.seed)
	if len(chosen) == 0 {
		return fmt.Errorf("-run %q matches no mutant", s.only)
	}
	if s.list {
		for _, m := range chosen {
			fmt.Fprintln(out, m)
		}
		fmt.Fprintf(out, "%d of %d mutants\n", len(chosen), len(all))
		return nil
	}
	known := map[string]*outcome{}
	if s.known != "" {
		if known, err = readOutcomes(s.known); err != nil {
			return err
		}
	}
	if s.again {
		chosen = sample(slices.DeleteFunc(chosen, func(m *mutant) bool { return known[m.key()] == nil }), 0, s.seed)
	}
	dir, err := os.MkdirTemp("", "fray-mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	began := time.Now()
	tried, err := s.measured(ctx, dir, pkgs, chosen, progress)
	if err != nil {
		return err
	}
	outcomes := make([]*outcome, len(chosen))
	var mu sync.Mutex
	err = each(ctx, s.jobs, shuffled(chosen, s.seed), func(ctx context.Context, m *mutant) error {
		o := known[m.key()]
		reason := equivalent[m.key()]
		switch {
		case o != nil && (o.By != "" || !s.again):
			o.Line = m.line
		case reason != "":
			o = &outcome{Key: m.key(), File: m.file, Line: m.line, Equivalent: reason}
		default:
			var err error
			if o, err = hunt(ctx, m, tried, s.trials); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(progress, "%s: %s\n", m, o.tell())
		}
		outcomes[m.n-1] = o
		return nil
	})
	// What is known is kept, also of a run that was interrupted.
	done := slices.DeleteFunc(slices.Clone(outcomes), func(o *outcome) bool { return o == nil })
	writeTable(out, done, s.tests)
	fmt.Fprintf(out, "%d of %d mutants in %s\n", len(done), len(all), time.Since(began).Round(time.Second))
	return errors.Join(err, s.save(done))
}

// measured returns the trials of a program that has these mutants in it, after a round without.
func (s *settings) measured(ctx context.Context, dir string, pkgs []*packages.Package, mutants []*mutant, progress io.Writer) ([]*trial, error) {
	files, err := weave(s.root, pkgs, mutants)
	if err != nil {
		return nil, err
	}
	overlay, err := files.Write(s.root, dir)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	tried, err := s.build(ctx, dir, overlay, files.Packages())
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "built %d mutants in %s\n", len(mutants), time.Since(began).Round(time.Second))
	if err := each(ctx, s.jobs, tried, func(ctx context.Context, t *trial) error { return t.measure(ctx, dir) }); err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "ran %d trials without a mutant in %s\n", len(tried), time.Since(began).Round(time.Second))
	return tried, nil
}

// runBounds shows what reaches the bounds.
func (s *settings) runBounds(ctx context.Context, pkgs []*packages.Package, out, progress io.Writer) error {
	var places []*mutant
	for i := range bounds {
		if bounds[i].outside != "" {
			continue
		}
		m, err := bounds[i].mutant(s.root, i+1)
		if err != nil {
			return err
		}
		places = append(places, m)
	}
	dir, err := os.MkdirTemp("", "fray-bounds-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tried, err := s.measured(ctx, dir, pkgs, places, progress)
	if err != nil {
		return err
	}
	return writeBounds(out, tried)
}

// shuffled returns them in another order, so that those of a run that is interrupted are a sample,
// too.
func shuffled(mutants []*mutant, seed uint64) []*mutant {
	return slices.SortedFunc(slices.Values(mutants), func(a, b *mutant) int { return cmp.Compare(a.rank(seed), b.rank(seed)) })
}

// tell says in a few words what became of it.
func (o *outcome) tell() string {
	switch {
	case o.By != "":
		return fmt.Sprintf("%s %s: %s", o.By, o.Trial, o.How)
	case o.Reaching == 0:
		return "UNREACHED"
	default:
		return fmt.Sprintf("SURVIVED %d trials", o.Trials)
	}
}

func (s *settings) save(outcomes []*outcome) error {
	if s.out == "" {
		return nil
	}
	f, err := os.Create(s.out)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(f)
	for _, o := range outcomes {
		if err := encoder.Encode(o); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// build builds fray-sim with all of the mutants, and with -tests the tests of packages, and returns
// what there is to try.
func (s *settings) build(ctx context.Context, dir, overlay string, packages []string) ([]*trial, error) {
	program := filepath.Join(dir, "fray-sim")
	if err := s.goCommand(ctx, "build", "-overlay="+overlay, "-o", program, "./cmd/fray-sim"); err != nil {
		return nil, err
	}
	all, err := trials(ctx, s.root, program, s.chaos, s.library)
	if err != nil || !s.tests {
		return all, err
	}
	for i, pkg := range packages {
		program := filepath.Join(dir, fmt.Sprintf("tests-%d", i))
		if err := s.goCommand(ctx, "test", "-c", "-overlay="+overlay, "-o", program, pkg); err != nil {
			return nil, err
		}
		all = append(all, testTrial(s.root, pkg, program))
	}
	return all, nil
}

func (s *settings) goCommand(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// each does something with all of them, some at a time, and stops at the first error.
func each[T any](ctx context.Context, jobs int, all []T, do func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(jobs)
	for _, one := range all {
		group.Go(func() error { return do(ctx, one) })
	}
	return group.Wait()
}
