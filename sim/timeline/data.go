package timeline

import "time"

// data is what the script of a page is given. Times are nanoseconds of virtual time since the
// start, below 0 for never; hosts, tasks, procedures and functions are indexes into their lists;
// faults count from 1, with 0 for none.
type data struct {
	Virtual     time.Duration `json:"virtual"`
	Healed      time.Duration `json:"healed"`
	Judged      time.Duration `json:"judged"`
	HealsFaults bool          `json:"heals_faults"` // that do not end by themselves
	Hosts       []hostData    `json:"hosts"`
	Procedures  []string      `json:"procedures"`
	Functions   []string      `json:"functions"`
	Tasks       []string      `json:"tasks"`
	Faults      []faultData   `json:"faults"`
	Spans       []spanData    `json:"spans"`
	States      []stateData   `json:"states"`
	Firings     firingData    `json:"firings"`
	Messages    messageData   `json:"messages"`
	// Carried are groups of tasks that a call is about.
	Carried   [][]int        `json:"carried"`
	Attempts  []attemptData  `json:"attempts"`
	Violation *violationData `json:"violation"`
	Gaps      []*gap         `json:"gaps"`
}

type hostData struct {
	Name string `json:"name"`
	Role string `json:"role"`
}

type faultData struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Rule  string `json:"rule"`
	Fired int    `json:"fired"`
	Tints bool   `json:"tints,omitempty"`
}

type spanData struct {
	Fault int           `json:"fault"`
	Hosts []int         `json:"hosts"`
	From  time.Duration `json:"from"`
	Until time.Duration `json:"until"`
}

type stateData struct {
	Host  int           `json:"host"`
	Kind  string        `json:"kind"`
	Why   string        `json:"why,omitempty"`
	From  time.Duration `json:"from"`
	Until time.Duration `json:"until"`
}

// firingData has one element of each list for a firing.
type firingData struct {
	At        []time.Duration `json:"at"`
	Fault     []int           `json:"fault"`
	Host      []int           `json:"host"`
	From      []int           `json:"from"`
	To        []int           `json:"to"`
	Procedure []int           `json:"procedure"`
}

// messageData has one element of each list for a message.
type messageData struct {
	// Sent counts from the message before, and Took from Sent.
	Sent      []time.Duration `json:"sent"`
	Took      []time.Duration `json:"took"`
	Kind      []int           `json:"kind"` // index into Kinds
	From      []int           `json:"from"`
	To        []int           `json:"to"`
	Procedure []int           `json:"procedure"`
	Fate      []int           `json:"fate"` // index into Fates
	Fault     []int           `json:"fault"`
	Code      []int           `json:"code"` // index into Codes
	Size      []int           `json:"size"`
	Call      []uint64        `json:"call"`
	Carries   []int           `json:"carries"` // index into data.Carried from 1; 0: nothing that is known
	Kinds     []string        `json:"kinds"`
	Fates     []string        `json:"fates"`
	Codes     []string        `json:"codes"`
}

type attemptData struct {
	Task     int           `json:"task"`
	Function int           `json:"function"`
	Number   uint32        `json:"number"`
	Host     int           `json:"host"`
	Granted  time.Duration `json:"granted"`
	Started  time.Duration `json:"started"`
	Ended    time.Duration `json:"ended"`
	Outcome  string        `json:"outcome"`
	Detail   string        `json:"detail,omitempty"`
	Stopped  time.Duration `json:"stopped"`
	Reported time.Duration `json:"reported"`
	Verdict  string        `json:"verdict,omitempty"`
	Token    string        `json:"token"`
}
