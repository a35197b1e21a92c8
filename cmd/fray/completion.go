package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

const (
	// completionTime is how long a shell waits for what it completes a word with.
	completionTime = time.Second
	// maxCompletions is how many words a shell is offered at most.
	maxCompletions = 200
)

// complete has a shell complete an option's value by what a controller says. Where that fails it offers nothing.
func (a *app) complete(cmd *cobra.Command, flag string, words func(context.Context, *client) ([]string, error)) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return a.offered(cmd, begun, words), cobra.ShellCompDirectiveNoFileComp
	})
}

// offered returns the words that begin like this.
func (a *app) offered(cmd *cobra.Command, begun string, words func(context.Context, *client) ([]string, error)) []string {
	if a.configure(cmd) != nil {
		return nil
	}
	c, err := a.connect()
	if err != nil {
		return nil
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	all, err := words(ctx, c)
	if err != nil {
		return nil
	}
	all = slices.DeleteFunc(all, func(word string) bool { return !strings.HasPrefix(word, begun) })
	return all[:min(len(all), maxCompletions)]
}

// completeStatuses has a shell complete a list of statuses.
func completeStatuses(cmd *cobra.Command, flag string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		before := begun[:strings.LastIndexByte(begun, ',')+1]
		var all []string
		for _, name := range statusChoices {
			if word := before + name; strings.HasPrefix(word, begun) {
				all = append(all, word)
			}
		}
		return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

func jobIDs(ctx context.Context, c *client) (ids []string, err error) {
	res, err := c.ListJobs(ctx, &frayv1.ListJobsRequest{PageSize: listPage})
	for _, j := range res.GetJobs() {
		ids = append(ids, j.GetJobId())
	}
	return ids, err
}

func workerIDs(ctx context.Context, c *client) (ids []string, err error) {
	res, err := c.ListWorkers(ctx, &frayv1.ListWorkersRequest{})
	for _, w := range res.GetWorkers() {
		ids = append(ids, w.GetWorkerId())
	}
	return ids, err
}

func functionNames(ctx context.Context, c *client) (names []string, err error) {
	res, err := c.ListWorkers(ctx, &frayv1.ListWorkersRequest{})
	for _, w := range res.GetWorkers() {
		names = append(names, w.GetFunctions()...)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}
