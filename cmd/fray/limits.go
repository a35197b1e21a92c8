package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// limitJSON is a limit as -o json writes it.
type limitJSON struct {
	Name          string  `json:"name"`
	Key           string  `json:"key,omitempty"`
	Owner         string  `json:"owner,omitempty"`
	MaxConcurrent uint32  `json:"max_concurrent,omitempty"`
	MaxStarts     uint32  `json:"max_starts,omitempty"`
	PeriodMs      int64   `json:"period_ms,omitempty"`
	InUse         uint64  `json:"in_use"`
	Waiting       uint64  `json:"waiting"`
	Starts        *uint32 `json:"starts,omitempty"`
}

func (a *app) newLimits() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "limits",
		Short: "List limits",
		Long: `List the limits that open tasks name, by name and key: how many tasks are ready for a worker or at one under each, how many wait
for room, and how many attempts may start now. With -o json, each is an object on a line of its own.`,
		Example: `  fray limits
  fray limits -o json | jq -r 'select(.waiting > 0).name'`,
		Args: noArgs,
		RunE: a.calling(a.listLimits),
	}
	a.addClientFlags(cmd)
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) listLimits(ctx context.Context, c *client, _ []string) error {
	limits := &listing{app: a, header: []string{"limit", "key", "in use", "waiting", "starts left", "owner"}}
	req := &frayv1.ListLimitsRequest{PageSize: listPage}
	for {
		page, err := ask(ctx, c, c.ListLimits, req)
		if err != nil {
			return err
		}
		for _, s := range page.GetLimits() {
			l := s.GetLimit()
			inUse, starts := count(s.GetInUseCount()), "-"
			if n := l.GetMaxConcurrent(); n > 0 {
				inUse += " of " + strconv.FormatUint(uint64(n), 10)
			}
			if s.StartCount != nil {
				starts = fmt.Sprintf("%d of %d in %s", s.GetStartCount(), l.GetMaxStarts(), number.ShortDuration(number.FromMillis(l.GetPeriodMs())))
			}
			err := limits.add([]string{
				l.GetName(), cmp.Or(l.GetKey(), "-"), inUse, count(s.GetWaitingCount()), starts, cmp.Or(s.GetOwner(), "-"),
			}, limitJSON{
				Name: l.GetName(), Key: l.GetKey(), Owner: s.GetOwner(), MaxConcurrent: l.GetMaxConcurrent(), MaxStarts: l.GetMaxStarts(),
				PeriodMs: l.GetPeriodMs(), InUse: s.GetInUseCount(), Waiting: s.GetWaitingCount(), Starts: s.StartCount,
			})
			if err != nil {
				return err
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	limits.end("no limits")
	return nil
}
