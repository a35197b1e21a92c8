package cluster

import (
	"math"
	"slices"
	"time"

	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/sim/scenario"
)

// A checker finds what of a scenario's parts about the cluster makes no sense.
type checker struct {
	*scenario.Validator
	*sections
}

// Check implements scenario.Sections.
func (s *sections) Check(v *scenario.Validator) {
	c := &checker{v, s}
	c.checkTopology()
	c.checkWorkload()
	c.checkFairness()
}

// CheckFault implements scenario.Sections.
func (s *sections) CheckFault(v *scenario.Validator, f *scenario.Fault) {
	(&checker{v, s}).checkDatabaseFault(f)
	if f.When.On != nil {
		(&checker{v, s}).checkEvent(f)
	}
}

// checkDatabaseFault reports what is not done to a database.
func (v *checker) checkDatabaseFault(f *scenario.Fault) {
	if !slices.ContainsFunc(v.Resolve(f.Action.Victim(), v.Candidates), func(h scenario.Host) bool { return h.Role == RoleDatabase }) {
		return
	}
	switch {
	case f.Action.Leaves() == scenario.DiskLost:
		v.Report(scenario.Complain("fault %s takes all that the database has, without which no controller leads", f.ID).
			Suggest("write disk: power-loss, or a failover"), &f.Action)
	case f.Action.Backup != nil:
		v.Report(scenario.Complain("fault %s has an operator make a backup of the database, which is not Fray's to make", f.ID).Suggest("remove the fault"), &f.Action)
	}
}

func (v *checker) checkTopology() {
	c := &v.topology.Controller
	if c.Count > 1 && c.Store != StoreShared {
		v.Report(scenario.Complain("%d controllers share nothing", c.Count).Suggest("add store: shared, or write one"), &c.Count)
	}
	v.NeedsTime(&c.SessionTTL, "sessionTTL must be above 0", "15s")
	if c.SessionTTL != 0 && c.SessionTTL < scenario.Duration(30*time.Millisecond) {
		v.Report(scenario.Complain("sessionTTL %v leaves less than 10ms between heartbeats", c.SessionTTL).Suggest("write 30ms or more"), &c.SessionTTL)
	}
	v.NeedsTime(&c.CancelGrace, "cancelGrace must be above 0", "10s")
	v.NeedsTime(&c.Retention, "retention must be above 0", "1h")
	v.NeedsTime(&c.WatchGrace, "watchGrace must be above 0", "30s")
	if c.MaxQueuedBytes == 0 {
		v.Report(scenario.Complain("maxQueuedBytes 0B refuses every task").Suggest("write a size such as 64MiB"), &c.MaxQueuedBytes)
	}
	if c.MaxRetainedBytes == 0 {
		v.Report(scenario.Complain("maxRetainedBytes 0B keeps no result").Suggest("write a size such as 64MiB"), &c.MaxRetainedBytes)
	}
	if c.MaxPayload == 0 || c.MaxPayload > limit.Payload {
		v.Report(scenario.Complain("maxPayload %v is none that a controller takes", c.MaxPayload).Suggest("write a size up to %v", scenario.Bytes(limit.Payload)), &c.MaxPayload)
	}
	if c.MaxGrant == 0 {
		v.Report(scenario.Complain("maxGrant 0B grants nothing").Suggest("write a size such as 8MiB"), &c.MaxGrant)
	}
	for i := range v.topology.Workers {
		w := &v.topology.Workers[i]
		if w.MaxUnreported == 0 || w.MaxUnreported > math.MaxInt32 {
			v.Report(scenario.Complain("maxUnreported %v is none that a worker takes", w.MaxUnreported).Suggest("write a size such as 32MiB"), &w.MaxUnreported)
		}
		v.NeedsTime(&w.StopGrace, "stopGrace must be above 0", "5s")
		v.NeedsTime(&w.DrainGrace, "drainGrace must be above 0", "30s")
		if w.StartAfter >= v.Run.MaxVirtualTime && w.StartAfter > 0 {
			v.Report(scenario.Complain("the workers start at %v, when the run is over", w.StartAfter).Suggest("start them before %v, or raise run.maxVirtualTime", v.Run.MaxVirtualTime), &w.StartAfter)
		}
	}
}

// checkEvent reports events that do not happen so often.
func (v *checker) checkEvent(f *scenario.Fault) {
	if OnDisk(f.When.On.Event) && v.topology.Controller.Store == StoreMemory {
		v.Report(scenario.Complain("fault %s can never act: a controller that keeps everything in memory commits nothing to a disk", f.ID).
			Suggest("add topology: {controller: {store: pebble}}"), &f.When.On.Event)
	}
	if f.When.On.Event != EventTaskSubmitted && f.When.On.Event != EventTaskFinished {
		return
	}
	tasks := 0
	for _, g := range v.workload.Clients {
		tasks += min(g.Count*g.Tasks, MaxTasks)
	}
	if f.When.On.Nth > tasks {
		v.Report(scenario.Complain("fault %s can never act: there are only %d tasks", f.ID, tasks).Suggest("wait for one from 1 to %d", tasks), &f.When.On.Nth)
	}
}

// fairnessInvariant is the name of the invariant that needs a bound.
const fairnessInvariant = "fairness"

// checkFairness reports a bound on what is not checked, and a check without jobs.
func (v *checker) checkFairness() {
	a := &v.Expect.Always
	fairness := &v.always.Fairness
	jobs := 0
	for _, g := range v.workload.Clients {
		jobs += g.Count
	}
	if *fairness == 0 {
		if i := slices.Index(a.Invariants, fairnessInvariant); i >= 0 && jobs < 2 {
			v.Report(scenario.Complain("there is one job only, and nobody to share with").Suggest("add a client, or remove fairness"), &a.Invariants[i])
		}
		return
	}
	switch {
	case jobs < 2:
		v.Report(scenario.Complain("there is one job only, and nobody to share with").Suggest("add a client, or remove fairness"), fairness)
	case slices.Contains(a.Except, fairnessInvariant), len(a.Invariants) > 0 && !slices.Contains(a.Invariants, fairnessInvariant):
		v.Report(scenario.Complain("fairness has a bound, and is not among the invariants that hold").Suggest("remove the bound, or add the invariant"), fairness)
	}
}
