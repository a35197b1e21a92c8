package controller

import (
	"cmp"
	"context"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

func (s *service) ListJobs(ctx context.Context, req *frayv1.ListJobsRequest) (*frayv1.ListJobsResponse, error) {
	const defaultPage = 100
	before, err := parseToken(jobsTokenPrefix, req.GetPageToken())
	if err != nil {
		return nil, wire.Error(wire.ReasonInvalid, 0, "%w", err)
	}
	event := &core.ListJobs{
		Call: s.c.call(), Before: core.TaskNum(before), Max: cmp.Or(int(req.GetPageSize()), defaultPage), OpenOnly: req.GetOpenOnly(),
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceListJobsProcedure),
	}
	r, err := ask[core.JobsReply](ctx, s.c, event.Call, "jobs", event)
	if err != nil {
		return nil, err
	}
	resp := &frayv1.ListJobsResponse{Jobs: make([]*frayv1.Job, len(r.Jobs))}
	for i := range r.Jobs {
		resp.Jobs[i] = corewire.JobMessage(&r.Jobs[i])
	}
	if r.More {
		resp.NextPageToken = tokenOf(jobsTokenPrefix, uint64(r.Jobs[len(r.Jobs)-1].Latest))
	}
	return resp, nil
}
