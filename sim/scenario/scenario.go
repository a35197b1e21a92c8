package scenario

import (
	"reflect"
	"time"
)

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
	// MaxListed is the most items of a list.
	MaxListed = 1000
)

// A Scenario is one file. Fields that a file leaves out have their defaults once [Subjects.Parse]
// returns it. It must not be changed while it runs.
//
// The struct tags of this type, and of those within it, are the format: yaml names the key; doc,
// example, enum, min and max describe it; default is what an absent key means; required says that
// there must be one.
type Scenario struct {
	APIVersion string    `yaml:"apiVersion" required:"true" enum:"fray.sim/v1" doc:"The version of this format."`
	Kind       string    `yaml:"kind" required:"true" enum:"Scenario" doc:"What the file describes."`
	Subject    string    `yaml:"subject" default:"fray" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" doc:"The system that it is about, which a program registers by this name. Without it: Fray." example:"counter"`
	Metadata   Metadata  `yaml:"metadata" required:"true" doc:"What the scenario is called, and what it shows."`
	Run        RunConfig `yaml:"run" doc:"How often and how long it runs."`
	Topology   Topology  `yaml:"topology" required:"true" doc:"The hosts, and the network between them."`
	Workload   Workload  `yaml:"workload" required:"true" doc:"Who does what, and when."`
	Targets    []Target  `yaml:"targets" doc:"Victims that faults refer to by name, chosen when the first fault strikes them."`
	Faults     []Fault   `yaml:"faults" doc:"What goes wrong, in the order in which faults act on a message that several concern."`
	Heal       *Heal     `yaml:"heal" doc:"When everything that is still wrong is put right. Without it, that is when the last fault that ends by itself has; the others go on to the end."`
	Expect     Expect    `yaml:"expect" doc:"What must be true."`

	// Sections are the subject's own parts of topology, workload and expect.always.
	Sections Sections

	about *Subject
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
	BackendLive    = "live"
)

// MaxVirtualTime is the most of run.maxVirtualTime. Nanoseconds of a run, and of its end, stay below
// 2^53, up to which programs that read them may know numbers exactly.
const MaxVirtualTime = Duration(2400 * time.Hour)

// RunConfig says how often and how long a scenario runs.
type RunConfig struct {
	Backends       []string    `yaml:"backends" enum:"sim,process,live" default:"[sim]" doc:"What it can run on: in virtual time (sim), as real processes (process), or against a cluster that runs (live)."`
	Seeds          Seeds       `yaml:"seeds" default:"1" doc:"The seeds that it is known to pass. Without a seed on the command line the first one is run." example:"1..20"`
	MaxVirtualTime Duration    `yaml:"maxVirtualTime" default:"10m" doc:"How much virtual time a run may take, 2400h at most. A run that needs more has lost its liveness."`
	MaxSteps       int         `yaml:"maxSteps" default:"10000000" min:"1" doc:"How many messages a run may deliver."`
	Verify         Probability `yaml:"verify" default:"5%" doc:"The share of seeds that a sweep runs twice, to compare their traces." example:"100%"`
}

// Topology is the hosts and the network between them.
type Topology struct {
	// Own has the keys of the subject, see [Parts].
	Own     any     `yaml:",inline"`
	Network Network `yaml:"network" doc:"The links between all hosts."`
}

// Workload is what the hosts of role client do: the keys of the subject, see [Parts].
type Workload struct {
	Own any `yaml:",inline"`
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
	d := &decoder{newSource("", nil, nil)}
	d.setDefaults(reflect.ValueOf(section).Elem())
	return section
}
