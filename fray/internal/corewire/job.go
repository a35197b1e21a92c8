package corewire

import (
	"slices"
	"strings"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// JobOptions returns checked options of a job; nil: nothing is said.
func JobOptions(o *frayv1.JobOptions) *core.JobOptions {
	if wire.SaysNothing(o) {
		return nil
	}
	return &core.JobOptions{
		Parent: o.GetParentJobId(), Environment: Variables(o.GetEnvironment()), FailsPast: o.MaxFailed != nil,
		MaxFailed:      o.GetMaxFailed(),
		MaxFailedShare: o.GetMaxFailedShare(), Weight: o.GetWeight(),
	}
}

// JobOptionsMessage returns options as a message; nil: there are none.
func JobOptionsMessage(o *core.JobOptions) *frayv1.JobOptions {
	if o == nil {
		return nil
	}
	m := &frayv1.JobOptions{
		ParentJobId: o.Parent, Environment: Environment(o.Environment),
		MaxFailedShare: o.MaxFailedShare, Weight: o.Weight,
	}
	if o.FailsPast {
		m.MaxFailed = &o.MaxFailed
	}
	return m
}

// Variables returns a map's entries, sorted by name.
func Variables(m map[string]string) []core.Variable {
	if len(m) == 0 {
		return nil
	}
	vs := make([]core.Variable, 0, len(m))
	for name, value := range m { // order-free: sorted below
		vs = append(vs, core.Variable{Name: name, Value: value})
	}
	slices.SortFunc(vs, func(a, b core.Variable) int { return strings.Compare(a.Name, b.Name) })
	return vs
}

// Environment returns variables as a map.
func Environment(vs []core.Variable) map[string]string {
	if len(vs) == 0 {
		return nil
	}
	m := make(map[string]string, len(vs))
	for _, v := range vs {
		m[v.Name] = v.Value
	}
	return m
}

// JobMessage returns a job's view as a message.
func JobMessage(v *core.JobView) *frayv1.Job {
	return &frayv1.Job{
		JobId: v.ID, Owner: v.Owner, OpenCount: number.Clamp[uint64](v.Open), ReadyCount: number.Clamp[uint64](v.Ready),
		LeasedCount: number.Clamp[uint64](v.Leased), EndedCount: v.Ended, FailedCount: v.FailedTasks, Failed: v.Failed,
		LastSubmittedUnixMs: v.Submitted.UnixMilli(), LastEndedUnixMs: v.LastEnded.UnixMilli(), ParentJobId: v.Parent,
		WatcherCount: number.Clamp[uint32](v.Watchers),
	}
}
