package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/internal/stamp"
)

func (a *app) newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and the commit where it is known: a seed replays on what it failed on",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprint(a.Stdout, stamp.Read().Lines("fray-sim"))
			return nil
		},
	}
}
