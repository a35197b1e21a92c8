package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// pendingJSON is a group of pending tasks as -o json writes it.
type pendingJSON struct {
	Reason   string  `json:"pending_reason"`
	Function string  `json:"function"`
	Detail   string  `json:"pending_detail,omitempty"`
	Count    uint64  `json:"count"`
	TaskID   string  `json:"task_id"`
	Since    *string `json:"since"`
}

func (a *app) newPending() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pending",
		Short: "Say what pending tasks wait for",
		Long: `Say what the pending tasks wait for: how many of a function for what, since when the first of them does, and which one that is,
about. The largest groups come first. With -o json, each is an object on a line of its own.`,
		Example: `  fray pending
  fray pending -o json | jq -r 'select(.pending_reason == "NO_ELIGIBLE_WORKER").pending_detail'`,
		Args: noArgs,
		RunE: a.calling(a.listPending),
	}
	a.addClientFlags(cmd)
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) listPending(ctx context.Context, c *client, _ []string) error {
	groups := &listing{app: a, header: []string{"tasks", "function", "wait for", "longest", "such as"}}
	res, err := ask(ctx, c, c.ListPending, &frayv1.ListPendingRequest{})
	if err != nil {
		return err
	}
	seen := uint64(0)
	for _, g := range res.GetGroups() {
		seen += g.GetCount()
		what := strings.ReplaceAll(strings.ToLower(pendingName(g.GetReason())), "_", " ")
		if g.GetDetail() != "" {
			what += ": " + g.GetDetail()
		}
		err := groups.add([]string{count(g.GetCount()), g.GetFunction(), what, ago(g.GetSinceUnixMs()), cmp.Or(g.GetTaskId(), "-")}, pendingJSON{
			Reason: pendingName(g.GetReason()), Function: g.GetFunction(), Detail: g.GetDetail(), Count: g.GetCount(), TaskID: g.GetTaskId(),
			Since: timestamp(g.GetSinceUnixMs()),
		})
		if err != nil {
			return err
		}
	}
	groups.end("no pending tasks")
	if res.GetPartial() || seen < res.GetTotalCount() {
		fmt.Fprintf(a.Stderr, "these are %d of %d pending tasks\n", seen, res.GetTotalCount())
	}
	return nil
}
