package simtest

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/sim/scenario"
)

// What the matrix has for cells without a number.
const (
	cellUncovered  = "·"
	cellImpossible = "-"
)

func (a *App) newCoverage() *cobra.Command {
	var names bool
	cmd := &cobra.Command{
		Use: "coverage", Short: "Show which faults the library injects in which phases", Args: cobra.NoArgs,
		Long: `Show which faults the library injects in which phases of a call: the number of scenarios for each kind and phase,
· where there is none yet, and - where there can be none.`,
		RunE: func(*cobra.Command, []string) error {
			var all []*scenario.Scenario
			for _, name := range a.library().List() {
				s, err := a.library().Load(name)
				if err != nil {
					return err
				}
				all = append(all, s)
			}
			writeCoverage(a.Stdout, a.program.Subject.Format.Cover(all), names)
			return nil
		},
	}
	cmd.Flags().BoolVar(&names, "names", false, "name the scenarios, and say why cells are impossible")
	return cmd
}

func writeCoverage(w io.Writer, c *scenario.Coverage, names bool) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "FAULT\t%s\tscenarios\n", strings.Join(c.Columns, "\t"))
	perColumn, everywhere := make([]scenarioSet, len(c.Columns)), scenarioSet{}
	for i := range perColumn {
		perColumn[i] = scenarioSet{}
	}
	for _, row := range c.Rows {
		inRow := scenarioSet{}
		fmt.Fprint(table, row.Kind)
		for i, cell := range row.Cells {
			text := strconv.Itoa(len(cell.Scenarios))
			switch {
			case cell.Impossible != "":
				text = cellImpossible
			case len(cell.Scenarios) == 0:
				text = cellUncovered
			}
			fmt.Fprintf(table, "\t%s", text)
			inRow.add(cell.Scenarios)
			perColumn[i].add(cell.Scenarios)
			everywhere.add(cell.Scenarios)
		}
		fmt.Fprintf(table, "\t%d\n", len(inRow))
	}
	fmt.Fprint(table, "scenarios")
	for _, column := range perColumn {
		fmt.Fprintf(table, "\t%d", len(column))
	}
	fmt.Fprintf(table, "\t%d\n", len(everywhere))
	_ = table.Flush() // what it writes to fails, if at all, for the next line too
	covered, possible := c.Count()
	fmt.Fprintf(w, "\n%d of %d possible cells covered\n", covered, possible)
	for _, row := range c.Rows {
		for i, cell := range row.Cells {
			if cell.Impossible == "" && len(cell.Scenarios) == 0 {
				fmt.Fprintf(w, "none: %s, %s\n", row.Kind, c.Columns[i])
			}
		}
	}
	if names {
		writeCells(w, c)
	}
}

// writeCells says which scenarios cover which cell, and why the others are impossible.
func writeCells(w io.Writer, c *scenario.Coverage) {
	type column struct{ why, name string }
	var impossible []column
	kinds := map[column][]string{}
	for _, row := range c.Rows {
		fmt.Fprintf(w, "\n%s\n", row.Kind)
		for i, cell := range row.Cells {
			if len(cell.Scenarios) > 0 {
				fmt.Fprintf(w, "  %s: %s\n", c.Columns[i], strings.Join(cell.Scenarios, ", "))
			}
			if cell.Impossible == "" {
				continue
			}
			at := column{cell.Impossible, c.Columns[i]}
			if kinds[at] == nil {
				impossible = append(impossible, at)
			}
			kinds[at] = append(kinds[at], row.Kind)
		}
	}
	slices.SortStableFunc(impossible, func(a, b column) int { return cmp.Compare(a.why, b.why) })
	fmt.Fprintln(w, "\nImpossible:")
	for i, at := range impossible {
		if i == 0 || at.why != impossible[i-1].why {
			fmt.Fprintf(w, "\n%s\n", at.why)
		}
		fmt.Fprintf(w, "  %s: %s\n", at.name, strings.Join(kinds[at], ", "))
	}
}

// A scenarioSet is names of scenarios, each counted once.
type scenarioSet map[string]struct{}

func (s scenarioSet) add(names []string) {
	for _, name := range names {
		s[name] = struct{}{}
	}
}
