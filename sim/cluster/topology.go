package cluster

import "github.com/frayrpc/fray/sim/scenario"

// Roles of hosts, besides that of clients.
const (
	RoleController = "controller"
	RoleWorker     = "worker"
	RoleClient     = scenario.RoleClient
	RoleDatabase   = "database"
)

// ControllerHost is the name of the controller's host, and of the group of several, and DatabaseHost that of the
// database which they share.
const (
	ControllerHost = "controller"
	DatabaseHost   = "database"
)

// Where a controller keeps its records.
const (
	StoreMemory = "memory"
	StorePebble = "pebble"
	StoreShared = "shared"
)

// Topology is the hosts.
type Topology struct {
	Controller Controller    `yaml:"controller" doc:"The host named controller, or those of the controllers that share a database."`
	Workers    []WorkerGroup `yaml:"workers" required:"true" minItems:"1" doc:"Groups of workers that are alike."`
}

// Controller configures the controller.
type Controller struct {
	SessionTTL       scenario.Duration `yaml:"sessionTTL" default:"15s" doc:"Without a heartbeat for this long a worker counts as dead. Workers send about six in this time."`
	Count            int               `yaml:"count" default:"1" min:"1" max:"16" doc:"How many there are. Several share a database: one leads, and the others stand by."`
	Store            string            `yaml:"store" enum:"memory,pebble,shared" default:"memory" doc:"Where it keeps its records: in memory, where they are lost with the process, on its disk (pebble), or in a database on a host of its own (shared)."`
	SyncLatency      scenario.Duration `yaml:"syncLatency" default:"1ms" doc:"How long its disk, or that of the database, takes to sync what was written."`
	MaxOpenTasks     int               `yaml:"maxOpenTasks" default:"2000000" min:"1" doc:"Submissions beyond this many open tasks are refused, and made again later."`
	MaxQueuedBytes   scenario.Bytes    `yaml:"maxQueuedBytes" default:"2GiB" doc:"Submissions beyond this size of all open tasks are refused, and made again later."`
	CancelGrace      scenario.Duration `yaml:"cancelGrace" default:"10s" doc:"How long a cancelled attempt may take to stop before its task is CANCELLED without it."`
	Retention        scenario.Duration `yaml:"retention" default:"1h" doc:"How long ended tasks are kept."`
	WatchGrace       scenario.Duration `yaml:"watchGrace" default:"30s" doc:"How long results are kept for a client that is not heard of."`
	MaxRetainedTasks int               `yaml:"maxRetainedTasks" default:"1000000" min:"1" doc:"Beyond this many ended tasks the oldest that nobody needs are forgotten early."`
	MaxRetainedBytes scenario.Bytes    `yaml:"maxRetainedBytes" default:"1GiB" doc:"Beyond this size of all ended tasks the oldest that nobody needs are forgotten early, and jobs whose clients are behind wait."`
	MaxPayload       scenario.Bytes    `yaml:"maxPayload" default:"16MiB" doc:"Larger inputs are refused, and larger results fail their tasks."`
	MaxObjectBytes   scenario.Bytes    `yaml:"maxObjectBytes" default:"16GiB" doc:"Objects of a job beyond this size are refused, and put again later."`
	ObjectGrace      scenario.Duration `yaml:"objectGrace" default:"10m" doc:"How long a job that has nothing else holds its objects when nobody asks about them, and how long an upload lasts without its next piece."`
	MaxClasses       int               `yaml:"maxClasses" default:"4096" min:"1" doc:"Submissions of more combinations of function, resources and labels than that are refused, and made again later."`
	MaxJobs          int               `yaml:"maxJobs" default:"100000" min:"1" doc:"Submissions in more jobs with open tasks than that are refused, and made again later."`
	MaxSessions      int               `yaml:"maxSessions" default:"10000" min:"1" doc:"More workers than that are refused, and ask again."`
	MaxWatchers      int               `yaml:"maxWatchers" default:"100000" min:"1" doc:"More watchers of jobs than that are refused, and ask again."`
	MaxCalls         int               `yaml:"maxCalls" default:"100000" min:"1" doc:"More calls that wait than that are refused, and made again: those for ends of tasks, those of workers for something to do, and all others, each for itself."`
	MaxUnknown       int               `yaml:"maxUnknown" default:"16384" min:"1" doc:"Of more attempts of one worker that nobody knows any longer the rest is told to stop once these are gone."`
	Roles            bool              `yaml:"roles" default:"false" doc:"Whether callers have roles: each host shows who it is, with the least role that it needs, and jobs belong to the clients that submit to them. So it is anyway where there are visitors that need it."`
	MaxGrant         scenario.Bytes    `yaml:"maxGrant" default:"8MiB" doc:"A poll is granted no further task once those it gets have this size."`
}

// A WorkerGroup is some workers that are alike. Its hosts are NAME-1 to NAME-COUNT.
type WorkerGroup struct {
	Name               string               `yaml:"name" required:"true" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" doc:"The group's name. Its hosts are NAME-1, NAME-2 and so on." example:"worker"`
	Count              int                  `yaml:"count" default:"1" min:"1" max:"10000" doc:"How many workers it has."`
	ID                 string               `yaml:"id" doc:"The id under which each registers, if it is not the host's name: two processes that have one by mistake." example:"worker-1"`
	Slots              int                  `yaml:"slots" default:"1" min:"1" max:"65536" doc:"How many tasks each runs at once."`
	Labels             map[string]string    `yaml:"labels" doc:"What tasks can require of the worker that runs them." example:"{zone: a}"`
	Resources          map[string]int64     `yaml:"resources" doc:"What tasks take a share of. cpu is in milli-units." example:"{cpu: 8000}"`
	MaxPrefetch        int                  `yaml:"maxPrefetch" default:"4096" min:"-1" max:"32768" doc:"The most tasks that wait at the worker for a slot. -1: none."`
	MaxUnreported      scenario.Bytes       `yaml:"maxUnreported" default:"32MiB" doc:"While reports of this size wait for the controller, a worker starts nothing more."`
	StopGrace          scenario.Duration    `yaml:"stopGrace" default:"5s" doc:"How long a stopped task may take to return before it is abandoned."`
	DrainGrace         scenario.Duration    `yaml:"drainGrace" default:"30s" doc:"How long running tasks may go on once the worker is told to leave."`
	StartAfter         scenario.Duration    `yaml:"startAfter" default:"0" doc:"When the workers start."`
	FailureProbability scenario.Probability `yaml:"failureProbability" default:"0" doc:"The chance that a task fails at once because it runs on this worker. 1 makes a black hole." example:"100%"`
}

// Hosts returns the hosts of the group.
func (g *WorkerGroup) Hosts() []string { return hostNames(g.group()) }

func (g *WorkerGroup) group() scenario.Group {
	return scenario.Group{Name: &g.Name, Role: RoleWorker, Count: g.Count}
}

func hostNames(g scenario.Group) []string { return scenario.HostNames(g.Hosts()) }
