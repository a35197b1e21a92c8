package controller

import (
	"cmp"
	"context"
	"fmt"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/number"
)

func (s *service) ListObjects(ctx context.Context, req *frayv1.ListObjectsRequest) (*frayv1.ListObjectsResponse, error) {
	const defaultPage = 100
	before, err := parseToken(objectsTokenPrefix, req.GetPageToken())
	if err != nil {
		return nil, wire.Error(wire.ReasonInvalid, 0, "%w", err)
	}
	event := &core.ListObjects{
		Call: s.c.call(), Job: req.GetJobId(), Before: core.ObjectNum(before), Max: cmp.Or(int(req.GetPageSize()), defaultPage),
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceListObjectsProcedure),
	}
	r, err := ask[core.ObjectsReply](ctx, s.c, event.Call, fmt.Sprintf("job %q", req.GetJobId()), event)
	if err != nil {
		return nil, err
	}
	resp := &frayv1.ListObjectsResponse{Objects: make([]*frayv1.HeldObject, len(r.Objects))}
	for i := range r.Objects {
		o := &r.Objects[i]
		resp.Objects[i] = &frayv1.HeldObject{
			Object: objectInfo(&o.ObjectView), Owner: o.Owner, JobIds: o.Jobs, JobCount: number.Clamp[uint64](o.Holders),
		}
	}
	if r.More {
		resp.NextPageToken = tokenOf(objectsTokenPrefix, uint64(r.Objects[len(r.Objects)-1].Num))
	}
	return resp, nil
}
