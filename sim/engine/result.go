package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/scenario"
)

// A Result is what came of one run. Its JSON reads back as the same result. Keys are in snake_case,
// with the unit at the end; what may not fit into the numbers of JavaScript, past 2^53, is a string:
// the seed in decimal, the hash in 16 hexadecimal digits.
type Result struct {
	Scenario string `json:"scenario"`
	Summary  string `json:"summary"`
	Seed     uint64 `json:"seed,string"`
	// Verdict is one of the Verdict constants: pass if the run ended as the scenario expects.
	Verdict string `json:"verdict"`
	// Broken names the invariant or expectation that does not hold, and Text says how; empty if all
	// do. The proof, if it is an invariant, is with Violations.
	Broken string `json:"broken,omitempty"`
	Text   string `json:"text,omitempty"`
	// Expected is set when the run broke what the scenario expects it to break.
	Expected bool `json:"expected,omitempty"`
	// Verified: the run was repeated, and the traces compared.
	Verified bool `json:"verified,omitempty"`

	// Backend is what the run took place on, if not in virtual time, and Virtual the time of the
	// run whatever it is.
	Backend string        `json:"backend,omitempty"`
	Virtual time.Duration `json:"virtual_ns"`
	Wall    time.Duration `json:"wall_ns"`
	// Hash stands for the whole trace. 0: there is none, because nothing would repeat it.
	Hash  Hash      `json:"hash,omitempty"`
	Stats sim.Stats `json:"stats"`

	// Reached are the points that the run came to, by their kind; nil: nobody asked.
	Reached map[string][]string `json:"reached,omitempty"`

	Facts      Facts        `json:"facts"`
	Faults     []FaultCount `json:"faults"`
	Oracles    []Count      `json:"oracles"`
	Eventually []Met        `json:"eventually"`
	Violations []Violation  `json:"violations,omitempty"`
	// Last are the events that led to the end of a run that failed, in order. Around are those
	// around the event that breaks the claim, if one does.
	Last   []Event `json:"last,omitempty"`
	Around []Event `json:"around,omitempty"`
	// Task is what a run that failed broke its claim about, if that is one thing, or the first that
	// did not end or failed. About are its first and its last events, and Omitted says how many
	// there are between them.
	Task    string  `json:"task,omitempty"`
	About   []Event `json:"about,omitempty"`
	Omitted int     `json:"omitted,omitempty"`
	// Open and Failed are tasks that had not ended, and that had failed, when a run that failed was
	// over. With [Options.Failed], Failed is also of runs that passed.
	Open   *Tasks `json:"open,omitempty"`
	Failed *Tasks `json:"failed,omitempty"`
}

// A Hash stands for the trace of a run: runs of one scenario and seed that differ in it went other
// ways. As text, and in JSON, it is 16 hexadecimal digits, as reports have it.
type Hash uint64

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It wants exactly the 16 digits.
func (h *Hash) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil || len(text) != 16 {
		return fmt.Errorf("hash %q is not 16 hexadecimal digits", text)
	}
	*h = Hash(n)
	return nil
}

// NotJudged returns the names of the oracles that found nothing to look at.
func (r *Result) NotJudged() []string {
	var names []string
	for _, c := range r.Oracles {
		if !c.Judged() {
			names = append(names, c.Oracle)
		}
	}
	return names
}

// A FaultCount is how often a fault acted.
type FaultCount struct {
	ID string `json:"id"`
	// Kind is the key that the format has for the action.
	Kind   string `json:"kind"`
	Action string `json:"action"`
	// Matched counts the messages that met the fault's conditions, chance and numbers apart; 0 for
	// actions on hosts.
	Matched uint64 `json:"matched,omitempty"`
	Fired   int    `json:"fired"`
}

// Met is something that was to become true.
type Met struct {
	That string `json:"that"`
	Met  bool   `json:"met"`
	// Within and Took count from the heal or the last submission.
	Within time.Duration `json:"within_ns"`
	Took   time.Duration `json:"took_ns"`
	// At is when it was found to be true, from the start of the run. 0: it was not.
	At time.Duration `json:"at_ns,omitempty"`
}

// ExitCode returns that of fray-sim: 0 pass, 1 invariant broken, 2 liveness broken, 3
// nondeterminism, 4 invalid scenario, 5 harness error, 6 stalled, 130 interrupted.
func (r *Result) ExitCode() int {
	if r.Verdict == scenario.VerdictInterrupted {
		return 130
	}
	verdicts := []string{
		scenario.VerdictPass, scenario.VerdictInvariant, scenario.VerdictLiveness, scenario.VerdictNondeterminism, scenario.VerdictInvalid, scenario.VerdictHarness, scenario.VerdictStalled,
	}
	if i := slices.Index(verdicts, r.Verdict); i >= 0 {
		return i
	}
	return 5
}

// Passed says whether the run ended as its scenario expects.
func (r *Result) Passed() bool { return r.Verdict == scenario.VerdictPass }

// Vacuous says whether the run failed because it tested nothing.
func (r *Result) Vacuous() bool { return r.Broken == brokenFaultsFired || r.Broken == brokenSometimes }

// maxLast is how many events a result keeps of the run's end.
const maxLast = 40

// What runs can break besides the oracles' claims.
const (
	brokenFaultsFired = "faults-fired"
	brokenSometimes   = "sometimes"
	BrokenFinally     = "finally"
	brokenEventually  = "eventually"
	BrokenPanic       = "no-panic"
	brokenHostEnded   = "host-ended"
	BrokenLiveness    = "liveness"
	BrokenLeak        = "no-leak"
)

// Judge makes a result of a run that is over, given the error of its bubble.
func (e *Run) Judge(bubbleErr error) *Result {
	leak := leftBehind(e.closeErr)
	if leak != nil {
		bubbleErr = nil // Which is why the bubble could not end.
	}
	if e.ended && e.runErr == nil && !e.stopped() {
		e.system.Judge(e.elapsed, leak)
	}
	r := &Result{
		Scenario: e.Metadata.Name, Summary: e.Metadata.Summary, Seed: e.seed, Verdict: scenario.VerdictPass,
		Virtual: e.elapsed, Hash: Hash(e.hash), Stats: e.stats, Oracles: e.system.Counts(), Violations: e.broken(),
	}
	var factsErr error
	r.Facts, factsErr = newFacts(e.own, &e.common)
	bubbleErr = errors.Join(bubbleErr, factsErr)
	for _, v := range e.eventually {
		r.Eventually = append(r.Eventually, Met{v.that, v.met, v.within, v.took, v.at})
	}
	e.countFaults(r)
	r.Verdict, r.Broken, r.Text = e.verdict(r, bubbleErr, leak)
	e.compare(r)
	if r.Verdict != scenario.VerdictPass {
		e.tell(r)
	} else if known, ok := e.system.(Chronicle); ok && e.options.Failed {
		if failed := known.Failed(maxTasks); failed.Total > 0 {
			r.Failed = &failed
		}
	}
	return r
}

// Stalled is the result of a run that is not over, of which nothing else can be told: its
// goroutines go on.
func (e *Run) Stalled(s sim.Stall, verdict string) *Result {
	return &Result{
		Scenario: e.Metadata.Name, Summary: e.Metadata.Summary, Seed: e.seed, Verdict: verdict, Text: s.String(),
		Virtual: s.Elapsed, Stats: sim.Stats{Steps: int(s.Steps)},
	}
}

// verdict says how the run ended, what it broke, and how.
func (e *Run) verdict(r *Result, bubbleErr, leak error) (verdict, broken, text string) {
	var panicked *sim.PanicError
	var host *HostError
	if i := slices.IndexFunc(r.Violations, func(v Violation) bool { return !v.Undecided }); i >= 0 {
		v := r.Violations[i]
		if v.Oracle == BrokenLiveness {
			return scenario.VerdictLiveness, v.Oracle, told(v)
		}
		return scenario.VerdictInvariant, v.Oracle, told(v)
	}
	if len(r.Violations) > 0 {
		return scenario.VerdictHarness, r.Violations[0].Oracle, "undecided: " + told(r.Violations[0])
	}
	switch {
	case errors.As(e.runErr, &panicked):
		return scenario.VerdictInvariant, BrokenPanic, e.runErr.Error() + "\n" + string(panicked.Stack)
	case errors.As(errors.Join(e.runErr, e.closeErr), &host) && host.Panicked:
		return scenario.VerdictInvariant, BrokenPanic, host.Error()
	case errors.Is(e.runErr, sim.ErrDeadlock), errors.Is(e.runErr, sim.ErrMaxSteps), errors.Is(e.runErr, sim.ErrMaxTime),
		errors.Is(e.runErr, sim.ErrSpins):
		return scenario.VerdictLiveness, BrokenLiveness, e.runErr.Error()
	case e.endedByItself():
		return scenario.VerdictInvariant, brokenHostEnded, cmp.Or(e.runErr, e.closeErr).Error()
	case e.runErr != nil:
		return scenario.VerdictHarness, "", e.runErr.Error()
	case e.evalErr != nil:
		return scenario.VerdictHarness, "", e.evalErr.Error()
	case e.late != nil:
		return scenario.VerdictLiveness, brokenEventually, fmt.Sprintf("not true within %v of heal and the last submission: %s%s", e.late.within, e.late.that, because(e.late.because))
	case e.unfinished:
		return scenario.VerdictLiveness, BrokenLiveness, fmt.Sprintf("of %d clients %d have done their work after %v", e.clients, e.worked.Load(), e.elapsed)
	case len(e.flaws) > 0:
		return e.flaws[0].verdict, e.flaws[0].broken, e.flaws[0].text
	case leak != nil && e.holdsTo(BrokenLeak):
		return scenario.VerdictInvariant, BrokenLeak, leak.Error()
	case bubbleErr != nil:
		return scenario.VerdictHarness, "", bubbleErr.Error()
	case e.closeErr != nil && leak == nil:
		return scenario.VerdictHarness, "", e.closeErr.Error()
	}
	return e.unmet(r)
}

// endedByItself says whether software of a host that is no client has ended with an error, which
// nobody asked it to.
func (e *Run) endedByItself() bool {
	var simulated *sim.SoftwareError
	var host *HostError
	name := ""
	switch err := errors.Join(e.runErr, e.closeErr); {
	case errors.As(err, &simulated):
		name = simulated.Host
	case errors.As(err, &host):
		name = host.Host
	}
	return slices.ContainsFunc(e.hosts, func(h scenario.Host) bool { return h.Name == name && h.Role != scenario.RoleClient })
}

// told is a violation in words, without the oracle's name, which a result has apart, and without
// the proof.
func told(v Violation) string {
	if v.Task == "" {
		return v.Text
	}
	return "task " + v.Task + ": " + v.Text
}

// unmet returns what is expected of the whole run and not true of it.
func (e *Run) unmet(r *Result) (verdict, broken, text string) {
	for _, c := range e.finally {
		held, err := c.Holds(e.own, &e.common)
		if err != nil {
			return scenario.VerdictHarness, "", err.Error()
		}
		if !held {
			return scenario.VerdictInvariant, BrokenFinally, "not true in the end: " + c.that + because(c.because)
		}
	}
	for _, f := range r.Faults {
		if f.Fired == 0 && e.mustFire(f.ID) {
			return scenario.VerdictInvariant, brokenFaultsFired, fmt.Sprintf("the run is vacuous: fault %s never acted (%d messages matched it)", f.ID, f.Matched)
		}
	}
	for _, s := range e.sometimes {
		if !s.met {
			return scenario.VerdictInvariant, brokenSometimes, "the run is vacuous: never true: " + s.that + because(s.because)
		}
	}
	return scenario.VerdictPass, "", ""
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

// compare makes a pass of what the scenario expects to break, and the reverse.
func (e *Run) compare(r *Result) {
	want := e.Expect.Outcome
	if want.Verdict == scenario.VerdictPass {
		return
	}
	switch {
	case r.Verdict == want.Verdict && (want.Invariant == "" || want.Invariant == r.Broken):
		r.Verdict, r.Expected = scenario.VerdictPass, true
	case r.Verdict == scenario.VerdictPass:
		r.Verdict, r.Broken, r.Text = scenario.VerdictInvariant, "outcome", fmt.Sprintf("the run passed, and %s was expected", want.Verdict)
	}
}

// broken returns the violations of the invariants that the scenario holds the system to.
func (e *Run) broken() []Violation {
	return slices.DeleteFunc(e.system.Broken(), func(v Violation) bool { return !e.holdsTo(v.Oracle) })
}

func (e *Run) holdsTo(invariant string) bool {
	a := &e.Expect.Always
	if len(a.Invariants) > 0 && !slices.Contains(a.Invariants, invariant) && e.isInvariant(invariant) {
		return false
	}
	return !slices.Contains(a.Except, invariant)
}

// isInvariant says whether an oracle has the name, and not only the run's end.
func (e *Run) isInvariant(name string) bool {
	return slices.ContainsFunc(e.About().Invariants, func(i scenario.Invariant) bool { return i.Name == name })
}

func (e *Run) mustFire(id string) bool {
	fired := e.Expect.FaultsFired
	return slices.Contains(fired, id) || len(fired) == 1 && fired[0] == "all"
}

// countFaults tells how often each fault acted, in the order of the file.
func (e *Run) countFaults(r *Result) {
	matched := map[string]uint64{}
	for _, status := range e.status {
		matched[faultID(status.Rule.ID)] += status.Matched
	}
	for _, s := range e.strikes {
		action := s.Rule(nil, nil, s.Action.Victim()).Action.String()
		if action == "" { // No rule does it.
			action = fmt.Sprintf("%s(host=%s)", s.Action.Key(), s.Action.Victim())
		}
		r.Faults = append(r.Faults, FaultCount{ID: s.ID, Kind: s.Action.Key(), Action: action, Matched: matched[s.ID], Fired: e.common.Faults[s.ID]})
	}
}

// Short returns a duration as reports have it, without what is too small to matter.
func Short(d time.Duration) string {
	switch {
	case d > time.Minute:
		d = d.Round(time.Second)
	case d > time.Second:
		d = d.Round(10 * time.Millisecond)
	case d > time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	default:
		d = d.Round(time.Microsecond)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	return text
}
