package scenario

// Roles of hosts.
const (
	RoleController = "controller"
	RoleWorker     = "worker"
	RoleClient     = "client"
)

// What a target's host must be doing.
const (
	WhenAny     = "any"
	WhenIdle    = "idle"
	WhenHolding = "holding"
	WhenRunning = "running"
)

// A Target is a victim. Who it is gets decided by the seed when the first fault that names it strikes, and stays so.
type Target struct {
	Name  string `yaml:"name" required:"true" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" doc:"What faults call it." example:"victim"`
	Role  string `yaml:"role" enum:"controller,worker,client" default:"worker" doc:"What hosts it is chosen from."`
	Group string `yaml:"group" doc:"The group of workers or clients that it is chosen from. Default: all." example:"worker"`
	Pick  Pick   `yaml:"pick" default:"one" doc:"How many are chosen: one, all, or a number."`
	When  string `yaml:"when" enum:"any,idle,holding,running" default:"any" doc:"What a worker must be doing to be chosen, if there is one that does: hold no task, hold a task, run a task. The fault waits until there is one, up to a minute of virtual time."`
	Again bool   `yaml:"again" default:"false" doc:"Choose again each time that a fault strikes."`
}

// A Fault is one thing that goes wrong: which messages it concerns (match), when it acts, and what it does.
//
// Faults with a match act upon messages. Those without act upon hosts, at a time.
type Fault struct {
	ID     string  `yaml:"id" required:"true" pattern:"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$" doc:"The fault's name in reports and expectations. What is left to chance depends on it." example:"lost-report"`
	Match  *Match  `yaml:"match" doc:"The messages that it concerns. A fault with an action on hosts (pause, crash, restart, suspend, clockStep) needs none."`
	When   When    `yaml:"when" doc:"When it acts. Default: always, or at once."`
	Action Actions `yaml:"action" required:"true" doc:"What it does: just one of the keys."`
}

// Match selects messages. An absent key matches all.
type Match struct {
	Side      string `yaml:"side" enum:"client,network,server" doc:"Whose doing it looks like. Default: what the phase implies, else network."`
	Phase     string `yaml:"phase" enum:"request-before-send,request-in-flight,before-handler,after-handler,response-in-flight" doc:"The moment within a call. Default: the first that the side has." example:"response-in-flight"`
	Procedure string `yaml:"procedure" doc:"The procedure called: its full name, the last part of it, or a pattern in which * stands for any text. Default: all." example:"ReportTasks"`
	From      Names  `yaml:"from" doc:"Who calls: hosts, groups, targets, or patterns with *. One, or a list." example:"victim"`
	To        Names  `yaml:"to" doc:"Who is called: hosts, groups, targets, or patterns with *. One, or a list." example:"controller"`
}

// When says when a fault acts.
type When struct {
	At          Duration    `yaml:"at" doc:"Actions on hosts: the time at which it strikes. With on: how long after the event." example:"2s"`
	Every       Duration    `yaml:"every" doc:"Actions on hosts: the time from one strike to the next, until the window ends." example:"30m"`
	On          *On         `yaml:"on" doc:"An event that must happen first. Times count from it then."`
	Window      *Window     `yaml:"window" doc:"The time in which it acts. Default: from the start until heal."`
	Skip        int         `yaml:"skip" min:"0" doc:"Messages: how many matches pass untouched first."`
	Nth         int         `yaml:"nth" min:"1" doc:"Messages: act on this match only, counting from 1."`
	EveryNth    int         `yaml:"everyNth" min:"1" doc:"Messages: act on each n-th match."`
	First       int         `yaml:"first" min:"1" doc:"Messages: act on this many matches at most, the first ones."`
	Probability Probability `yaml:"probability" default:"1" doc:"The chance of acting on a match, or of striking." example:"30%"`
}

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

// On is an event that must happen first.
type On struct {
	Event string `yaml:"event" required:"true" enum:"worker-registered,task-submitted,task-leased,task-started,task-ended,task-finished,commit-written,commit-synced" doc:"What happens: a worker gets a session; a submission is accepted; a worker is granted an attempt; a function starts, or returns; a client learns of a task's end; the controller has written a commit to its log, and not synced it; it has synced it, and told nobody."`
	Nth   int    `yaml:"nth" default:"1" min:"1" doc:"The how-manieth time."`
}

// Window is a span of time.
type Window struct {
	From  Duration `yaml:"from" default:"0" doc:"When it starts, from the start of the run or the event."`
	Until Duration `yaml:"until" doc:"When it ends. Default: at heal." example:"20s"`
}

// Actions holds what a fault does: just one of its fields is set.
type Actions struct {
	Delay     *Delay     `yaml:"delay" doc:"Messages take longer."`
	Drop      *Drop      `yaml:"drop" doc:"Messages are lost: the caller sees nothing until its own deadline."`
	Error     *Error     `yaml:"error" doc:"Calls are answered with an error."`
	Duplicate *Duplicate `yaml:"duplicate" doc:"Requests arrive more than once."`
	Reorder   *Reorder   `yaml:"reorder" doc:"A message is held back until the next match has passed it."`
	Truncate  *Truncate  `yaml:"truncate" doc:"A body ends early, as if there were no more."`
	Reset     *Truncate  `yaml:"reset" doc:"The connection breaks in the middle of a body."`
	Throttle  *Throttle  `yaml:"throttle" doc:"A body passes slowly."`
	Hold      *Hold      `yaml:"hold" doc:"Messages are held back until the window ends."`
	Partition *Partition `yaml:"partition" doc:"Nothing passes between the hosts of from and those of to."`
	Pause     *Pause     `yaml:"pause" doc:"A host stands still and goes on later, as if nothing had been."`
	Crash     *Crash     `yaml:"crash" doc:"A host is gone, until heal."`
	Restart   *Restart   `yaml:"restart" doc:"A host is gone and comes back."`
	Suspend   *Suspend   `yaml:"suspend" doc:"A host's machine sleeps and wakes later: as with pause, but its monotonic clock has stood still, too."`
	ClockStep *ClockStep `yaml:"clockStep" doc:"A host's wall clock is set, ahead or back."`
	DiskFull  *DiskFull  `yaml:"diskFull" doc:"A host's disk has no room."`
	Backup    *Backup    `yaml:"backup" doc:"An operator has the controller make a backup. In the end each is opened, and must have all tasks that were acknowledged before it was asked for."`
}

// Delay makes messages take longer: fixed with for, uniform with from and to, exponential with mean, normal with mean and
// deviation.
type Delay struct {
	For       Duration `yaml:"for" doc:"A fixed delay." example:"50ms"`
	From      Duration `yaml:"from" doc:"The least of a uniform delay." example:"10ms"`
	To        Duration `yaml:"to" doc:"The most of a uniform delay." example:"90ms"`
	Mean      Duration `yaml:"mean" doc:"The mean of an exponential delay, or with deviation of a normal one." example:"50ms"`
	Deviation Duration `yaml:"deviation" doc:"The standard deviation of a normal delay." example:"10ms"`
}

// Drop loses messages.
type Drop struct{}

// Error answers calls with an error.
type Error struct {
	Code    string `yaml:"code" required:"true" enum:"canceled,unknown,invalid_argument,deadline_exceeded,not_found,already_exists,permission_denied,resource_exhausted,failed_precondition,aborted,out_of_range,unimplemented,internal,unavailable,data_loss,unauthenticated" doc:"The Connect code." example:"unavailable"`
	Message string `yaml:"message" doc:"What it says." example:"try later"`
}

// Duplicate delivers requests more than once.
type Duplicate struct {
	Copies int      `yaml:"copies" default:"1" min:"1" max:"16" doc:"How many further times."`
	Later  Duration `yaml:"later" doc:"How long after the first, with nobody to hear the answer. 0: at once." example:"2s"`
}

// Reorder holds a message back until the next match has passed it.
type Reorder struct {
	Within Duration `yaml:"within" required:"true" doc:"The longest that it is held back." example:"100ms"`
}

// Truncate cuts a body after some bytes.
type Truncate struct {
	After Bytes `yaml:"after" default:"0B" doc:"How much of the body passes." example:"16B"`
}

// Throttle passes a body slowly.
type Throttle struct {
	Rate Throughput `yaml:"rate" required:"true" doc:"How fast." example:"10KiB/s"`
}

// Hold holds messages back until the window ends.
type Hold struct{}

// Partition drops all that passes between two sets of hosts.
type Partition struct {
	OneWay bool `yaml:"oneWay" default:"false" doc:"Only what travels from the hosts of from to those of to."`
}

// Pause makes a host stand still.
type Pause struct {
	Target string   `yaml:"target" doc:"The host, or the target. With match, the default is who sends what matched (in the phases of a client) or gets it." example:"victim"`
	For    Duration `yaml:"for" required:"true" doc:"How long." example:"20s"`
}

// Crash ends a host.
type Crash struct {
	Target string `yaml:"target" doc:"The host, or the target. With match, the default is who sends what matched (in the phases of a client) or gets it." example:"victim"`
	Disk   string `yaml:"disk" enum:"kept,lost,power-loss,torn" default:"kept" doc:"What is left of the disk of a controller that has one: what was written (kept); nothing (lost); what was synced and by chance some of the rest (power-loss); what was synced and a part of what was being written (torn)."`
}

// What a crash leaves of a host's disk.
const (
	DiskKept      = "kept"
	DiskLost      = "lost"
	DiskPowerLoss = "power-loss"
	DiskTorn      = "torn"
)

// Restart ends a host, which starts again.
type Restart struct {
	Target string   `yaml:"target" doc:"The host, or the target. With match, the default is who sends what matched (in the phases of a client) or gets it." example:"victim"`
	Down   Duration `yaml:"down" default:"1s" doc:"How long it is gone."`
	Disk   string   `yaml:"disk" enum:"kept,lost,power-loss,torn" default:"kept" doc:"What is left of the disk, as with crash."`
}

// Suspend puts a host's machine to sleep.
type Suspend struct {
	Target string   `yaml:"target" doc:"The host, or the target." example:"victim"`
	For    Duration `yaml:"for" required:"true" doc:"How long." example:"20s"`
}

// ClockStep sets a host's wall clock.
type ClockStep struct {
	Target string `yaml:"target" doc:"The host, or the target." example:"controller"`
	By     Step   `yaml:"by" required:"true" doc:"By how much: ahead, or with a minus sign back." example:"-1h"`
}

// DiskFull fills a host's disk.
type DiskFull struct {
	Target string   `yaml:"target" default:"controller" doc:"The host: a controller that has a disk."`
	For    Duration `yaml:"for" required:"true" doc:"How long." example:"20s"`
}

// Backup has the controller make a backup.
type Backup struct {
	Target string `yaml:"target" default:"controller" doc:"The host: a controller that has a disk."`
}

// Heal is when everything that is still wrong is put right: faults end, partitions are repaired, hosts that pause go on,
// hosts that crashed start again.
type Heal struct {
	At Duration `yaml:"at" required:"true" doc:"When." example:"1m"`
}
