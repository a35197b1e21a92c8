package cluster

import (
	"path"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/frayrpc/fray/faults"
	// Registers the descriptors of fray.v1.
	_ "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster/database"
	"github.com/frayrpc/fray/sim/scenario"
)

// A Scenario is one about a cluster of Fray.
type Scenario struct {
	*scenario.Scenario

	Topology *Topology
	Workload *Workload
	Always   *Always
}

// Of returns a scenario about a cluster, with its parts.
func Of(s *scenario.Scenario) *Scenario {
	own := s.Sections.(*sections) //nolint:errcheck // They are those of its subject.
	return &Scenario{s, &own.topology, &own.workload, &own.always}
}

// WithRoles returns a scenario about a cluster with callers that have roles, and with all else as it is.
func WithRoles(s *scenario.Scenario) (*scenario.Scenario, error) {
	file, text := s.Source()
	with, err := Parse(file, text)
	if err != nil {
		return nil, err
	}
	Of(with).Topology.Controller.Roles = true
	// What processes are given is its source.
	if text, err = with.Marshal(); err != nil {
		return nil, err
	}
	return Parse(file, text)
}

// New returns a scenario of which a file says nothing.
func New() *Scenario { return Of(Format().Default()) }

// Always is what the oracles are told about a scenario.
type Always struct {
	Fairness int `yaml:"fairness" min:"1" max:"1000000" example:"8" doc:"What the invariant fairness holds the system to: while a job has tasks waiting for their first start, no more than this many tasks of other jobs are started, for each job that waits, before one of its own. Of tasks with the same requirements and priority; each client is a job. Leave room for what workers fetch ahead. Default: as many as all workers may hold, counted only while nothing is faulty."`
}

// sections are the parts of a scenario that are about a cluster.
type sections struct {
	topology Topology
	workload Workload
	always   Always
}

// Parts implements scenario.Sections.
func (s *sections) Parts() scenario.Parts {
	return scenario.Parts{Topology: &s.topology, Workload: &s.workload, Always: &s.always}
}

// Groups implements scenario.Sections.
func (s *sections) Groups() []scenario.Group {
	c := &s.topology.Controller
	name := ControllerHost
	controllers := scenario.Group{Name: &name, Role: RoleController, Disk: c.Store == StorePebble}
	if c.Count > 1 {
		controllers.Count = c.Count
	}
	groups := []scenario.Group{controllers}
	if c.Store == StoreShared {
		database := DatabaseHost
		groups = append(groups, scenario.Group{Name: &database, Role: RoleDatabase, Disk: true, Standby: true})
	}
	for i := range s.topology.Workers {
		groups = append(groups, s.topology.Workers[i].group())
	}
	for i := range s.workload.Clients {
		groups = append(groups, s.workload.Clients[i].group())
	}
	for i := range s.workload.Visitors {
		groups = append(groups, s.workload.Visitors[i].group())
	}
	return groups
}

// Complete implements scenario.Sections: a workload that names no kinds of tasks has one.
func (s *sections) Complete() {
	if w := &s.workload; len(w.Mix) == 0 {
		w.Mix = []TaskKind{*scenario.Default[TaskKind]()}
		w.Mix[0].Name = DefaultKind
	}
}

// Keys implements scenario.Sections.
func (s *sections) Keys(variable string) (what string, known []string) {
	if variable != "kinds" {
		return "", nil
	}
	for i := range s.workload.Mix {
		known = append(known, s.workload.Mix[i].Name)
	}
	return "kind of task", known
}

// Calls implements scenario.Sections: a controller calls nobody but the database, if there is one, and
// nothing else is called.
func (s *sections) Calls(from, to, procedure string) bool {
	if slices.Contains(database.Procedures(), procedure) {
		return from == RoleController && to == RoleDatabase
	}
	return to == RoleController && slices.Contains(s.callers(procedure), from)
}

// Format is what files about clusters are.
var Format = sync.OnceValue(func() *scenario.Subject {
	procedures, streams := procedures()
	procedures = append(procedures, database.Procedures()...)
	slices.Sort(procedures)
	worker := func(name, meaning string) scenario.Word {
		return scenario.Word{Name: name, Meaning: meaning, Role: RoleWorker}
	}
	controller := func(name, meaning string) scenario.Word {
		return scenario.Word{Name: name, Meaning: meaning, Role: RoleController}
	}
	word := func(name, meaning string) scenario.Word { return scenario.Word{Name: name, Meaning: meaning} }
	s := &scenario.Subject{
		Name:       scenario.DefaultSubject,
		Sections:   func() scenario.Sections { return new(sections) },
		Facts:      new(Facts),
		Roles:      []string{RoleController, RoleDatabase, RoleWorker, RoleClient},
		Usual:      RoleWorker,
		WithDisk:   ControllerHost,
		DiskAdvice: "add topology: {controller: {store: pebble}}",
		Standby:    DatabaseHost, StandbyAdvice: "add topology: {controller: {store: shared, count: 3}}",
		Events: []scenario.Word{
			word(EventWorkerRegistered, "a worker gets a session"),
			word(EventTaskSubmitted, "a submission is accepted"),
			word(EventTaskLeased, "a worker is granted an attempt"),
			word(EventTaskStarted, "a function starts"),
			word(EventTaskEnded, "a function returns"),
			word(EventTaskFinished, "a client learns of a task's end"),
			word(EventCommitWritten, "the controller has written a commit to its log, and not synced it"),
			word(EventCommitSynced, "it has synced it, and told nobody"),
		},
		States: []scenario.Word{
			worker(WhenIdle, "hold no task"), worker(WhenHolding, "hold a task"), worker(WhenRunning, "run a task"),
			controller(WhenLeading, "lead, of controllers that share a database"), controller(WhenStandingBy, "stand by"),
		},
		Backups:    true,
		Drains:     RoleWorker,
		Procedures: procedures,
		Streams:    streams,
		Eventually: scenario.Eventually{That: "tasks.open == 0 && tasks.unsent == 0", Within: scenario.Duration(time.Minute), Because: "every task must end"},
		Failings:   failings(),
	}
	for _, c := range check.New(check.Config{}).Counts() {
		s.Invariants = append(s.Invariants, scenario.Invariant{Name: c.Oracle, Claim: c.Claim})
	}
	return s
})

// What a worker can be doing, and a controller that shares a database.
const (
	WhenIdle       = "idle"
	WhenHolding    = "holding"
	WhenRunning    = "running"
	WhenLeading    = "leading"
	WhenStandingBy = "standing-by"
)

// Events that a fault can wait for. They are what clients and workers see.
const (
	EventWorkerRegistered = "worker-registered"
	EventTaskSubmitted    = "task-submitted"
	EventTaskLeased       = "task-leased"
	EventTaskStarted      = "task-started"
	EventTaskEnded        = "task-ended"
	EventTaskFinished     = "task-finished"
)

// Events of the machine of a controller with a disk.
const (
	EventCommitWritten = "commit-written"
	EventCommitSynced  = "commit-synced"
)

// OnDisk says whether an event is one of the machine of a controller with a disk.
func OnDisk(event string) bool { return event == EventCommitWritten || event == EventCommitSynced }

// failings are what workers and tasks do wrong by themselves.
func failings() []scenario.Failing {
	host := []string{scenario.ColumnHost}
	tasks := func(kind string, is func(*TaskKind) bool) scenario.Failing {
		return scenario.Failing{Kind: "mix." + kind, Columns: host, In: func(s *scenario.Scenario) bool {
			return slices.ContainsFunc(Of(s).Workload.Mix, func(k TaskKind) bool { return is(&k) })
		}}
	}
	workers := func(kind string, is func(*WorkerGroup) bool) scenario.Failing {
		return scenario.Failing{Kind: "workers." + kind, Columns: host, In: func(s *scenario.Scenario) bool {
			return slices.ContainsFunc(Of(s).Topology.Workers, func(g WorkerGroup) bool { return is(&g) })
		}}
	}
	return []scenario.Failing{
		tasks("failureProbability", func(k *TaskKind) bool { return k.FailureProbability > 0 }),
		tasks("failFirst", func(k *TaskKind) bool { return k.FailFirst > 0 }),
		tasks("crashesWorker", func(k *TaskKind) bool { return k.CrashesWorker }),
		tasks("ignoresStop", func(k *TaskKind) bool { return k.IgnoresStop }),
		tasks("undecodable", func(k *TaskKind) bool { return k.Undecodable != "" }),
		workers("failureProbability", func(g *WorkerGroup) bool { return g.FailureProbability > 0 }),
		workers("startAfter", func(g *WorkerGroup) bool { return g.StartAfter > 0 }),
	}
}

// procedures returns the full names of all procedures of fray.v1, sorted, and whether one of them
// streams.
func procedures() (names []string, streams bool) {
	var files []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("fray.v1", func(file protoreflect.FileDescriptor) bool {
		files = append(files, file)
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				streams = streams || m.IsStreamingClient() || m.IsStreamingServer()
			}
		}
		return true
	})
	return faults.Procedures(files...), streams
}

// callers says which roles call a procedure in a run; without an entry, nobody does.
func (s *sections) callers(procedure string) []string {
	switch path.Base(procedure) {
	case "RegisterWorker", "LeaseTasks", "ReportTasks", "Heartbeat", "UnregisterWorker":
		if slices.ContainsFunc(s.workload.Visitors, func(g VisitorGroup) bool { return g.Forger }) {
			return []string{RoleWorker, RoleClient}
		}
		return []string{RoleWorker}
	case "GetTaskResults":
		var roles []string
		if len(s.workload.Visitors) > 0 {
			roles = append(roles, RoleClient)
		}
		if slices.ContainsFunc(s.workload.Mix, func(k TaskKind) bool { return k.Needs > 0 }) {
			roles = append(roles, RoleWorker)
		}
		return roles
	case "GetTask", "ListTasks", "ListWorkers", "GetClusterInfo":
		if len(s.workload.Visitors) > 0 || path.Base(procedure) == "ListTasks" && s.workload.HasSchedules() {
			return []string{RoleClient}
		}
	case "SubmitTasks", "WatchJob", "GetTaskResult":
		if slices.ContainsFunc(s.workload.Mix, func(k TaskKind) bool { return k.Children > 0 }) {
			return []string{RoleClient, RoleWorker}
		}
		return []string{RoleClient}
	case "ListActors":
		if s.workload.CallsActors() {
			return []string{RoleClient}
		}
	case "ListSchedules":
		if s.workload.HasUniques() || s.workload.hasGangs() {
			return []string{RoleClient} // By which a client finds out whether the controller has keys, and gangs.
		}
	case "SubmitTask":
		if s.workload.CallsActors() || s.workload.HasSchedules() || s.workload.HasUniques() {
			return []string{RoleClient} // Who creates actors and schedules by it, and tasks that have keys.
		}
		if slices.ContainsFunc(s.workload.Clients, func(g ClientGroup) bool { return g.Waits == WaitsCall }) {
			return []string{RoleClient}
		}
	case "PutObject", "HoldObjects", "ReleaseObjects", "GetObject":
		if slices.ContainsFunc(s.workload.Mix, func(k TaskKind) bool { return k.ObjectSize > 0 }) {
			return []string{RoleClient, RoleWorker} // Clients read them, and hold none of their own.
		}
	case "CancelTasks":
		if s.workload.CallsActors() || slices.ContainsFunc(s.workload.Mix, func(k TaskKind) bool { return k.Cancel != nil }) ||
			slices.ContainsFunc(s.workload.Clients, func(g ClientGroup) bool { return g.CancelsJobs != nil }) ||
			slices.ContainsFunc(s.workload.Visitors, func(g VisitorGroup) bool { return g.Cancel > 0 || g.Stranger }) {
			return []string{RoleClient}
		}
	}
	return nil
}
