package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// actorJSON is an actor as -o json writes it.
type actorJSON struct {
	ActorID     string `json:"actor_id"`
	Name        string `json:"name,omitempty"`
	Class       string `json:"class"`
	State       string `json:"state"`
	JobID       string `json:"job_id"`
	WorkerID    string `json:"worker_id,omitempty"`
	Restarts    uint32 `json:"restarts"`
	MaxRestarts uint32 `json:"max_restarts"`
	OpenCalls   uint64 `json:"open_calls"`
	HandedCalls uint32 `json:"handed_calls"`
}

func (a *app) newActors() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "actors",
		Short: "List actors",
		Long: `List actors, oldest first: where each is, how often it was restarted, and how many calls wait for it. Dead ones are
listed as long as the controller knows them. With -o json, each is an object on a line of its own.

"fray cancel ID" deletes an actor, and "fray get ID" tells what its life ended with.`,
		Example: `  fray actors
  fray actors --name top-ten -o json | jq -r .worker_id`,
		Args: noArgs,
		RunE: a.calling(func(ctx context.Context, c *client, _ []string) error { return a.listActors(ctx, c, name) }),
	}
	a.addClientFlags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "only the one that lives under this `name`")
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) listActors(ctx context.Context, c *client, name string) error {
	actors := &listing{app: a, header: []string{"actor", "name", "class", "state", "worker", "restarts", "calls", "job"}}
	req := &frayv1.ListActorsRequest{Name: name, PageSize: listPage}
	for {
		page, err := ask(ctx, c, c.ListActors, req)
		if err != nil {
			return err
		}
		for _, x := range page.GetActors() {
			state := strings.ToLower(strings.TrimPrefix(x.GetState().String(), "ACTOR_STATE_"))
			err := actors.add([]string{
				x.GetActorId(), cmp.Or(x.GetName(), "-"), x.GetFunction(), state, cmp.Or(x.GetWorkerId(), "-"),
				fmt.Sprintf("%d of %d", x.GetRestartCount(), x.GetMaxRestarts()), strconv.FormatUint(x.GetOpenCallCount(), 10), x.GetJobId(),
			}, actorJSON{
				ActorID: x.GetActorId(), Name: x.GetName(), Class: x.GetFunction(), State: state, JobID: x.GetJobId(), WorkerID: x.GetWorkerId(),
				Restarts: x.GetRestartCount(), MaxRestarts: x.GetMaxRestarts(), OpenCalls: x.GetOpenCallCount(), HandedCalls: x.GetHandedCallCount(),
			})
			if err != nil {
				return err
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	actors.end("no actors")
	return nil
}
