package simtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/guide"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
)

// A sweep is many seeds of a subject, and where their results go.
type sweep struct {
	*App

	subject *subject
	options *runOptions
	out     *output // nil: nowhere

	totals *report.Totals
	known  guide.Known           // points
	told   int                   // failures
	suite  *report.Suite         // nil: nobody wants one
	lines  *renameio.PendingFile // of out
}

// sweep runs many seeds, shared out over processes if they are more than a few, and reports what
// broke and the first seed that fails. On a terminal it shows how far it is. When ctx ends it, it
// tells what it has by then.
func (a *App) sweep(ctx context.Context, of *subject, o *runOptions, seeds scenario.Seeds, out *output) error {
	w := &sweep{App: a, subject: of, options: o, out: out, totals: report.NewTotals(of.Subject, seeds), known: guide.Known{}}
	if o.format == formatJUnit || out != nil {
		w.suite = report.NewSuite(of.Subject)
	}
	if out != nil {
		lines, err := pending(filepath.Join(out.dir, fileResults))
		if err != nil {
			return Invalid("--out: %w", err)
		}
		defer lines.Cleanup() //nolint:errcheck // It has its name by then, or an error is told.
		w.lines = lines
	}
	if err := w.run(ctx, seeds); err != nil {
		return err
	}
	if o.lasts > 0 && w.totals.Ran > 0 {
		w.totals.Seeds.Last = seeds.First + w.totals.Ran - 1 // Nobody asked for more.
	}
	if left := w.totals.Seeds.Count() - w.totals.Ran; w.suite != nil && ctx.Err() != nil && left > 0 {
		w.suite.AddError("seeds that did not run", scenario.VerdictInterrupted, fmt.Sprintf("%d seeds of %v did not run: the sweep was interrupted", left, seeds))
	}
	return w.conclude(ctx)
}

func (w *sweep) run(ctx context.Context, seeds scenario.Seeds) error {
	results := w.here(ctx, seeds)
	if !w.options.here && !w.options.place.used() { // Of which each run is processes of its own.
		executable, err := w.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		results = (&crew{
			executable: executable, subject: w.subject, seeds: seeds, stall: w.options.stall, verify: w.options.verify, reach: w.options.reach,
			jobs: w.options.jobs.count(),
		}).results(ctx)
	}
	var bar *progress
	if w.options.format == formatText && seeds.Count() > 1 {
		bar = newProgress(w.Stderr, seeds.Count(), w.options.lasts)
	}
	defer bar.finish()
	for result := range results {
		failed := !result.Passed()
		bar.add(failed)
		if err := w.take(result); err != nil {
			return err
		}
		if failed && w.options.format == formatText && seeds.Count() > 1 {
			w.tell(bar, result)
		}
		if failed && w.options.failFast || w.options.lasts > 0 && time.Since(w.totals.Began) >= w.options.lasts {
			break
		}
	}
	return nil
}

// toldFailures is how many failing seeds are told of as they come.
const toldFailures = 20

// tell says that a seed has failed, so that a long sweep need not be over to be of use.
func (w *sweep) tell(bar *progress, r *engine.Result) {
	switch w.told++; {
	case w.told <= toldFailures:
		fmt.Fprintf(bar.above(w.Stderr), "seed %d fails (%v): %s\n", r.Seed, r.Verdict, r.Broken)
	case w.told == toldFailures+1:
		fmt.Fprintln(bar.above(w.Stderr), "More seeds fail, which are told of at the end.")
	}
}

// here runs seeds in this process.
func (w *sweep) here(ctx context.Context, seeds scenario.Seeds) iter.Seq[*engine.Result] {
	w.options.onStall = func(r *engine.Result) {
		if r.Verdict != scenario.VerdictInterrupted {
			_ = w.take(r) // There is nobody to tell.
		}
		if w.suite != nil {
			_ = w.tellXML()
		}
		os.Exit(r.ExitCode())
	}
	return func(yield func(*engine.Result) bool) {
		for seed := seeds.First; ; seed++ {
			s := w.subject.of(seed)
			result, err := w.options.runOne(ctx, s, seed, !w.options.place.used() && (w.options.verify || s.Run.Verifies(seed)), nil)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				result = brokenDown(s.Metadata.Name, seed, err)
				if w.options.place.used() {
					result.Backend = w.options.place.name
				}
			}
			if !yield(result) || seed == seeds.Last {
				return
			}
		}
	}
}

// take takes in a result, the next in the order of the seeds.
func (w *sweep) take(r *engine.Result) error {
	w.totals.Add(r)
	w.known.Take(r.Reached)
	if w.suite != nil {
		w.suite.Add(r)
	}
	if w.lines != nil {
		if err := json.NewEncoder(w.lines).Encode(r); err != nil {
			return fmt.Errorf("write %s: %w", fileResults, err)
		}
	}
	if w.options.format == formatJSON {
		return json.NewEncoder(w.Stdout).Encode(r)
	}
	return nil
}

// conclude writes what the seeds came to, and returns it as an exit code.
func (w *sweep) conclude(ctx context.Context) error {
	summarize := func(to io.Writer) error {
		w.totals.Reached = w.known.Counts()
		w.totals.Write(to, ctx.Err() != nil)
		return nil
	}
	if w.out != nil {
		// When ctx is done nobody waits for seeds that are not saved yet.
		if err := w.save(ctx, summarize); err != nil && ctx.Err() == nil {
			return err
		}
	}
	switch w.options.format {
	case formatText:
		_ = summarize(w.Stdout)
		if w.out != nil {
			fmt.Fprintf(w.Stdout, "\nThe results are in %s.\n", w.out.dir)
		}
	case formatJUnit:
		w.options.xmlTold = true
		if w.suites == nil {
			if err := report.WriteSuites(w.Stdout, w.suite); err != nil {
				return err
			}
		}
	}
	if w.suites != nil && w.suite != nil {
		*w.suites = append(*w.suites, w.suite)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if first := w.totals.Failures; len(first) > 0 {
		return &ExitError{Code: first[0].ExitCode()}
	}
	return nil
}

// tellXML writes the XML of a sweep that ends at once.
func (w *sweep) tellXML() (err error) {
	if w.out != nil {
		err = w.out.saveXML(w.suite)
	}
	if w.options.format == formatJUnit {
		err = errors.Join(err, report.WriteSuites(w.Stdout, w.suite))
	}
	return err
}

// save writes the files of --out.
func (w *sweep) save(ctx context.Context, summarize func(io.Writer) error) error {
	if err := w.lines.CloseAtomicallyReplace(); err != nil {
		return err
	}
	if err := w.out.saveXML(w.suite); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(w.out.dir, fileSummary), summarize); err != nil {
		return err
	}
	for _, failed := range w.totals.Failures {
		err := w.out.saveSeed(w.subject.of(failed.Seed), failed.Seed, func(saved *savedRun) error { return w.replay(ctx, failed, saved) })
		if err != nil {
			return fmt.Errorf("save seed %d: %w", failed.Seed, err)
		}
	}
	return nil
}

// replay runs a failing seed again for its trace, and saves it.
func (w *sweep) replay(ctx context.Context, failed *engine.Result, saved *savedRun) error {
	if failed.Verdict == scenario.VerdictStalled || failed.Broken == engine.BrokenPanic {
		return saved.finish(failed, w.subject) // It would take this process down.
	}
	result, err := w.options.runHere(ctx, w.subject.of(failed.Seed), failed.Seed, failed.Verified, saved.recording)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		result = brokenDown(failed.Scenario, failed.Seed, err)
	}
	if result.Hash != failed.Hash && failed.Verdict != scenario.VerdictHarness && result.Verdict != scenario.VerdictHarness {
		result.Verdict, result.Broken = scenario.VerdictNondeterminism, "determinism"
		result.Text = fmt.Sprintf("the replay has the hash %016x, and the run in the sweep, which broke %s, had %016x",
			result.Hash, failed.Broken, failed.Hash)
	}
	return saved.finish(result, w.subject)
}
