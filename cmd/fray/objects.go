package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// objectJSON is an object as -o json writes it.
type objectJSON struct {
	ObjectID string   `json:"object_id"`
	Owner    string   `json:"owner,omitempty"`
	Bytes    int64    `json:"bytes"`
	Encoding string   `json:"encoding"`
	Jobs     []string `json:"job_ids"`
	JobCount uint64   `json:"job_count"`
}

func (a *app) newObjects() *cobra.Command {
	var job string
	cmd := &cobra.Command{
		Use:   "objects",
		Short: "List objects",
		Long: `List the objects that jobs hold, the latest first: how large each is, and which jobs hold it, 16 of them at most. With -o json, each
is an object on a line of its own.`,
		Example: `  fray objects --job nightly
  fray objects -o json | jq -s 'map(.bytes) | add'`,
		Args: noArgs,
		RunE: a.calling(func(ctx context.Context, c *client, _ []string) error { return a.listObjects(ctx, c, job) }),
	}
	a.addClientFlags(cmd)
	cmd.Flags().StringVar(&job, "job", "", "only those that this `job` holds")
	a.complete(cmd, "job", jobIDs)
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) listObjects(ctx context.Context, c *client, job string) error {
	objects := &listing{app: a, header: []string{"object", "size", "encoding", "jobs", "held by", "owner"}}
	req := &frayv1.ListObjectsRequest{JobId: job, PageSize: listPage}
	for {
		page, err := ask(ctx, c, c.ListObjects, req)
		if err != nil {
			return err
		}
		for _, h := range page.GetObjects() {
			o := h.GetObject()
			err := objects.add([]string{
				o.GetObjectId(), byteSize(number.Clamp[uint64](o.GetSizeBytes())), o.GetEncoding(), count(h.GetJobCount()), strings.Join(h.GetJobIds(), " "),
				cmp.Or(h.GetOwner(), "-"),
			}, objectJSON{
				ObjectID: o.GetObjectId(), Owner: h.GetOwner(), Bytes: o.GetSizeBytes(), Encoding: o.GetEncoding(), Jobs: h.GetJobIds(),
				JobCount: h.GetJobCount(),
			})
			if err != nil {
				return err
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	objects.end("no objects")
	return nil
}
