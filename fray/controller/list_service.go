package controller

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// defaultListPage is how many things a page of a list has, unless more or fewer are asked for.
const defaultListPage = 100

func (s *service) ListLimits(ctx context.Context, req *frayv1.ListLimitsRequest) (*frayv1.ListLimitsResponse, error) {
	event := &core.ListLimits{
		Call: s.c.call(), Max: cmp.Or(int(req.GetPageSize()), defaultListPage), Owner: access.Confined(ctx, frayv1connect.ControllerServiceListLimitsProcedure),
	}
	if token := req.GetPageToken(); token != "" { // The names may have any characters.
		encoded, ok := strings.CutPrefix(token, limitsTokenPrefix)
		raw, err := base64.RawURLEncoding.DecodeString(encoded)
		if !ok || err != nil || json.Unmarshal(raw, &event.After) != nil {
			return nil, wire.Error(wire.ReasonInvalid, 0, "%w", errPageToken(token))
		}
	}
	r, err := ask[core.LimitsReply](ctx, s.c, event.Call, "list limits", event)
	if err != nil {
		return nil, err
	}
	resp := &frayv1.ListLimitsResponse{Limits: make([]*frayv1.LimitState, len(r.Limits))}
	for i := range r.Limits {
		resp.Limits[i] = corewire.LimitState(&r.Limits[i])
	}
	if r.More {
		last := &r.Limits[len(r.Limits)-1]
		raw, err := json.Marshal(core.LimitName{Owner: last.Owner, Name: last.Name, Key: last.Key})
		if err != nil {
			return nil, fmt.Errorf("encode page_token: %w", err)
		}
		resp.NextPageToken = limitsTokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
	}
	return resp, nil
}

func (s *service) ListObjects(ctx context.Context, req *frayv1.ListObjectsRequest) (*frayv1.ListObjectsResponse, error) {
	before, err := parseToken(objectsTokenPrefix, req.GetPageToken())
	if err != nil {
		return nil, wire.Error(wire.ReasonInvalid, 0, "%w", err)
	}
	call := s.c.call()
	r, err := ask[core.ObjectsReply](ctx, s.c, call, fmt.Sprintf("job %q", req.GetJobId()), &core.ListObjects{
		Call: call, Job: req.GetJobId(), Before: core.ObjectNum(before), Max: cmp.Or(int(req.GetPageSize()), defaultListPage),
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceListObjectsProcedure),
	})
	if err != nil {
		return nil, err
	}
	const maxJobs = 16
	resp := &frayv1.ListObjectsResponse{Objects: make([]*frayv1.HeldObject, len(r.Objects))}
	for i := range r.Objects {
		o := &r.Objects[i]
		resp.Objects[i] = &frayv1.HeldObject{
			Object: objectInfo(&o.ObjectView), Owner: o.Owner, JobIds: o.Jobs[:min(len(o.Jobs), maxJobs)], JobCount: uint64(len(o.Jobs)),
		}
	}
	if r.Next > 0 {
		resp.NextPageToken = tokenOf(objectsTokenPrefix, uint64(r.Next))
	}
	return resp, nil
}
