package cluster

import (
	"slices"
	"time"

	"github.com/frayrpc/fray/sim/scenario"
)

// Workload is who submits which tasks.
type Workload struct {
	Clients  []ClientGroup  `yaml:"clients" required:"true" minItems:"1" doc:"Groups of clients that are alike."`
	Mix      []TaskKind     `yaml:"mix" doc:"The kinds of tasks. Without any: one kind named task, with the defaults of each key."`
	Visitors []VisitorGroup `yaml:"visitors" doc:"Groups of those who look at what clients submitted, leave in the middle of it, and come back."`
}

// A ClientGroup is some clients that are alike. Its hosts are NAME-1 to NAME-COUNT, each with a job
// of its own.
type ClientGroup struct {
	Name        string   `yaml:"name" required:"true" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" doc:"The group's name. Its hosts are NAME-1, NAME-2 and so on." example:"client"`
	Count       int      `yaml:"count" default:"1" min:"1" max:"10000" doc:"How many clients it has."`
	Tasks       int      `yaml:"tasks" required:"true" min:"1" max:"10000000" doc:"How many tasks each client submits." example:"100"`
	Submissions int      `yaml:"submissions" default:"1" min:"1" max:"10" doc:"How often it submits each task, with the same id: it is the same task."`
	Arrival     Arrival  `yaml:"arrival" doc:"When it submits them."`
	Kinds       []string `yaml:"kinds" doc:"The kinds of tasks that it submits, by name. Default: all." example:"[slow]"`
	Jobs        int      `yaml:"jobs" default:"1" min:"1" max:"10000" doc:"How many jobs it has, one after the other: each has an equal part of its tasks, and begins when those of the one before have ended."`
	Waits       string   `yaml:"waits" enum:"each,completed,some,call" default:"each" doc:"How it waits for the ends of its tasks: for each by itself from the start, or once all are submitted, for one after the other as they end (completed), or for a few at a time (some); or each is submitted by the call that waits for its end, unless it may be cancelled (call)."`
	CancelsJobs *Span    `yaml:"cancelsJobs" doc:"How long after its beginning it cancels a job as a whole. Default: never."`
	// What the clients are told is judged by the invariant served-within.
	Within scenario.Duration `yaml:"within" default:"0" doc:"Each of its tasks is told to have completed within this time from its first submission, whatever others do. Choose kinds that complete, and no faults that keep these clients from being served. 0: no bound." example:"5s"`
	Job    *Job              `yaml:"job" doc:"What its jobs have besides their names: all of them the same. Default: nothing."`
	Leaves *Leave            `yaml:"leaves" doc:"Whether each job of it leaves while its tasks run and comes back: it submits them again under their ids and learns how they ended. Default: it stays."`
}

// Leave is whether and when a client leaves, and for how long.
type Leave struct {
	After Span `yaml:"after" required:"true" doc:"How long after its beginning."`
	Away  Span `yaml:"away" required:"true" doc:"How long it is away."`
}

// A VisitorGroup is some visitors that are alike. Its hosts are NAME-1 to NAME-COUNT.
type VisitorGroup struct {
	Name   string               `yaml:"name" required:"true" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" doc:"The group's name. Its hosts are NAME-1, NAME-2 and so on." example:"visitor"`
	Count  int                  `yaml:"count" default:"1" min:"1" max:"1000" doc:"How many visitors it has."`
	Start  scenario.Duration    `yaml:"start" default:"0" doc:"When they come first."`
	Stay   Span                 `yaml:"stay" required:"true" doc:"How long one stays. It goes with whatever call it has open."`
	Away   Span                 `yaml:"away" required:"true" doc:"How long it is away."`
	Every  Span                 `yaml:"every" required:"true" doc:"How long it waits between two calls."`
	Page   int                  `yaml:"page" default:"100" min:"1" max:"1000" doc:"How many tasks it asks for at a time."`
	Cancel scenario.Probability `yaml:"cancel" default:"0" doc:"The chance that a call cancels a task, whoever submitted it." example:"1%"`
	// What strangers are told is judged by themselves.
	Stranger bool `yaml:"stranger" default:"false" doc:"Callers have roles, and jobs belong to the clients that submit to them: whatever this one asks of them must be refused."`
	// Forgers judge what they are told themselves.
	Forger bool   `yaml:"forger" default:"false" doc:"It has the role of a worker and a session of its own, and reports, beats and polls with tokens that it has guessed, and with lease tokens that were given to others, which must count for nothing."`
	Floods *Flood `yaml:"floods" doc:"It submits tasks to jobs of its own, as fast as it is answered but for every, and never asks how they end. Default: it does not."`
	// Mistakes are judged by the visitor itself.
	Mistakes scenario.Probability `yaml:"mistakes" default:"0" doc:"The chance that a call asks for what there cannot be, such as another specification of a known task, which must be refused." example:"10%"`
}

// A Flood is what a visitor submits.
type Flood struct {
	Kind  string `yaml:"kind" required:"true" doc:"The kind of the tasks, by name." example:"junk"`
	Tasks int    `yaml:"tasks" required:"true" min:"1" max:"1000000" doc:"How many tasks each visitor submits in all." example:"2000"`
	Batch int    `yaml:"batch" default:"100" min:"1" max:"50000" doc:"How many of them in one call."`
	Jobs  int    `yaml:"jobs" default:"1" min:"1" max:"10000" doc:"How many jobs it has, one for each call in turn."`
}

// Hosts returns the hosts of the group.
func (g *VisitorGroup) Hosts() []string { return hostNames(g.group()) }

func (g *VisitorGroup) group() scenario.Group {
	return scenario.Group{Name: &g.Name, Role: RoleClient, Count: g.Count}
}

// Arrival is when a client submits its tasks.
type Arrival struct {
	Start   scenario.Duration `yaml:"start" default:"0" doc:"When the first is submitted."`
	Rate    scenario.Rate     `yaml:"rate" doc:"How many tasks come in what time, on average. Without it: each follows as soon as the one before is accepted." example:"100/s"`
	Pattern string            `yaml:"pattern" enum:"even,random" default:"even" doc:"How arrivals at a rate scatter: at equal distances, or by chance (a Poisson process)."`
	Batch   int               `yaml:"batch" default:"1" min:"1" max:"50000" doc:"How many tasks are submitted in one call."`
}

// How a client waits.
const (
	WaitsEach      = "each"
	WaitsCompleted = "completed"
	WaitsSome      = "some"
	WaitsCall      = "call"
)

// MaxTasks is the most tasks of a workload, children included.
const MaxTasks = 10_000_000

// DefaultKind is the name of the only kind of a workload that names none.
const DefaultKind = "task"

// PoisonDown is how long a worker is gone that a task took down.
const PoisonDown = time.Second

// A TaskKind is tasks that are alike.
type TaskKind struct {
	Name               string               `yaml:"name" required:"true" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" doc:"The kind's name, which is that of its function." example:"slow"`
	Weight             int                  `yaml:"weight" default:"1" min:"1" max:"1000000" doc:"Its share among the kinds that a client submits. Of each run of tasks as long as the sum of the weights, each kind has as many as it weighs."`
	Work               Span                 `yaml:"work" doc:"How long an attempt runs."`
	FailureProbability scenario.Probability `yaml:"failureProbability" default:"0" doc:"The chance that an attempt fails." example:"10%"`
	FailFirst          int                  `yaml:"failFirst" default:"0" min:"0" max:"10000" doc:"How many attempts of each task fail, the first ones."`
	FinalFailures      scenario.Probability `yaml:"finalFailures" default:"0" doc:"The chance that an attempt which fails says that no other is to be made." example:"10%"`
	RetryAfter         *Span                `yaml:"retryAfter" doc:"How long a failed attempt asks to wait before the next. Default: it does not ask."`
	DetailsSize        scenario.Bytes       `yaml:"detailsSize" default:"0B" doc:"The size of the details that come with the error of a failed attempt. 0B: there are none."`
	CrashesWorker      bool                 `yaml:"crashesWorker" default:"false" doc:"Whether an attempt takes down its worker, which starts again a second later. Poison."`
	IgnoresStop        bool                 `yaml:"ignoresStop" default:"false" doc:"Whether an attempt goes on when it is told to stop."`
	Undecodable        string               `yaml:"undecodable" enum:"input,result,error" doc:"What of the task cannot be decoded or encoded. error: each attempt fails, with a text that is not UTF-8."`
	Children           int                  `yaml:"children" default:"0" min:"0" max:"1000" doc:"How many tasks of the kind childKind each attempt submits and waits for."`
	ChildKind          string               `yaml:"childKind" doc:"The kind of the children, which has none of its own." example:"leaf"`
	Needs              int                  `yaml:"needs" default:"0" min:"0" max:"32" doc:"How many tasks each needs, by chance of the last that its client submitted before: it waits for these, reads their values, and fails if one did not complete."`
	PayloadSize        scenario.Bytes       `yaml:"payloadSize" default:"64B" doc:"The size of the input."`
	ResultSize         scenario.Bytes       `yaml:"resultSize" default:"64B" doc:"The size of the result."`

	ObjectSize scenario.Bytes `yaml:"objectSize" default:"0B" doc:"The size of objects: each attempt puts one of its own and one that others put, too, reads both, and has a ref for a result, which the client reads. 0B: there are none." example:"600KiB"`

	Retries           int               `yaml:"retries" default:"0" min:"0" max:"10000" doc:"How often a task is tried again after it failed or timed out."`
	Backoff           *Backoff          `yaml:"backoff" doc:"The delay before a retry. Default: that of the runtime."`
	MaxWorkerLosses   int               `yaml:"maxWorkerLosses" default:"3" min:"0" max:"1000" doc:"How many workers may die while they run the task before it fails."`
	ExecutionTimeout  scenario.Duration `yaml:"executionTimeout" default:"0" doc:"The longest that an attempt may run. 0: no bound."`
	SchedulingTimeout scenario.Duration `yaml:"schedulingTimeout" default:"0" doc:"The longest that the task may wait for its first start. 0: no bound."`
	NotBefore         *Span             `yaml:"notBefore" doc:"How long after its submission a task may start at the earliest. Default: at once."`
	Limit             *Limit            `yaml:"limit" doc:"A limit that bounds the tasks together with all that name it with the same key. Default: none."`
	Unique            *Unique           `yaml:"unique" doc:"The tasks have keys, and each is the only one of its key. Default: they have none."`
	Gang              int               `yaml:"gang" default:"0" min:"0" max:"1024" doc:"The tasks are submitted in gangs of so many, which start together: as many of a batch as there are, at most. 0: they are of none."`
	Priority          int               `yaml:"priority" default:"0" min:"-1000" max:"1000" doc:"Higher runs first."`
	Resources         map[string]int64  `yaml:"resources" doc:"What an attempt occupies besides a slot. cpu is in milli-units." example:"{cpu: 1500}"`
	Labels            map[string]string `yaml:"labels" doc:"Labels that the worker must carry." example:"{zone: a}"`
	Cancel            *Cancel           `yaml:"cancel" doc:"Whether and when the client cancels a task. Default: never."`
	// Schedule makes tasks of the kind schedules.
	Schedule *Schedule `yaml:"schedule" doc:"The tasks are schedules: the controller creates their runs, which are what else the kind says. Each is in a job of its own; its client cancels it as cancel says, and then waits until its runs have ended. Runs count as submitted when the client is told how they ended, and a schedule as open until all have, and then as cancelled. Default: they are tasks."`
	// Actors makes tasks of the kind calls.
	Actors *Actors `yaml:"actors" doc:"The tasks are calls of actors, which count them: resources, labels and priority are those of the actors, and maxWorkerLosses says how often a call may be handed to another incarnation when it was lost with one. Default: they are tasks."`
}

// Limit bounds tasks that name it with the same key, of whatever kinds. Callers that have roles have limits of their own.
type Limit struct {
	Name       string            `yaml:"name" required:"true" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" doc:"The limit's name." example:"api"`
	Key        string            `yaml:"key" doc:"Whose it is: tasks with different keys do not count for each other." example:"acme"`
	Concurrent int               `yaml:"concurrent" default:"0" min:"0" max:"1000000" doc:"How many are ready or at workers at once. 0: any number."`
	Starts     int               `yaml:"starts" default:"0" min:"0" max:"1000000" doc:"How many attempts start in each period, and at once. 0: any number."`
	Period     scenario.Duration `yaml:"period" default:"0" doc:"The period of starts." example:"10s"`
}

// Schedule is what the schedules of a kind have besides.
type Schedule struct {
	Cron     string `yaml:"cron" required:"true" doc:"Its times, as of crontab(5), or like @every 10s." example:"@every 10s"`
	Zone     string `yaml:"zone" doc:"The IANA name of the time zone of its times. Default: UTC." example:"Europe/Berlin"`
	CatchUp  string `yaml:"catchUp" enum:"last,all,none" default:"last" doc:"Which times are run that have passed before they could be: the last of them, all, or those that are no more than a minute ago (none)."`
	Overlaps bool   `yaml:"overlaps" default:"false" doc:"Whether a time is run also while the last run is open."`
	OneName  bool   `yaml:"oneName" default:"false" doc:"Whether a client's schedules of the kind have one name, and each is created once the one before has ended. Default: each has a name of its own."`
}

// How a schedule catches up.
const (
	CatchUpLast = "last"
	CatchUpAll  = "all"
	CatchUpNone = "none"
)

// HasSchedules says whether tasks of the workload are schedules.
func (w *Workload) HasSchedules() bool {
	return slices.ContainsFunc(w.Mix, func(k TaskKind) bool { return k.Schedule != nil })
}

// Actors are what the calls of a kind are made to. Each answers a call with how many it has counted.
type Actors struct {
	Count        int                  `yaml:"count" default:"1" min:"1" max:"10000" doc:"How many actors there are. A client's submissions go to one after the other, from the first, and those of one batch to one."`
	Own          bool                 `yaml:"own" default:"false" doc:"Whether each client has its own; else they share them, by names."`
	Concurrency  int                  `yaml:"concurrency" default:"1" min:"1" max:"1024" doc:"How many calls an actor is handed at once."`
	Restarts     int                  `yaml:"restarts" default:"3" min:"0" max:"1000" doc:"How often an actor is constructed anew, after its worker died or its construction failed, before it is dead."`
	Construct    Span                 `yaml:"construct" doc:"How long it takes to construct one."`
	Failures     scenario.Probability `yaml:"failures" default:"0" doc:"The chance that constructing one fails." example:"10%"`
	Checkpoints  bool                 `yaml:"checkpoints" default:"false" doc:"Whether what an actor has counted outlives its incarnations."`
	DeletedAfter *Span                `yaml:"deletedAfter" doc:"How long after it first called an actor each client deletes it, once; calls after that are made to another of the name. Default: actors are deleted when all clients are done."`
}

// CallsActors says whether tasks of the workload are calls of actors.
func (w *Workload) CallsActors() bool {
	return slices.ContainsFunc(w.Mix, func(k TaskKind) bool { return k.Actors != nil })
}

// A Span is a time between two, each as likely as the other.
type Span struct {
	Min scenario.Duration `yaml:"min" default:"10ms" doc:"The least time."`
	Max scenario.Duration `yaml:"max" default:"10ms" doc:"The most time."`
}

// Backoff is the delay before a retry: base, multiplied by factor with every further one, up to
// cap.
type Backoff struct {
	Base   scenario.Duration `yaml:"base" default:"100ms" doc:"The delay before the first retry."`
	Factor float64           `yaml:"factor" default:"2" min:"1" max:"100" doc:"What each delay is multiplied by to give the next."`
	Cap    scenario.Duration `yaml:"cap" default:"1m" doc:"The longest delay."`
}

// Cancel is whether and when a client cancels a task.
type Cancel struct {
	Probability scenario.Probability `yaml:"probability" default:"1" doc:"The chance that a task is cancelled." example:"50%"`
	After       Span                 `yaml:"after" doc:"How long after it was accepted."`
	// Dependants has what needs it cancelled, too.
	Dependants bool `yaml:"dependants" default:"false" doc:"Whether the tasks that need it are cancelled with it, and so on; else they fail."`
}

// Hosts returns the hosts of the group.
func (g *ClientGroup) Hosts() []string { return hostNames(g.group()) }

func (g *ClientGroup) group() scenario.Group {
	return scenario.Group{Name: &g.Name, Role: RoleClient, Count: g.Count}
}

// TaskKind returns the kind of tasks of a name, or nil.
func (s *Scenario) TaskKind(name string) *TaskKind {
	for i := range s.Workload.Mix {
		if k := &s.Workload.Mix[i]; k.Name == name {
			return k
		}
	}
	return nil
}

// VisitorGroup returns the group of visitors of a name, or nil.
func (s *Scenario) VisitorGroup(name string) *VisitorGroup {
	for i := range s.Workload.Visitors {
		if g := &s.Workload.Visitors[i]; g.Name == name {
			return g
		}
	}
	return nil
}

// AsksWho says whether callers have roles.
func (s *Scenario) AsksWho() bool {
	return s.Topology.Controller.Roles || slices.ContainsFunc(s.Workload.Visitors, func(g VisitorGroup) bool { return g.Stranger })
}

// Submits says whether clients of the group submit tasks of a kind.
func (g *ClientGroup) Submits(k *TaskKind) bool {
	return len(g.Kinds) == 0 || slices.Contains(g.Kinds, k.Name)
}

// Tasks returns how many tasks the clients submit.
func (s *Scenario) Tasks() int {
	tasks := 0
	for _, g := range s.Workload.Clients {
		tasks += g.Count * g.Tasks
	}
	return tasks
}

// Jobs returns how many jobs there are: each client has one.
func (s *Scenario) Jobs() int {
	jobs := 0
	for _, g := range s.Workload.Clients {
		jobs += g.Count
	}
	return jobs
}

// LastArrival returns about when the last task is submitted.
func (s *Scenario) LastArrival() time.Duration {
	var last time.Duration
	for i := range s.Workload.Clients {
		last = max(last, s.Workload.Clients[i].lastArrival())
	}
	return last
}

func (g *ClientGroup) lastArrival() time.Duration {
	a := &g.Arrival
	return time.Duration(a.Start) + time.Duration(min(float64(g.Tasks)*float64(a.Rate.Interval()), float64(scenario.MaxDuration)))
}

// WorkerGroup returns the group of workers of a name, or nil.
func (s *Scenario) WorkerGroup(name string) *WorkerGroup {
	for i := range s.Topology.Workers {
		if g := &s.Topology.Workers[i]; g.Name == name {
			return g
		}
	}
	return nil
}

// ClientGroup returns the group of clients of a name, or nil.
func (s *Scenario) ClientGroup(name string) *ClientGroup {
	for i := range s.Workload.Clients {
		if g := &s.Workload.Clients[i]; g.Name == name {
			return g
		}
	}
	return nil
}
