package controller

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/number"
)

func (s *service) CancelTasks(ctx context.Context, req *frayv1.CancelTasksRequest) (*frayv1.CancelTasksResponse, error) {
	call := s.c.call()
	r, err := ask[core.CancelReply](ctx, s.c, call, fmt.Sprintf("job %q", req.GetJobId()), &core.Cancel{
		Call: call, IDs: req.GetTaskIds(), Job: req.GetJobId(), WithDependants: req.GetWithDependants(),
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceCancelTasksProcedure),
	})
	if err != nil {
		return nil, err
	}
	resp := &frayv1.CancelTasksResponse{
		Verdicts: make([]frayv1.CancelVerdict, len(r.Verdicts)), JobTaskCount: uint64(r.JobTasks), //nolint:gosec // A count.
	}
	for i, v := range r.Verdicts {
		resp.Verdicts[i] = frayv1.CancelVerdict(v)
	}
	return resp, nil
}

func (s *service) ListWorkers(ctx context.Context, req *frayv1.ListWorkersRequest) (*frayv1.ListWorkersResponse, error) {
	const workersPage = 1000
	after, ok := strings.CutPrefix(req.GetPageToken(), workersTokenPrefix)
	if !ok && req.GetPageToken() != "" {
		return nil, wire.Error(wire.ReasonInvalid, 0, "page_token %q: not one that this service gave: use next_page_token of the previous page", req.GetPageToken())
	}
	call := s.c.call()
	r, err := ask[core.WorkersReply](ctx, s.c, call, "list workers",
		&core.ListWorkers{Call: call, After: after, Max: cmp.Or(int(req.GetPageSize()), workersPage)})
	if err != nil {
		return nil, err
	}
	resp := &frayv1.ListWorkersResponse{Workers: make([]*frayv1.Worker, len(r.Workers))}
	now := s.c.now()
	for i := range r.Workers {
		resp.Workers[i] = corewire.Worker(&r.Workers[i], now)
	}
	if r.More {
		resp.NextPageToken = workersTokenPrefix + r.Workers[len(r.Workers)-1].ID
	}
	return resp, nil
}

func (s *service) DrainWorker(ctx context.Context, req *frayv1.DrainWorkerRequest) (*frayv1.DrainWorkerResponse, error) {
	const defaultGrace = 30 * time.Second
	grace := defaultGrace
	if req.GraceMs != nil {
		grace = number.FromMillis(req.GetGraceMs())
	}
	call := s.c.call()
	_, err := ask[core.Done](ctx, s.c, call, fmt.Sprintf("worker %q", req.GetWorkerId()), &core.Drain{Call: call, WorkerID: req.GetWorkerId(), Grace: grace})
	if err != nil {
		return nil, err
	}
	s.c.cfg.Logger.Info("worker is asked to drain", "worker_id", req.GetWorkerId(), "grace", grace)
	return &frayv1.DrainWorkerResponse{}, nil
}

// StepDown refuses: of a controller that others can take over from its Member takes the call.
func (*service) StepDown(context.Context, *frayv1.StepDownRequest) (*frayv1.StepDownResponse, error) {
	return nil, wire.Error(wire.ReasonUnsupported, 0,
		"this controller shares its records with no other, so none could take over: stop it, or run several controllers on one database")
}

func (s *service) GetClusterInfo(ctx context.Context, _ *frayv1.GetClusterInfoRequest) (*frayv1.GetClusterInfoResponse, error) {
	call := s.c.call()
	r, err := ask[core.InfoReply](ctx, s.c, call, "cluster info", &core.Info{Call: call})
	if err != nil {
		return nil, err
	}
	resp := &frayv1.GetClusterInfoResponse{
		Version: s.c.cfg.Version, ControllerIncarnation: s.c.cfg.Core.Incarnation, StartedUnixMs: s.c.line.Start().UnixMilli(),
		WorkerCount: number.Clamp[uint32](r.Stats.Workers), SlotCount: number.Clamp[uint32](r.Stats.Slots),
		QueuedBytes: number.Clamp[uint64](r.Stats.QueuedBytes), OldestReadyAgeMs: number.Millis(r.OldestReadyAge),
		TaskCounts: make(map[string]uint64), Durability: s.c.cfg.Store.Durability().String(),
	}
	for _, st := range core.Statuses() {
		resp.TaskCounts[st.String()] = uint64(r.Stats.Tasks[st]) //nolint:gosec // A count.
	}
	return resp, nil
}
