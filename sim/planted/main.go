// Command planted shows that the scenario library finds bugs: it builds fray-sim with one known bug
// at a time, and each must break the scenario that its file names, in the way that it names, under
// one of the first 200 seeds. Where no simulated cluster comes near a bug, its file names a test
// instead, which must fail with it.
//
//	planted                    every bug, and the unedited program as the control
//	planted -run 'report|stale'
//
// The bugs are in bugs/, a file each: see parseBug. They are edits of today's sources, applied with
// go build -overlay, so that the work tree stays as it is. The exit code is 1 if a bug is not
// found, found as something else, or no longer applies, or if the unedited program fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// defaultSeeds is how many seeds there are to find a bug, from 1.
const defaultSeeds = 200

// errMissed says that something was not as the files say; the table has what.
var errMissed = errors.New("the library does not find all planted bugs as their files say")

func main() { os.Exit(runProcess()) }

func runProcess() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		return 1
	}
	return 0
}

// run is the command.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("planted", flag.ContinueOnError)
	root := flags.String("root", ".", "the `directory` of the module")
	bugs := flags.String("bugs", "sim/planted/bugs", "the `directory` of the bugs' files")
	seeds := flags.Uint64("seeds", defaultSeeds, "the last of the seeds, which begin at 1")
	table := flags.String("table", "", "bring the lines of these bugs up to date in this `file`, a table of all; empty: in none")
	control := flags.Bool("control", true, "have the unedited program pass the same scenarios under all of the seeds")
	only := flags.String("run", "", "only bugs whose name matches this `pattern`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: bugs are chosen with -run", flags.Arg(0))
	}
	if *seeds == 0 {
		return errors.New("-seeds 0: there must be one at least")
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	all, err := readBugs(*bugs)
	if err != nil {
		return err
	}
	var chosen []*bug
	for _, b := range all {
		if pattern.MatchString(b.name) {
			chosen = append(chosen, b)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("-run %q matches none of the %d bugs in %s", *only, len(all), *bugs)
	}
	dir, err := os.MkdirTemp("", "fray-planted-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var records *records
	if *table != "" {
		if records, err = readRecords(*table, all); err != nil {
			return err
		}
	}
	return plantAll(ctx, &garden{root: *root, dir: dir, seeds: *seeds, controls: *control}, chosen, records, out)
}

// plantAll tries the bugs one after the other, then the unedited program, and writes a line on each
// as it comes.
func plantAll(ctx context.Context, g *garden, bugs []*bug, records *records, out io.Writer) error {
	began, missed, controls := time.Now(), 0, 0
	writeHeader(out)
	var planted []*outcome
	for _, b := range bugs {
		o := g.plant(ctx, b)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		planted = append(planted, o)
		missed += o.write(out)
		if err := records.keep(o); err != nil {
			return err
		}
	}
	for o := range g.control(ctx, planted) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		controls++
		missed += o.write(out)
	}
	fmt.Fprintf(out, "\n%d bugs planted, %d controls, %d not as expected, in %s\n",
		len(planted), controls, missed, time.Since(began).Round(time.Second))
	if missed > 0 {
		return errMissed
	}
	return nil
}
