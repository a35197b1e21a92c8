package scenario

import "time"

// Common is what expressions can say about runs of any subject. Each field is a variable, unless
// the subject's facts have one of that name.
type Common struct {
	Hosts  HostFacts      `cel:"hosts" json:"hosts" doc:"What happened to hosts."`
	Faults map[string]int `cel:"faults" json:"faults" doc:"How often each fault acted, by its id."`
	Times  TimeFacts      `cel:"times" json:"times" doc:"When things happened, from the start of the run."`
}

// HostFacts counts what happened to hosts.
type HostFacts struct {
	Crashed int `cel:"crashed" json:"crashed" doc:"Crashes."`
	Stopped int `cel:"stopped" json:"stopped" doc:"Hosts that were told to leave, or drained, and ended by themselves."`
	Failed  int `cel:"failed" json:"failed" doc:"Hosts that ended with an error while their disk failed."`
	Paused  int `cel:"paused" json:"paused" doc:"Pauses, and machines that slept."`
}

// TimeFacts is when things happened.
type TimeFacts struct {
	Now    time.Duration `cel:"now" json:"now_ns" doc:"How long the run has taken."`
	Healed time.Duration `cel:"healed" json:"healed_ns" doc:"When everything was put right; 0 before."`
}
