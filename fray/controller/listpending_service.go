package controller

import (
	"context"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/number"
)

func (s *service) ListPending(ctx context.Context, _ *frayv1.ListPendingRequest) (*frayv1.ListPendingResponse, error) {
	call := s.c.call()
	r, err := ask[core.PendingReply](ctx, s.c, call, "pending tasks", &core.ListPending{
		Call: call, Owner: access.Confined(ctx, frayv1connect.ControllerServiceListPendingProcedure),
	})
	if err != nil {
		return nil, err
	}
	resp := &frayv1.ListPendingResponse{
		Groups: make([]*frayv1.PendingGroup, len(r.Groups)), TotalCount: number.Clamp[uint64](r.Total), Partial: r.Partial,
	}
	for i := range r.Groups {
		resp.Groups[i] = corewire.PendingMessage(&r.Groups[i])
	}
	return resp, nil
}
