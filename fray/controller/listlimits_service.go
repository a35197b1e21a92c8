package controller

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

func (s *service) ListLimits(ctx context.Context, req *frayv1.ListLimitsRequest) (*frayv1.ListLimitsResponse, error) {
	const defaultPage = 100
	event := &core.ListLimits{
		Call: s.c.call(), Max: cmp.Or(int(req.GetPageSize()), defaultPage),
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceListLimitsProcedure),
	}
	var err error
	if event.After, err = parseLimitToken(req.GetPageToken()); err != nil {
		return nil, wire.Error(wire.ReasonInvalid, 0, "%w", err)
	}
	r, err := ask[core.LimitsReply](ctx, s.c, event.Call, "limits", event)
	if err != nil {
		return nil, err
	}
	resp := &frayv1.ListLimitsResponse{Limits: make([]*frayv1.LimitState, len(r.Limits))}
	for i := range r.Limits {
		resp.Limits[i] = corewire.LimitMessage(&r.Limits[i])
	}
	if r.More {
		last := r.Limits[len(r.Limits)-1]
		resp.NextPageToken = limitToken(core.LimitPlace{Name: last.Name, Key: last.Key, Owner: last.Owner})
	}
	return resp, nil
}

// limitToken returns the token of the page after a limit: how long its name and its key are, and what it is.
func limitToken(p core.LimitPlace) string {
	return fmt.Sprintf("%s%d-%d-%s%s%s", limitsTokenPrefix, len(p.Name), len(p.Key), p.Name, p.Key, p.Owner)
}

// parseLimitToken returns the limit of a token; the zero value: there is no token.
func parseLimitToken(token string) (p core.LimitPlace, err error) {
	if token == "" {
		return p, nil
	}
	rest, ok := strings.CutPrefix(token, limitsTokenPrefix)
	parts := strings.SplitN(rest, "-", 3)
	if !ok || len(parts) < 3 {
		return p, errPageToken(token)
	}
	name, err1 := strconv.ParseUint(parts[0], 10, 16)
	key, err2 := strconv.ParseUint(parts[1], 10, 16)
	text := parts[2]
	if err1 != nil || err2 != nil || name+key > uint64(len(text)) {
		return p, errPageToken(token)
	}
	return core.LimitPlace{Name: text[:name], Key: text[name : name+key], Owner: text[name+key:]}, nil
}
