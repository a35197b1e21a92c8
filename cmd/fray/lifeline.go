package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"
)

const lifelineOption = "lifeline"

// addLifelineFlag adds the flag of a process that must not outlive the one that started it: it
// holds the other end of the pipe that is the standard input.
func addLifelineFlag(cmd *cobra.Command, lifeline *bool) {
	cmd.Flags().BoolVar(lifeline, lifelineOption, false, "stop at once when the standard input ends")
	if err := cmd.Flags().MarkHidden(lifelineOption); err != nil {
		panic(err)
	}
}

// watchLifeline calls cut when the standard input ends. It ends with the process: a read of the
// standard input cannot be called off.
func (a *app) watchLifeline(cut func(cause error)) {
	_, _ = io.Copy(io.Discard, a.Stdin)
	cut(errors.New("the parent process is gone"))
}
