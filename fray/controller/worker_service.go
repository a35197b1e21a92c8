package controller

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/failure"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// Bounds of the schema, checked here because the hot calls bypass its interceptor.
const (
	maxLease       = limit.Slots
	maxHeld        = limit.Held
	maxOutbox      = limit.Outbox
	maxReports     = limit.Reports
	maxOutcomeName = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_READY
)

func (s *service) RegisterWorker(ctx context.Context, req *frayv1.RegisterWorkerRequest) (*frayv1.RegisterWorkerResponse, error) {
	event := &core.Register{
		Call: s.c.call(), WorkerID: req.GetWorkerId(), RegistrationID: req.GetRegistrationId(), URL: req.GetAdvertiseUrl(),
		Slots: int(req.GetSlots()), Resources: corewire.Resources(req.GetResources()), Labels: req.GetLabels(), Functions: req.GetFunctions(), Fresh: req.GetFresh(), Process: req.GetProcessId(), Number: req.GetProcessRegistration(),
	}
	var b scratch
	for _, h := range req.GetHeld() {
		a := h.GetAttempt()
		event.Held = append(event.Held, core.Held{
			Task: a.GetTaskId(), Attempt: a.GetNumber(), Token: s.c.seal.read(&b, a.GetLeaseToken()), Phase: core.HeldPhase(h.GetState()), //nolint:gosec // The schema bounds it.
		})
	}
	r, err := ask[core.RegisterReply](ctx, s.c, event.Call, fmt.Sprintf("worker %q", req.GetWorkerId()), event)
	if err != nil {
		return nil, err
	}
	ttl := s.c.cfg.Core.SessionTTL
	s.c.cfg.Logger.Info("worker registered", "worker_id", req.GetWorkerId(), "slots", req.GetSlots(), "url", req.GetAdvertiseUrl())
	return &frayv1.RegisterWorkerResponse{
		SessionToken: s.c.seal.out(r.Session), SessionTtlMs: number.Millis(ttl), HeartbeatIntervalMs: number.Millis(ttl / heartbeatsPerTTL),
		KeptLeaseTokens: s.c.seal.outAll(r.Kept), ControllerIncarnation: s.c.cfg.Core.Incarnation, PollsTakeReports: true,
	}, nil
}

func (s *service) LeaseTasks(ctx context.Context, req *frayv1.LeaseTasksRequest) (*frayv1.LeaseTasksResponse, error) {
	if req.GetPollSeq() < 1 || req.GetMaxTasks() < 1 || req.GetMaxTasks() > maxLease || req.GetFreeSlots() > maxLease || req.GetMaxWaitMs() < 0 {
		return nil, wire.Error(wire.ReasonInvalid, 0, "poll_seq and max_tasks: must be at least 1; max_tasks and free_slots: at most %d; max_wait_ms: not negative", maxLease)
	}
	held := -1
	if req.HeldAttempts != nil {
		if req.GetHeldAttempts() > limit.Outbox {
			return nil, wire.Error(wire.ReasonInvalid, 0, "held_attempts: must be at most %d", limit.Outbox)
		}
		held = int(req.GetHeldAttempts())
	}
	if n := len(req.GetLentLeaseTokens()); n > limit.Lent {
		return nil, wire.Error(wire.ReasonInvalid, 0, "lent_lease_tokens: must have at most %d items, has %d", limit.Lent, n)
	}
	items, err := s.reportItems(req.GetReports())
	if err != nil {
		return nil, err
	}
	call := s.c.call()
	r, err := ask[core.PollReply](ctx, s.c, call, session(req.GetSessionToken()), &core.Poll{
		Call: call, Items: items, Session: s.c.seal.in(req.GetSessionToken()), Seq: req.GetPollSeq(), Received: req.GetReceivedPollSeq(),
		Free: int(req.GetFreeSlots()), Max: int(req.GetMaxTasks()), Held: held, Lent: s.c.seal.inAll(req.GetLentLeaseTokens()), Until: s.c.until(ctx, req.GetMaxWaitMs()),
	})
	if err != nil {
		return nil, err
	}
	resp := &frayv1.LeaseTasksResponse{Tasks: make([]*frayv1.LeasedTask, 0, len(r.Grants)), Verdicts: verdicts(r.Verdicts)}
	var b scratch
	for _, g := range r.Grants {
		t, err := s.c.task(g.Task)
		if err != nil {
			// The lease goes back to the queue when the worker does not confirm it.
			s.c.cfg.Logger.Error("read leased task", "task_id", g.ID, "error", err)
			continue
		}
		leased := &frayv1.LeasedTask{
			Attempt: &frayv1.Attempt{TaskId: g.ID, Number: g.Attempt, LeaseToken: s.c.seal.show(&b, g.Token)}, Spec: t.GetSpec(), JobId: t.GetJobId(),
			NeededValues: s.c.along(&g, t.GetSpec()),
		}
		if g.Environment != nil {
			leased.Environment = corewire.Environment(*g.Environment)
		}
		if g.Life != 0 {
			leased.LifeLeaseToken = s.c.seal.show(&b, g.Life)
		}
		if t.GetSpec().GetActor() != nil {
			if leased.Checkpoint, err = s.c.checkpoint(g.Task); err != nil {
				// It goes back, too: without its checkpoint it would be another actor.
				s.c.cfg.Logger.Error("read checkpoint of an actor", "task_id", g.ID, "error", err)
				continue
			}
		}
		resp.Tasks = append(resp.Tasks, leased)
	}
	return resp, nil
}

// along returns the values that go along with a grant. The worker asks for those that cannot be read.
func (c *Controller) along(g *core.Grant, spec *frayv1.TaskSpec) []*frayv1.NeededValue {
	var values []*frayv1.NeededValue
	for i, num := range g.Along {
		if num == 0 || i >= len(spec.GetNeededTaskIds()) {
			continue
		}
		id := spec.GetNeededTaskIds()[i]
		result, err := c.result(&core.View{Num: num, ID: id, Status: core.Completed})
		stored := &frayv1.TaskResult{}
		if err == nil {
			err = proto.Unmarshal(result, stored)
		}
		if err != nil {
			c.cfg.Logger.Error("read what a leased task needs", "task_id", g.ID, "needs", id, "error", err)
			continue
		}
		values = append(values, &frayv1.NeededValue{TaskId: id, Value: stored.GetValue()})
	}
	return values
}

func (s *service) ReportTasks(ctx context.Context, req *frayv1.ReportTasksRequest) (*frayv1.ReportTasksResponse, error) {
	items, err := s.reportItems(req.GetReports())
	if err != nil {
		return nil, err
	}
	event := &core.Report{Call: s.c.call(), Session: s.c.seal.in(req.GetSessionToken()), Items: items}
	r, err := ask[core.ReportReply](ctx, s.c, event.Call, session(req.GetSessionToken()), event)
	if err != nil {
		return nil, err
	}
	return &frayv1.ReportTasksResponse{Verdicts: verdicts(r.Verdicts)}, nil
}

func verdicts(of []core.ReportVerdict) []frayv1.ReportVerdict {
	vs := make([]frayv1.ReportVerdict, len(of))
	for i, v := range of {
		vs[i] = frayv1.ReportVerdict(v)
	}
	return vs
}

// reportItems converts reports.
func (s *service) reportItems(reports []*frayv1.TaskReport) ([]core.ReportItem, error) {
	if n := len(reports); n > maxReports {
		return nil, wire.Error(wire.ReasonInvalid, 0, "reports: must have at most %d items, has %d: send several calls", maxReports, n)
	}
	if len(reports) == 0 {
		return nil, nil
	}
	items := make([]core.ReportItem, len(reports))
	var b scratch
	for i, r := range reports {
		if err := s.reportItem(&items[i], r, &b); err != nil {
			return nil, wire.Error(wire.ReasonInvalid, 0, "reports[%d]: %w", i, err)
		}
	}
	return items, nil
}

// reportItem converts one report. A value that is too large becomes the task's failure: refusing
// the report would have the worker offer it for ever.
func (s *service) reportItem(item *core.ReportItem, r *frayv1.TaskReport, b *scratch) error {
	a := r.GetAttempt()
	if a == nil {
		return fmt.Errorf("attempt: is required")
	}
	if o := r.GetOutcome(); o < frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED || o > maxOutcomeName {
		return fmt.Errorf("outcome: %d is not known", o)
	}
	*item = core.ReportItem{
		Task: a.GetTaskId(), Attempt: a.GetNumber(), Token: s.c.seal.read(b, a.GetLeaseToken()), Outcome: core.Outcome(r.GetOutcome()), //nolint:gosec // Checked above.
		Ran: number.FromMicros(max(r.GetRunDurationUs(), 0)), NonRetryable: r.GetError().GetNonRetryable(),
		RetryAfter: min(max(number.FromMillis(r.GetError().GetRetryAfterMs()), 0), limit.RetryGap),
	}
	if n := len(r.GetValue().GetData()); n > s.c.cfg.MaxPayloadBytes {
		item.Outcome = core.UndecodableOutcome
		r = &frayv1.TaskReport{Error: &frayv1.TaskError{
			Message: fmt.Sprintf("result has %d bytes, this controller takes at most %d", n, s.c.cfg.MaxPayloadBytes), Type: "size limit",
		}}
	}
	if n := len(r.GetValue().GetEncoding()); n > limit.NameLength {
		item.Outcome = core.UndecodableOutcome
		r = &frayv1.TaskReport{Error: &frayv1.TaskError{
			Message: fmt.Sprintf("the name of the result's encoding has %d bytes, and may have %d", n, limit.NameLength), Type: "size limit",
		}}
	}
	if e := r.GetError(); e != nil {
		failure.Clip(e)
		if len(e.GetDetails().GetEncoding()) > limit.NameLength {
			e.Details = nil
		}
	}
	if n := len(r.GetError().GetDetails().GetData()); n > s.c.cfg.MaxPayloadBytes {
		e := r.GetError()
		r = &frayv1.TaskReport{Error: &frayv1.TaskError{
			Message: fmt.Sprintf("%s (its details are dropped: they have %d bytes, this controller takes at most %d)",
				e.GetMessage(), n, s.c.cfg.MaxPayloadBytes),
			Type: e.GetType(), Sentinel: e.GetSentinel(), Stack: e.GetStack(), NonRetryable: e.GetNonRetryable(), RetryAfterMs: e.GetRetryAfterMs(),
		}}
	}
	if n := len(r.GetCheckpoint().GetData()); n > limit.Checkpoint || len(r.GetCheckpoint().GetEncoding()) > limit.NameLength {
		item.Outcome = core.UndecodableOutcome
		r = &frayv1.TaskReport{Error: &frayv1.TaskError{
			Message: fmt.Sprintf("the actor's checkpoint has %d bytes, and may have %d", n, limit.Checkpoint), Type: "size limit",
		}}
	}
	var err error
	if r.GetCheckpoint() != nil {
		if item.Checkpoint, err = checkpointRecord(r.GetCheckpoint()); err != nil {
			return err
		}
	}
	item.Result, err = resultRecord(r)
	return err
}

func (s *service) Heartbeat(ctx context.Context, req *frayv1.HeartbeatRequest) (*frayv1.HeartbeatResponse, error) {
	if len(req.GetQueuedLeaseTokens()) > maxHeld || len(req.GetRunningLeaseTokens()) > maxHeld || len(req.GetFinishedLeaseTokens()) > maxOutbox {
		return nil, wire.Error(wire.ReasonInvalid, 0, "lease tokens: at most %d queued, %d running and %d finished", maxHeld, maxHeld, maxOutbox)
	}
	if err := wire.CheckProgress(req.GetProgress()); err != nil {
		return nil, err
	}
	call := s.c.call()
	ttl := s.c.cfg.Core.SessionTTL
	until := min(s.c.until(ctx, req.GetMaxWaitMs()), s.c.now().Add(ttl/heartbeatsPerTTL))
	r, err := ask[core.HeartbeatReply](ctx, s.c, call, session(req.GetSessionToken()), &core.Heartbeat{
		Call: call, Session: s.c.seal.in(req.GetSessionToken()), Seq: req.GetHeartbeatSeq(), Received: req.GetReceivedPollSeq(),
		Queued: s.c.seal.inAll(req.GetQueuedLeaseTokens()), Running: s.c.seal.inAll(req.GetRunningLeaseTokens()),
		Finished: s.c.seal.inAll(req.GetFinishedLeaseTokens()), Draining: req.GetDraining(), Until: until,
		Progress: corewire.Progress(req.GetProgress(), s.c.seal.in),
	})
	if err != nil {
		return nil, err
	}
	return &frayv1.HeartbeatResponse{StopLeaseTokens: s.c.seal.outAll(r.Stop), Drain: r.Drain, DrainGraceMs: number.Millis(r.Grace)}, nil
}

func (s *service) UnregisterWorker(ctx context.Context, req *frayv1.UnregisterWorkerRequest) (*frayv1.UnregisterWorkerResponse, error) {
	call := s.c.call()
	_, err := ask[core.Done](ctx, s.c, call, session(req.GetSessionToken()), &core.Unregister{Call: call, Session: s.c.seal.in(req.GetSessionToken())})
	if err != nil {
		return nil, err
	}
	return &frayv1.UnregisterWorkerResponse{}, nil
}

func session(token uint64) string { return fmt.Sprintf("session %x", token) }
