package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/sim/scenario"
)

func (a *app) newList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the scenarios of the library", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			for _, name := range scenario.List() {
				s, err := scenario.Load(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(table, "%s\t%s\n", name, s.Metadata.Summary)
			}
			return table.Flush()
		},
	}
}

func (a *app) newExplain() *cobra.Command {
	return &cobra.Command{
		Use: "explain NAME", Short: "Show the file of a scenario of the library", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := scenario.Text(args[0])
			if err != nil {
				return asInvalid(err)
			}
			_, err = a.stdout.Write(text)
			return err
		},
	}
}

func (a *app) newValidate() *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE...", Short: "Check scenario files", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var errs []error
			for _, file := range args {
				if _, err := scenario.ParseFile(file); err != nil {
					errs = append(errs, err)
				}
			}
			return asInvalid(errors.Join(errs...))
		},
	}
}

func (a *app) newSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of scenario files, for editors", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(scenario.Schema())
			return err
		},
	}
}

func (a *app) newDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff TRACE TRACE", Short: "Find the first event in which two traces differ", Args: cobra.ExactArgs(2),
		Long: "Find the first event in which two traces differ. It exits with 3 if they do.",
		RunE: func(_ *cobra.Command, args []string) error { return a.diff(args[0], args[1]) },
	}
}

// diff compares two files line by line.
func (a *app) diff(left, right string) error {
	x, err := os.Open(left)
	if err != nil {
		return asInvalid(err)
	}
	defer x.Close()
	y, err := os.Open(right)
	if err != nil {
		return asInvalid(err)
	}
	defer y.Close()
	one, other := bufio.NewReader(x), bufio.NewReader(y)
	for n := 1; ; n++ {
		p, errP := one.ReadString('\n')
		q, errQ := other.ReadString('\n')
		switch {
		case errP != nil && !errors.Is(errP, io.EOF):
			return asInvalid(errP)
		case errQ != nil && !errors.Is(errQ, io.EOF):
			return asInvalid(errQ)
		case p != q:
			fmt.Fprintf(a.stdout, "event %d differs\n%s: %s\n%s: %s\n", n, left, orEnd(p), right, orEnd(q))
			return &exitError{code: 3}
		case errP != nil:
			fmt.Fprintf(a.stdout, "%d events, no difference\n", n-1)
			return nil
		}
	}
}

func orEnd(line string) string {
	if line == "" {
		return "(it ends)"
	}
	return line[:max(len(line)-1, 0)]
}
