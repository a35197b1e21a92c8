package simtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/sim/chaos"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/guide"
	"github.com/frayrpc/fray/sim/report"
)

const (
	// defaultRuns is how many runs are guided unless --runs or --for say otherwise, and maxRuns the most
	// of --runs.
	defaultRuns, maxRuns = 300, 1_000_000
	// guidedLimit is how long a guided run may take in real time on top of --stall.
	guidedLimit = 10 * time.Minute
)

const longGuided = `With --guided, scenarios whose runs come to something that no run
before came to are kept and varied: some of their parts are drawn from other seeds. The same seed, which
is the first of the fresh ones, gives the same runs in the same order. Each of them is a scenario by itself,
as --seed and --redraw name it.`

// checkGuided refuses options that make no sense with --guided, or without it.
func (o *chaosOptions) checkGuided(flags *pflag.FlagSet, show bool) error {
	switch {
	case !o.guided && flags.Changed("runs"):
		return Invalid("--runs is for --guided")
	case !o.guided:
		return nil
	case o.place.used():
		return Invalid("--guided is for runs in virtual time: leave --backend out")
	case show || o.redraw != "" || o.seeds != "":
		return Invalid("--guided chooses what runs: leave --print, --%s and --seeds out; "+
			"--seed says which seed is the first", redrawFlag)
	case o.ofOne() || o.out != "" || o.format == formatJUnit:
		return Invalid("--guided tells of many runs: leave --trace, --html, --task, --why, --out and --format junit out, "+
			"and look at one with --seed and --%s", redrawFlag)
	case o.runs < 1 || o.runs > maxRuns:
		return Invalid("--runs %d is not between 1 and %d", o.runs, maxRuns)
	}
	if o.lasts > 0 && !flags.Changed("runs") {
		o.runs = maxRuns
	}
	return nil
}

// A guided is many runs of random scenarios, each chosen by what those before it came to.
type guided struct {
	*App

	drawing *drawing
	options *chaosOptions
	guide   *guide.Guide
	totals  *report.Guided
	// executable is what runs each of them; "": they run in this process.
	executable string
}

func (a *App) runGuided(ctx context.Context, o *chaosOptions) error {
	o.program, o.reach = a.program, true
	seeds, _, err := o.pick(&subject{first: firstDrawn})
	if err != nil {
		return err
	}
	d, err := a.drawing(o)
	if err != nil {
		return err
	}
	g := &guided{
		App: a, drawing: d, options: o,
		guide:  guide.New(guide.Config{First: seeds.First, Parts: d.parts, Digest: d.digest}),
		totals: report.NewGuided(d.Subject),
	}
	if !o.here {
		if g.executable, err = a.Executable(); err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
	}
	if err := g.run(ctx); err != nil {
		return err
	}
	return g.conclude(ctx)
}

// run makes the runs, a batch after the other.
func (g *guided) run(ctx context.Context) error {
	var bar *progress
	if g.options.format == formatText {
		bar = newProgress(g.Stderr, uint64(g.options.runs), g.options.lasts) //nolint:gosec // At least 1.
	}
	defer bar.finish()
	for left := g.options.runs; left > 0 && ctx.Err() == nil; {
		batch := g.guide.Next(min(guide.Batch, left))
		left -= len(batch)
		for i, r := range g.runBatch(ctx, batch) {
			if r == nil {
				return nil // Nobody waits for it.
			}
			bar.add(!r.Passed())
			if err := g.take(batch[i], r); err != nil {
				return err
			}
			if !r.Passed() && g.options.failFast {
				return nil
			}
		}
		if g.options.lasts > 0 && time.Since(g.totals.Began) >= g.options.lasts {
			return nil
		}
	}
	return nil
}

// take takes in a result, the next in the order of the candidates.
func (g *guided) take(c *guide.Candidate, r *engine.Result) error {
	found := g.guide.Take(c, r)
	g.totals.Add(g.drawing.varied(c.Redraw), r)
	if g.options.format != formatJSON {
		return nil
	}
	return json.NewEncoder(g.Stdout).Encode(struct {
		*engine.Result

		Redraw string `json:"redraw,omitempty"`
		Found  int    `json:"found"`
	}{r, c.Redraw.String(), found})
}

// runBatch makes the runs of a batch, as many at a time as --jobs says, and returns their results; nil: ctx ended it.
func (g *guided) runBatch(ctx context.Context, batch []*guide.Candidate) []*engine.Result {
	results := make([]*engine.Result, len(batch))
	if g.executable == "" {
		for i, c := range batch {
			results[i] = g.one(ctx, c.Variation, g.here)
		}
		return results
	}
	var next atomic.Int64
	var owned sync.WaitGroup
	for range min(g.options.jobs.count(), len(batch)) {
		owned.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(batch); i = next.Add(1) - 1 {
				results[i] = g.one(ctx, batch[i].Variation, g.apart)
			}
		})
	}
	owned.Wait()
	return results
}

// one makes a run. What keeps it from coming to an end is its result.
func (g *guided) one(
	ctx context.Context, v chaos.Variation, run func(context.Context, chaos.Variation) (*engine.Result, error),
) *engine.Result {
	r, err := run(ctx, v)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return brokenDown(g.nameOf(v), v.Seed, err)
	}
	return r
}

// nameOf returns what a scenario calls itself.
func (g *guided) nameOf(v chaos.Variation) string {
	return fmt.Sprintf("%s-%d%s", g.drawing.Name, v.Seed, v.Redraw.Suffix())
}

// here makes a run in this process.
func (g *guided) here(ctx context.Context, v chaos.Variation) (*engine.Result, error) {
	s, err := g.drawing.draw(v)
	if err != nil {
		return nil, err
	}
	g.options.onStall = func(r *engine.Result) {
		_ = g.print(r, &subject{Subject: g.drawing.varied(v.Redraw)}, &g.options.runOptions) // There is nobody to tell.
		os.Exit(r.ExitCode())
	}
	return g.options.runHere(ctx, s, v.Seed, g.options.verify, nil)
}

// apart makes a run in a process of its own.
func (g *guided) apart(ctx context.Context, v chaos.Variation) (*engine.Result, error) {
	args := append(slices.Clone(g.drawing.varied(v.Redraw).Args), "--seed", strconv.FormatUint(v.Seed, 10),
		"--format", formatJSON, "--"+hereFlag, "--"+reachFlag, "--stall", g.options.stall.String(),
		"--verify="+strconv.FormatBool(g.options.verify))
	i := &isolated{executable: g.executable, seed: v.Seed, stall: g.options.stall, limit: g.options.stall + guidedLimit}
	if g.options.stall == 0 {
		i.limit = math.MaxInt64 // It may take as long as it likes.
	}
	r, err := i.process(ctx, g.nameOf(v), args)
	if err != nil && !errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("seed %d: %w", v.Seed, err)
	}
	return r, err
}

// conclude writes what the runs came to, and returns it as an exit code.
func (g *guided) conclude(ctx context.Context) error {
	ran := g.guide.Ran()
	g.totals.Reached, g.totals.Ways = g.guide.Points(), report.Ways{
		Fresh: ran.Fresh, Varied: ran.Varied, FreshPoints: ran.FreshPoints, VariedPoints: ran.VariedPoints, Kept: ran.Kept,
	}
	if g.options.format == formatText {
		g.totals.Write(g.Stdout, ctx.Err() != nil)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if first := g.totals.Failures; len(first) > 0 {
		return &ExitError{Code: first[0].ExitCode()}
	}
	return nil
}
