package controller

import (
	"cmp"
	"context"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

func (s *service) ListSchedules(ctx context.Context, req *frayv1.ListSchedulesRequest) (*frayv1.ListSchedulesResponse, error) {
	event := &core.ListSchedules{
		Call: s.c.call(), Name: req.GetName(), Max: cmp.Or(int(req.GetPageSize()), defaultPage),
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceListSchedulesProcedure), By: access.From(ctx).Owns(),
	}
	var err error
	if event.After, err = parsePageToken(req.GetPageToken()); err != nil {
		return nil, err
	}
	r, err := ask[core.SchedulesReply](ctx, s.c, event.Call, "schedules", event)
	if err != nil {
		return nil, err
	}
	resp := &frayv1.ListSchedulesResponse{Schedules: make([]*frayv1.Schedule, len(r.Schedules))}
	for i := range r.Schedules {
		resp.Schedules[i] = corewire.ScheduleMessage(&r.Schedules[i])
	}
	if r.More {
		resp.NextPageToken = pageToken(r.Schedules[len(r.Schedules)-1].Num)
	}
	return resp, nil
}
