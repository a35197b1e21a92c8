package scenario

// RoleClient is the role of the hosts that do a scenario's work. Nobody would go on with it for
// them, so no fault ends one.
const RoleClient = "client"

// WhenAny is what a target's host may be doing where a file says nothing: anything.
const WhenAny = "any"

// A Target is a victim. Who it is gets decided by the seed when the first fault that names it
// strikes, and stays so.
type Target struct {
	Name  string `yaml:"name" required:"true" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" doc:"What faults call it." example:"victim"`
	Role  string `yaml:"role" enum:"@roles" default:"{usual}" doc:"What hosts it is chosen from."`
	Group string `yaml:"group" doc:"The group of hosts that it is chosen from. Default: all of the role."`
	Pick  Pick   `yaml:"pick" default:"one" doc:"How many are chosen: one, all, or a number."`
	When  string `yaml:"when" enum:"@states" default:"any" doc:"What a host must be doing to be chosen, if there is one that does: {states}. The fault waits until there is one, up to a minute of the run."`
	Again bool   `yaml:"again" default:"false" doc:"Choose again each time that a fault strikes."`
	// InTurn needs Again.
	InTurn bool `yaml:"inTurn" default:"false" doc:"With again: take the next hosts in their order, and from the first one on when all have had their turn. Those that are down are passed over."`
}

// A Fault is one thing that goes wrong: which messages it concerns (match), when it acts, and what
// it does.
//
// Faults with a match act upon messages. Those without act upon hosts, at a time.
type Fault struct {
	ID     string  `yaml:"id" required:"true" pattern:"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$" doc:"The fault's name in reports and expectations. What is left to chance depends on it." example:"lost-report"`
	Match  *Match  `yaml:"match" doc:"The messages that it concerns. A fault with an action on hosts (pause, crash, restart, stop, drain, suspend, clockStep) needs none."`
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

// On is an event that must happen first.
type On struct {
	Event string `yaml:"event" required:"true" enum:"@events" doc:"What happens: {events}."`
	Nth   int    `yaml:"nth" default:"1" min:"1" doc:"The how-manieth time."`
}

// Window is a span of time.
type Window struct {
	From  Duration `yaml:"from" default:"0" doc:"When it starts, from the start of the run or the event."`
	Until Duration `yaml:"until" doc:"When it ends. Default: at heal." example:"20s"`
}

// Heal is when everything that is still wrong is put right: faults end, partitions are repaired,
// hosts that pause go on, hosts that crashed start again.
type Heal struct {
	At Duration `yaml:"at" required:"true" doc:"When." example:"1m"`
}
