package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/internal/command"
)

func (a *app) newDebug() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "debug",
		Short: "Look into what a stopped controller left",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.newDump())
	return cmd
}

func (a *app) newDump() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "dump --data-dir DIR",
		Short: "Show all tasks of a data directory",
		Long: `Show all tasks of a data directory that no controller uses, without changing a byte of it. With -o json each line is a task
with its result. A task that cannot be read is named on the standard error, the others follow, and the exit code is 1.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.dump(dir) },
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "the `directory`")
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) dump(dir string) error {
	if dir == "" {
		return command.UsageError("which data directory? pass --data-dir")
	}
	s, err := pebblestore.Open(pebblestore.Config{Dir: dir, ReadOnly: true})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Damage(); err != nil {
		fmt.Fprintf(a.Stderr, "fray debug dump: what follows is not all: %v\n", err)
	}
	broken := 0
	tasks := &listing{app: a, header: taskHeader}
	for d, err := range controller.DumpTasks(s) {
		switch {
		case d == nil:
			return err
		case err != nil:
			broken++
			fmt.Fprintf(a.Stderr, "fray debug dump: %v\n", err)
		default:
			if err := tasks.add(taskRow(d.Result.GetTask()), newResultJSON(d.Result)); err != nil {
				return err
			}
		}
	}
	tasks.end("no tasks")
	if broken > 0 {
		return fmt.Errorf("%s cannot be read: restore a backup of %s, or copy what the others hold", wording.Count(uint64(broken), "task"), dir)
	}
	if s.Damage() != nil {
		return fmt.Errorf("%s has lost tasks that were acknowledged: restore a backup of it", dir)
	}
	return nil
}
