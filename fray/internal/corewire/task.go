package corewire

import (
	"github.com/frayrpc/fray/fray/core"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// Task returns a task's view as a message. The core's enumerations have the numbers of the wire's.
func Task(v *core.View) *frayv1.Task {
	t := &frayv1.Task{
		TaskId:               v.ID,
		JobId:                v.Job,
		Function:             v.Function,
		Status:               frayv1.TaskStatus(v.Status),
		PendingReason:        frayv1.PendingReason(v.Pending),
		PendingDetail:        v.Detail,
		FailureReason:        frayv1.FailureReason(v.Reason),
		AttemptNumber:        v.Attempts,
		FailureCount:         v.Failures,
		WorkerLossCount:      v.Losses,
		DeliveryFailureCount: v.Deliveries,
		WorkerId:             v.WorkerID,
		Priority:             v.Priority,
		SubmittedUnixMs:      v.Submitted.UnixMilli(),
		LeasedUnixMs:         v.LeasedAt.UnixMilli(),
		FinishedUnixMs:       v.Finished.UnixMilli(),
		CancelRequested:      v.CancelRequested,
		MaxAttempts:          v.MaxAttempts,
		CauseTaskId:          v.Cause,
		NotBeforeUnixMs:      v.NotBefore.UnixMilli(),
	}
	if p := v.Progress; p != nil {
		t.Progress, t.ProgressUnixMs = &frayv1.Progress{Message: p.Message}, p.At.UnixMilli()
		if p.Known {
			t.Progress.Share = &p.Share
		}
	}
	return t
}

// PendingMessage returns what a group of tasks waits for as a message.
func PendingMessage(g *core.PendingGroup) *frayv1.PendingGroup {
	return &frayv1.PendingGroup{
		Reason: frayv1.PendingReason(g.Reason), Function: g.Function, Detail: g.Detail, Count: number.Clamp[uint64](g.Count),
		TaskId: g.ID, SinceUnixMs: g.Since.UnixMilli(),
	}
}

// Progress returns what attempts say of themselves as the core has it. Their tokens are as the wire has them.
func Progress(list []*frayv1.AttemptProgress, in func(uint64) core.Token) []core.LeaseProgress {
	if len(list) == 0 {
		return nil
	}
	out := make([]core.LeaseProgress, len(list))
	for i, p := range list {
		out[i] = core.LeaseProgress{Lease: in(p.GetLeaseToken()), Progress: core.Progress{
			Share: p.GetProgress().GetShare(), Known: p.GetProgress().Share != nil, Message: p.GetProgress().GetMessage(),
		}}
	}
	return out
}

// ActorMessage returns an actor's view as a message.
func ActorMessage(v *core.ActorView) *frayv1.Actor {
	return &frayv1.Actor{
		ActorId: v.ID, Name: v.Name, Function: v.Function, JobId: v.Job, State: frayv1.ActorState(v.State), WorkerId: v.WorkerID,
		RestartCount: v.Restarts, MaxRestarts: v.Allowed,
		OpenCallCount: number.Clamp[uint64](v.Open), HandedCallCount: number.Clamp[uint32](v.Handed),
	}
}

// Worker returns a session's view as a message, as of now.
func Worker(v *core.WorkerView, now core.Time) *frayv1.Worker {
	w := &frayv1.Worker{
		WorkerId:            v.ID,
		AdvertiseUrl:        v.URL,
		Slots:               number.Clamp[uint32](v.Slots),
		HeldCount:           number.Clamp[uint32](v.Held),
		Resources:           resourceMap(v.Resources),
		ResourcesInUse:      resourceMap(v.InUse),
		Labels:              v.Labels,
		Functions:           v.Functions,
		Draining:            v.Draining,
		SetAside:            v.SetAside,
		RegisteredUnixMs:    v.Registered.UnixMilli(),
		LastHeartbeatUnixMs: v.LastSeen.UnixMilli(),
	}
	if v.BackedOff > now {
		w.BackedOffMs = number.Millis(v.BackedOff.Sub(now))
	}
	return w
}

func resourceMap(rs []core.Resource) map[string]int64 {
	if len(rs) == 0 {
		return nil
	}
	m := make(map[string]int64, len(rs))
	for _, r := range rs {
		m[r.Name] = r.Amount
	}
	return m
}

// Tokens takes lease tokens from the wire as a worker does, which cannot look into them.
func Tokens(ts []uint64) []core.Token {
	if len(ts) == 0 {
		return nil
	}
	out := make([]core.Token, len(ts))
	for i, t := range ts {
		out[i] = core.Token(t)
	}
	return out
}

// RawTokens puts them on the wire.
func RawTokens(ts []core.Token) []uint64 {
	if len(ts) == 0 {
		return nil
	}
	out := make([]uint64, len(ts))
	for i, t := range ts {
		out[i] = uint64(t)
	}
	return out
}
