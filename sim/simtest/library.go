package simtest

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (a *App) newList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the scenarios of the library", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			table := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
			for _, name := range a.library().List() {
				s, err := a.library().Load(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(table, "%s\t%s\n", name, s.Metadata.Summary)
			}
			return table.Flush()
		},
	}
}

func (a *App) newExplain() *cobra.Command {
	return &cobra.Command{
		Use: "explain NAME", Short: "Show the file of a scenario of the library", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := a.library().Text(args[0])
			if err != nil {
				return asInvalid(err)
			}
			_, err = a.Stdout.Write(text)
			return err
		},
	}
}

func (a *App) newValidate() *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE|DIRECTORY|GLOB|NAME...", Short: "Check scenarios", Args: cobra.MinimumNArgs(1),
		Long: `validate checks scenarios and tells all that is wrong with any of them: files, all that end in .yaml in a directory and below it,
what matches a glob, and names of the library. It exits with 4 if one is invalid, or if a name stands for none.`,
		RunE: func(_ *cobra.Command, args []string) error {
			var errs []error
			for _, arg := range args {
				names, err := a.choose([]string{arg})
				if err != nil {
					errs = append(errs, err)
				}
				for _, name := range names {
					if _, err := a.load(name); err != nil {
						errs = append(errs, err)
					}
				}
			}
			return asInvalid(errors.Join(errs...))
		},
	}
}

func (a *App) newSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of scenario files, for editors", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.Stdout.Write(a.program.Subject.Format.Schema())
			return err
		},
	}
}
