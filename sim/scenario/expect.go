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
	Eventually  []Eventually `yaml:"eventually" doc:"What becomes true, and by when. Without any: {eventually}."`
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
	// Own has the keys of the subject, see [Parts].
	Own any `yaml:",inline"`
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
