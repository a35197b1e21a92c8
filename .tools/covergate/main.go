// Command covergate fails when too few statements are covered.
//
// It merges any number of Go cover profiles, so that a block counts once however many test binaries and
// processes ran it, prints the coverage of each package and of all together, and exits 1 when the total is
// below the minimum:
//
//	covergate -min 80 -exclude example.com/m/gen/ -o merged.out unit.out processes.out
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// lowestShown bounds the packages named as the least covered.
const lowestShown = 5

// errBelow reports coverage under the minimum.
var errBelow = errors.New("coverage is below the minimum")

func main() {
	err := run(os.Args[1:], os.Stdout)
	switch {
	case err == nil:
	case errors.Is(err, errBelow):
		fmt.Fprintln(os.Stderr, "covergate:", err)
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "covergate:", err)
		os.Exit(2)
	}
}

// run is the command: it merges the profiles that args name and writes the report to out.
func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("covergate", flag.ContinueOnError)
	minPercent := flags.Float64("min", 80, "fail below this percentage of statements")
	merged := flags.String("o", "", "write the merged profile to this file")
	strip := flags.String("strip", "", "prefix to leave out of the package names printed")
	var excluded []string
	flags.Func("exclude", "leave out files whose path starts with this prefix; may be repeated", func(s string) error {
		excluded = append(excluded, s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("no profile given: name at least one file written by go test -coverprofile")
	}

	profile := newProfile(excluded)
	for _, name := range flags.Args() {
		if err := readFile(profile, name); err != nil {
			return err
		}
	}
	if *merged != "" {
		if err := writeFile(profile, *merged); err != nil {
			return err
		}
	}
	return report(out, profile.packages(), *strip, *minPercent)
}

func readFile(profile *profile, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open profile: %w", err)
	}
	defer file.Close()
	if err := profile.read(file); err != nil {
		return fmt.Errorf("read profile %s: %w", name, err)
	}
	return nil
}

func writeFile(profile *profile, name string) error {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("create merged profile: %w", err)
	}
	return errors.Join(profile.write(file), file.Close())
}

// report prints the table and returns errBelow when the total is under minPercent.
func report(out io.Writer, packages []coverage, strip string, minPercent float64) error {
	total := coverage{name: "total"}
	for _, p := range packages {
		total.statements += p.statements
		total.covered += p.covered
	}
	if total.statements == 0 {
		return errors.New("no statement in the profiles: were the tests run with -coverpkg?")
	}
	for _, p := range packages {
		p.name = strings.TrimPrefix(p.name, strip)
		fmt.Fprintln(out, p)
	}
	fmt.Fprintln(out, total)

	fmt.Fprint(out, "least covered:")
	for _, p := range lowest(packages, lowestShown) {
		fmt.Fprintf(out, " %s (%d statements missed)", strings.TrimPrefix(p.name, strip), p.missed())
	}
	fmt.Fprintln(out)
	if total.percent() < minPercent {
		return fmt.Errorf("%w: %.2f%% of statements, want %g%%", errBelow, total.percent(), minPercent)
	}
	return nil
}
