package main

import "github.com/spf13/cobra"

// addWallClockFlag adds the flag of a process whose wall clock a test sets: by the duration that a
// file says.
func addWallClockFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "wall-clock-file", "", "a `file` with a duration by which the wall clock is to differ from the machine's")
	if err := cmd.Flags().MarkHidden("wall-clock-file"); err != nil {
		panic(err)
	}
}
