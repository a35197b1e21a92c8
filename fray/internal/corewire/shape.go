package corewire

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/frayrpc/fray/fray/core"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// Shape returns what scheduling looks at in a checked spec.
func Shape(s *frayv1.TaskSpec) *core.Shape {
	sh := &core.Shape{
		Function: s.GetFunction(), Resources: Resources(s.GetResources()), Priority: s.GetPriority(),
		BackoffBase: core.DefaultBackoffBase, BackoffFactor: core.DefaultBackoffFactor,
		BackoffCap: core.DefaultBackoffCap, BackoffJitter: core.DefaultBackoffJitter,
		MaxWorkerLosses:   core.DefaultMaxWorkerLosses,
		ExecutionTimeout:  number.FromMillis(s.GetExecutionTimeoutMs()),
		SchedulingTimeout: number.FromMillis(s.GetSchedulingTimeoutMs()),
		Gang:              int(s.GetGang().GetSize()),
	}
	for name, value := range s.GetRequiredLabels() { // order-free: sorted below
		sh.Labels = append(sh.Labels, core.Label{Name: name, Value: value})
	}
	slices.SortFunc(sh.Labels, func(a, b core.Label) int { return strings.Compare(a.Name, b.Name) })
	if s.MaxWorkerLosses != nil {
		sh.MaxWorkerLosses = s.GetMaxWorkerLosses()
	}
	p := s.GetRetryPolicy()
	sh.MaxRetries = p.GetMaxRetries()
	switch {
	case s.GetActor() != nil:
		sh.Role, sh.MaxRetries = core.Life, sh.MaxWorkerLosses
	case s.GetCall() != nil:
		sh.Role, sh.MaxWorkerLosses = core.ActorCall, s.GetMaxWorkerLosses()
	case s.GetSchedule() != nil:
		sh.Role = core.Schedule
	}
	if v := p.GetBackoffBaseMs(); v > 0 {
		sh.BackoffBase = number.FromMillis(v)
	}
	if v := p.GetBackoffFactor(); v > 0 {
		sh.BackoffFactor = v
	}
	if v := p.GetBackoffCapMs(); v > 0 {
		sh.BackoffCap = number.FromMillis(v)
	}
	if p != nil && p.BackoffJitter != nil {
		sh.BackoffJitter = p.GetBackoffJitter()
	}
	return sh
}

// Actor returns what a checked spec says of an actor whose life it is, and of the call that it is; nil where it is
// none.
func Actor(s *frayv1.TaskSpec) (*core.NewActor, *core.NewCall) {
	if a := s.GetActor(); a != nil {
		return &core.NewActor{Name: a.GetName(), Concurrency: int(a.GetMaxConcurrency())}, nil
	}
	if c := s.GetCall(); c != nil {
		return nil, &core.NewCall{Actor: c.GetActorId(), Caller: c.GetCallerId(), Number: c.GetNumber()}
	}
	return nil, nil
}

// Unique returns the key of a checked spec; nil: it has none.
func Unique(s *frayv1.TaskSpec) *core.Unique {
	u := s.GetUnique()
	if u == nil {
		return nil
	}
	return &core.Unique{Key: u.GetKey(), Period: number.FromMillis(u.GetPeriodMs())}
}

// Gang returns the gang of a checked spec; nil: it is of none.
func Gang(s *frayv1.TaskSpec) *core.Gang {
	g := s.GetGang()
	if g == nil {
		return nil
	}
	return &core.Gang{ID: g.GetGangId(), Size: int(g.GetSize())}
}

// Limits returns the limits of a checked spec.
func Limits(ls []*frayv1.Limit) []core.Limit {
	if len(ls) == 0 {
		return nil
	}
	out := make([]core.Limit, len(ls))
	for i, l := range ls {
		out[i] = core.Limit{
			Name: l.GetName(), Key: l.GetKey(), Concurrent: int(l.GetMaxConcurrent()), Starts: int(l.GetMaxStarts()),
			Period: number.FromMillis(l.GetPeriodMs()),
		}
	}
	return out
}

// Time returns an instant of a checked spec; 0: none.
func Time(unixMs int64) core.Time { return core.Time(number.FromMillis(unixMs)) }

// Objects returns the ids of a checked spec.
func Objects(ids []string) []core.ObjectID {
	if len(ids) == 0 {
		return nil
	}
	objects := make([]core.ObjectID, len(ids))
	for i, id := range ids {
		_, _ = hex.Decode(objects[i][:], []byte(id)) // CheckSpec saw to it.
	}
	return objects
}

// Resources returns a map's entries, sorted by name.
func Resources(m map[string]int64) []core.Resource {
	if len(m) == 0 {
		return nil
	}
	rs := make([]core.Resource, 0, len(m))
	for name, amount := range m { // order-free: sorted below
		rs = append(rs, core.Resource{Name: name, Amount: amount})
	}
	slices.SortFunc(rs, func(a, b core.Resource) int { return strings.Compare(a.Name, b.Name) })
	return rs
}

// LimitMessage returns a limit's view as a message.
func LimitMessage(v *core.LimitView) *frayv1.LimitState {
	m := &frayv1.LimitState{
		Limit: &frayv1.Limit{
			Name: v.Name, Key: v.Key, MaxConcurrent: number.Clamp[uint32](v.Concurrent), MaxStarts: number.Clamp[uint32](v.Starts),
			PeriodMs: number.Millis(v.Period),
		},
		Owner: v.Owner, InUseCount: number.Clamp[uint64](v.InUse), WaitingCount: number.Clamp[uint64](v.Waiting),
	}
	if v.Starts > 0 {
		m.StartCount = new(number.Clamp[uint32](v.Tokens))
	}
	return m
}
