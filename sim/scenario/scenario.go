package scenario

import "reflect"

// The header of every scenario file.
const (
	APIVersion = "fray.sim/v1"
	Kind       = "Scenario"
)

// Bounds of a scenario file.
const (
	// MaxFileBytes is the size of the longest file.
	MaxFileBytes = 1 << 20
	// MaxHosts is the most hosts of a topology.
	MaxHosts = 10_000
	// MaxTasks is the most tasks of a workload, children included.
	MaxTasks = 10_000_000
	// MaxListed is the most items of a list.
	MaxListed = 1000
)

// A Scenario is one file. Fields that a file leaves out have their defaults once [Parse] returns
// it. It must not be changed while it runs.
//
// The struct tags of this type, and of those within it, are the format: yaml names the key; doc,
// example, enum, min and max describe it; default is what an absent key means; required says that
// there must be one.
type Scenario struct {
	APIVersion string    `yaml:"apiVersion" required:"true" enum:"fray.sim/v1" doc:"The version of this format."`
	Kind       string    `yaml:"kind" required:"true" enum:"Scenario" doc:"What the file describes."`
	Metadata   Metadata  `yaml:"metadata" required:"true" doc:"What the scenario is called, and what it shows."`
	Run        RunConfig `yaml:"run" doc:"How often and how long it runs."`
	Topology   Topology  `yaml:"topology" required:"true" doc:"The hosts, and the network between them."`
	Workload   Workload  `yaml:"workload" required:"true" doc:"Who submits which tasks, and when."`
	Targets    []Target  `yaml:"targets" doc:"Victims that faults refer to by name, chosen when the first fault strikes them."`
	Faults     []Fault   `yaml:"faults" doc:"What goes wrong, in the order in which faults act on a message that several concern."`
	Heal       *Heal     `yaml:"heal" doc:"When everything that is still wrong is put right. Without it, that is when the last fault that ends by itself has; the others go on to the end."`
	Expect     Expect    `yaml:"expect" doc:"What must be true."`

	// source is what the file was, to point into it later.
	source *source
}

// Metadata says what a scenario is called, and what it shows.
type Metadata struct {
	Name        string   `yaml:"name" required:"true" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" doc:"The scenario's name: lower-case letters, digits and dashes." example:"worker-crash"`
	Summary     string   `yaml:"summary" required:"true" doc:"One sentence that says what the scenario shows." example:"A worker dies with tasks in its hands, and others finish them."`
	Description string   `yaml:"description" doc:"More about it."`
	Tags        []string `yaml:"tags" doc:"Words to find it by." example:"[crash, worker]"`
}

// Backends that a scenario can run on.
const (
	BackendSim     = "sim"
	BackendProcess = "process"
)

// RunConfig says how often and how long a scenario runs.
type RunConfig struct {
	Backends       []string    `yaml:"backends" enum:"sim,process" default:"[sim]" doc:"What it can run on: in virtual time (sim), or as real processes (process)."`
	Seeds          Seeds       `yaml:"seeds" default:"1" doc:"The seeds that it is known to pass. Without a seed on the command line the first one is run." example:"1..20"`
	MaxVirtualTime Duration    `yaml:"maxVirtualTime" default:"10m" doc:"How much virtual time a run may take. A run that needs more has lost its liveness."`
	MaxSteps       int         `yaml:"maxSteps" default:"10000000" min:"1" doc:"How many messages a run may deliver."`
	Verify         Probability `yaml:"verify" default:"5%" doc:"The share of seeds that a sweep runs twice, to compare their traces." example:"100%"`
}

// Where a controller keeps its records.
const (
	StoreMemory = "memory"
	StorePebble = "pebble"
)

// Topology is the hosts and the network between them.
type Topology struct {
	Controller Controller    `yaml:"controller" doc:"The host named controller."`
	Workers    []WorkerGroup `yaml:"workers" required:"true" minItems:"1" doc:"Groups of workers that are alike."`
	Network    Network       `yaml:"network" doc:"The links between all hosts."`
}

// Controller configures the controller.
type Controller struct {
	SessionTTL       Duration `yaml:"sessionTTL" default:"15s" doc:"Without a heartbeat for this long a worker counts as dead. Workers send about six in this time."`
	Store            string   `yaml:"store" enum:"memory,pebble" default:"memory" doc:"Where it keeps its records: in memory, where they are lost with the process, or on its disk (pebble)."`
	SyncLatency      Duration `yaml:"syncLatency" default:"1ms" doc:"How long its disk takes to sync what was written."`
	MaxOpenTasks     int      `yaml:"maxOpenTasks" default:"2000000" min:"1" doc:"Submissions beyond this many open tasks are refused, and made again later."`
	MaxQueuedBytes   Bytes    `yaml:"maxQueuedBytes" default:"2GiB" doc:"Submissions beyond this size of all open tasks are refused, and made again later."`
	CancelGrace      Duration `yaml:"cancelGrace" default:"10s" doc:"How long a cancelled attempt may take to stop before its task is CANCELLED without it."`
	Retention        Duration `yaml:"retention" default:"1h" doc:"How long ended tasks are kept."`
	WatchGrace       Duration `yaml:"watchGrace" default:"30s" doc:"How long results are kept for a client that is not heard of."`
	MaxRetainedTasks int      `yaml:"maxRetainedTasks" default:"1000000" min:"1" doc:"Beyond this many ended tasks the oldest that nobody needs are forgotten early."`
	MaxRetainedBytes Bytes    `yaml:"maxRetainedBytes" default:"1GiB" doc:"Beyond this size of all ended tasks the oldest that nobody needs are forgotten early, and jobs whose clients are behind wait."`
}

// A WorkerGroup is some workers that are alike. Its hosts are NAME-1 to NAME-COUNT.
type WorkerGroup struct {
	Name               string            `yaml:"name" required:"true" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" doc:"The group's name. Its hosts are NAME-1, NAME-2 and so on." example:"worker"`
	Count              int               `yaml:"count" default:"1" min:"1" max:"10000" doc:"How many workers it has."`
	Slots              int               `yaml:"slots" default:"1" min:"1" max:"65536" doc:"How many tasks each runs at once."`
	Labels             map[string]string `yaml:"labels" doc:"What tasks can require of the worker that runs them." example:"{zone: a}"`
	Resources          map[string]int64  `yaml:"resources" doc:"What tasks take a share of. cpu is in milli-units." example:"{cpu: 8000}"`
	MaxPrefetch        int               `yaml:"maxPrefetch" default:"4096" min:"-1" max:"32768" doc:"The most tasks that wait at the worker for a slot. -1: none."`
	StopGrace          Duration          `yaml:"stopGrace" default:"5s" doc:"How long a stopped task may take to return before it is abandoned."`
	DrainGrace         Duration          `yaml:"drainGrace" default:"30s" doc:"How long running tasks may go on once the worker is told to leave."`
	StartAfter         Duration          `yaml:"startAfter" default:"0" doc:"When the workers start."`
	FailureProbability Probability       `yaml:"failureProbability" default:"0" doc:"The chance that a task fails at once because it runs on this worker. 1 makes a black hole." example:"100%"`
}

// Network is the links between all hosts.
type Network struct {
	Latency NetworkLatency `yaml:"latency" doc:"How long messages travel."`
	Loss    Probability    `yaml:"loss" default:"0" doc:"The chance that a message is lost: its sender sees nothing but its own deadline."`
}

// NetworkLatency is min, and on top of it an exponentially distributed time that brings the mean to
// mean, cut at max.
type NetworkLatency struct {
	Min  Duration `yaml:"min" default:"100us" doc:"The least latency."`
	Mean Duration `yaml:"mean" default:"500us" doc:"The mean latency: what is above min is distributed exponentially."`
	Max  Duration `yaml:"max" default:"10ms" doc:"The most latency."`
}

// DefaultLatency returns the latency of links where a file says nothing.
func DefaultLatency() NetworkLatency { return *Default[NetworkLatency]() }

// Default returns a section of which a file says nothing.
func Default[T any]() *T {
	section := new(T)
	d := decoder{newSource("", nil)}
	for _, f := range fieldsOf(reflect.TypeFor[T]()) {
		d.setDefault(reflect.ValueOf(section).Elem().Field(f.index), f)
	}
	return section
}
