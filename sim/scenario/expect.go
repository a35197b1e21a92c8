package scenario

// Verdicts of a run, in the order of the exit codes of fray-sim.
const (
	VerdictPass           = "pass"
	VerdictInvariant      = "invariant-broken"
	VerdictLiveness       = "liveness-broken"
	VerdictNondeterminism = "nondeterminism"
	VerdictInvalid        = "invalid-scenario"
	VerdictHarness        = "harness-error"
	// VerdictStalled is that of a run that went no further in real time.
	VerdictStalled = "stalled"
	// VerdictInterrupted is that of a run that was told to end, and had broken nothing by then.
	VerdictInterrupted = "interrupted"
)

// Expect is what must be true.
type Expect struct {
	Outcome     Outcome      `yaml:"outcome" doc:"How the run ends. Default: it passes."`
	Always      Always       `yaml:"always" doc:"The invariants that hold after every event."`
	Eventually  []Eventually `yaml:"eventually" doc:"What becomes true, and by when. Without any: every task has ended within a minute of heal."`
	Sometimes   []Expression `yaml:"sometimes" doc:"What must have been true at least once: without it, the run showed nothing."`
	FaultsFired Names        `yaml:"faultsFired" default:"all" doc:"The faults that must have acted: all, none, or their ids." example:"[lost-report]"`
	Finally     []Expression `yaml:"finally" doc:"What is true at the end."`
}

// Outcome is how a run ends.
type Outcome struct {
	Verdict   string `yaml:"verdict" enum:"pass,invariant-broken,liveness-broken" default:"pass" doc:"The verdict. Others than pass are for planted bugs."`
	Invariant string `yaml:"invariant" doc:"The invariant that breaks." example:"one-effect"`
}

// Always is the invariants that hold after every event.
type Always struct {
	Invariants []string `yaml:"invariants" doc:"Their names. Default: all." example:"[one-effect]"`
	Except     []string `yaml:"except" doc:"Those that need not hold here. Say why in a comment."`
	Fairness   int      `yaml:"fairness" min:"1" max:"1000000" example:"8" doc:"What the invariant fairness holds the system to: while a job has tasks waiting for their first start, no more than this many tasks of other jobs are started, for each job that waits, before one of its own. Of tasks with the same requirements and priority; each client is a job. Leave room for what workers fetch ahead. Without it fairness is not checked."`
}

// Eventually is what becomes true.
type Eventually struct {
	That    string   `yaml:"that" required:"true" doc:"A CEL expression over the result." example:"tasks.open == 0"`
	Within  Duration `yaml:"within" default:"1m" doc:"By when, counted from heal."`
	Because string   `yaml:"because" doc:"What it means when it does not."`
}

// Expression is something that is true.
type Expression struct {
	That    string `yaml:"that" required:"true" doc:"A CEL expression over the result." example:"tasks.completed == tasks.submitted"`
	Because string `yaml:"because" doc:"What it means when it is not."`
}
