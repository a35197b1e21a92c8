package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/internal/stamp"
)

func (a *app) newVersion() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and the commit where it is known",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.output == formatJSON {
				return printJSON(a.Stdout, stamp.Read())
			}
			fmt.Fprint(a.Stdout, stamp.Read().Lines("fray"))
			return nil
		},
	}
	a.addOutputFlag(cmd)
	return cmd
}
