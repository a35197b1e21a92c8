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
	"github.com/frayrpc/fray/internal/number"
)

// defaultPage is how many things a page of a list has, unless its caller says so.
const defaultPage = 100

func (s *service) ListTasks(ctx context.Context, req *frayv1.ListTasksRequest) (*frayv1.ListTasksResponse, error) {
	event := &core.List{
		Call: s.c.call(), Job: req.GetJobId(), Max: int(req.GetPageSize()), Owner: access.Confined(ctx, frayv1connect.ControllerServiceListTasksProcedure),
		Newest: req.GetNewestFirst(), Function: req.GetFunction(), Worker: req.GetWorkerId(),
		From: corewire.Time(req.GetSubmittedFromUnixMs()), Until: corewire.Time(req.GetSubmittedUntilUnixMs()),
	}
	event.Max = cmp.Or(event.Max, defaultPage)
	for _, st := range req.GetStatuses() {
		if st > 0 && int(st) < len(event.Statuses) {
			event.Statuses[st] = true
		}
	}
	for _, r := range req.GetPendingReasons() {
		if r > 0 && int(r) < len(event.Reasons) {
			event.Reasons[r] = true
		}
	}
	prefix := pageTokenPrefix
	if event.Newest {
		prefix = newestTokenPrefix
	}
	after, err := parseToken(prefix, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	event.After = core.TaskNum(after)
	r, err := ask[core.ListReply](ctx, s.c, event.Call, fmt.Sprintf("job %q", req.GetJobId()), event)
	if err != nil {
		return nil, err
	}
	resp := &frayv1.ListTasksResponse{Tasks: make([]*frayv1.Task, len(r.Tasks))}
	for i := range r.Tasks {
		resp.Tasks[i] = corewire.Task(&r.Tasks[i])
	}
	if r.Next > 0 {
		resp.NextPageToken = tokenOf(prefix, uint64(r.Next))
	}
	return resp, nil
}

func (s *service) ListJobs(ctx context.Context, req *frayv1.ListJobsRequest) (*frayv1.ListJobsResponse, error) {
	before, err := parseToken(jobsTokenPrefix, req.GetPageToken())
	if err != nil {
		return nil, err
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

func (s *service) ListLimits(ctx context.Context, req *frayv1.ListLimitsRequest) (*frayv1.ListLimitsResponse, error) {
	event := &core.ListLimits{
		Call: s.c.call(), Max: cmp.Or(int(req.GetPageSize()), defaultPage),
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceListLimitsProcedure),
	}
	var err error
	if event.After, err = parseLimitToken(req.GetPageToken()); err != nil {
		return nil, err
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

func (s *service) ListObjects(ctx context.Context, req *frayv1.ListObjectsRequest) (*frayv1.ListObjectsResponse, error) {
	before, err := parseToken(objectsTokenPrefix, req.GetPageToken())
	if err != nil {
		return nil, err
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

// Tokens of pages begin with what says of which list, and of which order, they are.
const (
	pageTokenPrefix    = "t"
	newestTokenPrefix  = "n"
	jobsTokenPrefix    = "j"
	objectsTokenPrefix = "o"
	workersTokenPrefix = "w-"
	limitsTokenPrefix  = "l-"
)

func pageToken(last core.TaskNum) string { return tokenOf(pageTokenPrefix, uint64(last)) }

func parsePageToken(token string) (core.TaskNum, error) {
	n, err := parseToken(pageTokenPrefix, token)
	return core.TaskNum(n), err
}

// tokenOf returns the token of the page that goes on after a number.
func tokenOf(prefix string, last uint64) string { return prefix + strconv.FormatUint(last, 36) }

// parseToken returns the number of a token with this prefix; 0: there is no token.
func parseToken(prefix, token string) (uint64, error) {
	if token == "" {
		return 0, nil
	}
	digits, ok := strings.CutPrefix(token, prefix)
	n, err := strconv.ParseUint(digits, 36, 64)
	if !ok || err != nil {
		return 0, errPageToken(token)
	}
	return n, nil
}

func errPageToken(token string) error {
	return wire.Error(wire.ReasonInvalid, 0, "page_token %q: not one that this service gave for this list: use next_page_token of the previous page", token)
}
