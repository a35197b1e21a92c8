package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config says what a system promises beyond what Fray always does, and how long it may take.
type Config struct {
	// AllowLossAfterRestart: the controller keeps everything in memory, so that its crash loses
	// every task.
	AllowLossAfterRestart bool
	// Retention is how long an ended task is known at least. 0: an hour, the controller's default.
	Retention time.Duration
	// WatchGrace is how long after that it may be known because of those who may still need it. 0:
	// a minute, for the controller's defaults.
	WatchGrace time.Duration
	// ForgetsEarly: the bounds on what is retained are so narrow that an ended task may be unknown
	// at any time. What somebody waits for is told all the same.
	ForgetsEarly bool
	// DeliveryTimeout is how long the controller waits for the confirmation of a grant. 0: as long
	// as a session lasts.
	DeliveryTimeout time.Duration
	// LivenessBound is how long after Heal, or after its submission if that was later, a task may
	// take to end. 0: liveness is not checked.
	LivenessBound time.Duration
	// MayStayOpen names tasks that liveness does not expect to end, such as those that no worker
	// can run. Nil: none.
	MayStayOpen func(job, task string) bool
	// FairnessBound is how many starts of other jobs may come between two of a job that has tasks
	// waiting, for each job that waits. 0: fairness is not checked.
	FairnessBound int
	// FairnessDerived: the bound is how much workers may hold. Each job may have two turns besides,
	// however many wait, and what goes by counts only while nothing is faulty.
	FairnessDerived bool
	// Lending are the functions that wait for other tasks: they do not count against their worker's
	// slots and resources, because they may lend theirs.
	Lending []string
	// NamesByHost: names of actors and limits, and keys of tasks, are those of the host that created them; else
	// everybody's.
	NamesByHost bool
	// Counters are the functions of calls that add 1 to what their actor counts, whose state outlives its incarnations,
	// and have the sum for a value, see CountedValue.
	Counters []string
	// LinearSteps bounds the search for an order of one task's operations. 0: DefaultLinearSteps.
	LinearSteps int
	// Redelivery: the network may deliver a call twice, so that one call may have its effect again
	// after it was answered.
	Redelivery bool
	// FirstFault is when the first fault may act, for claims about how soon things happen. 0: from
	// the start.
	FirstFault time.Duration
	// FaultsGoOn: some may act after Heal, too.
	FaultsGoOn bool
	// Latency is the longest that a message is on its way where nothing is faulty.
	Latency time.Duration
	// Lossless: faults do no more than delay messages, by less than the time that calls allow for, so
	// that each call has its answer.
	Lossless bool
	// MayStall: the controller may be unable to commit for a while, and tells workers nothing then.
	MayStall bool
	// Watchers is how many more watchers there may be than jobs: clients that come back, and others
	// than clients.
	Watchers int
	// ClientsMiss: a client may not listen when a task of its ends. It leaves and comes back, or the
	// controller has no room for its watch.
	ClientsMiss bool
	// Within is how long a task of a host may take at most from its first submission until the host is
	// told that it has completed, by host. Nil: nobody is promised that.
	Within map[string]time.Duration
	// Deaf are hosts that submit tasks and never ask how they end.
	Deaf map[string]bool
	// Forgeries: others than workers report, and are told that it is stale.
	Forgeries bool
	// Wall is asked for the time of the controller's clock with the first event. Nil: that clock may be set, or
	// is not known.
	Wall func() time.Time
	// Sleeps: the controller's machine may sleep, so that its scheduler is late from then on.
	Sleeps bool
	// MayFill: there may be no room for what is submitted, nor for a schedule's run.
	MayFill bool
	// Extra oracles look at every event after Fray's own.
	Extra []Oracle

	// What the oracles share; New makes it.
	roster *roster
	runs   *scheduledRuns
	jobs   *jobBook
}

// Defaults of a Config.
const (
	DefaultRetention   = time.Hour
	DefaultWatchGrace  = time.Minute
	DefaultLinearSteps = 1_000_000
)

func (c Config) withDefaults() Config {
	c.Retention = cmp.Or(c.Retention, DefaultRetention)
	c.WatchGrace = cmp.Or(c.WatchGrace, DefaultWatchGrace)
	c.LinearSteps = cmp.Or(c.LinearSteps, DefaultLinearSteps)
	c.roster = &roster{numbers: make(map[string]int)}
	c.runs = newScheduledRuns(&c)
	c.jobs = newJobBook(&c)
	return c
}

// mayForget says whether a task may be unknown that ended that long ago at most.
func (c Config) mayForget(ago time.Duration) bool { return c.ForgetsEarly || ago >= c.Retention }

// Oracle judges a history, event by event. It is called by one goroutine at a time.
type Oracle interface {
	// Name is what scenarios and reports call it, such as "terminal-absorbs".
	Name() string
	// Claim is what it holds the system to, in one sentence.
	Claim() string
	// Observe takes the next event. It may keep e, and must not change it.
	Observe(e *Event, j *Judge)
	// Finish is called once, with the time at which the history ended.
	Finish(end time.Duration, j *Judge)
}

// Violation is a claim that the history breaks.
type Violation struct {
	Oracle string `json:"oracle"`
	// Task is empty when it is not about one.
	Task string `json:"task,omitempty"`
	Text string `json:"text"`
	// Events prove it, in their order. History.Task has what surrounds them.
	Events []Event `json:"events,omitempty"`
	// Undecided: the search gave up. That is a failure of the harness, and never a pass.
	Undecided bool `json:"undecided,omitempty"`
}

// String tells the violation, with the proof on lines of its own.
func (v *Violation) String() string {
	var b strings.Builder
	b.WriteString(v.Oracle + ": ")
	if v.Task != "" {
		fmt.Fprintf(&b, "task %s: ", v.Task)
	}
	b.WriteString(v.Text)
	for i := range v.Events {
		b.WriteString("\n\t" + v.Events[i].String())
	}
	return b.String()
}

// maxViolations is how many violations of one oracle are kept; all are counted.
const maxViolations = 16

// Judge counts what an oracle checks and takes down what it finds.
type Judge struct {
	name       string
	checks     uint64
	found      uint64
	violations []Violation
}

// Check counts a check.
func (j *Judge) Check() { j.checks++ }

// Violated takes down that the history breaks the oracle's claim about a task (or, with "", about
// none), with the events that prove it. Nil events are left out.
func (j *Judge) Violated(task, text string, proof ...*Event) {
	j.take(Violation{Task: task, Text: text}, proof)
}

// Undecided takes down that a check was given up.
func (j *Judge) Undecided(task, text string, proof ...*Event) {
	j.take(Violation{Task: task, Text: text, Undecided: true}, proof)
}

func (j *Judge) take(v Violation, proof []*Event) {
	j.found++
	if len(j.violations) >= maxViolations {
		return
	}
	v.Oracle = j.name
	for _, e := range proof {
		if e != nil {
			v.Events = append(v.Events, *e)
		}
	}
	slices.SortStableFunc(v.Events, func(a, b Event) int { return cmp.Compare(a.Seq, b.Seq) })
	j.violations = append(j.violations, v)
}

// Count is how often an oracle looked, and what it found.
type Count struct {
	Oracle     string `json:"oracle"`
	Claim      string `json:"claim"`
	Checks     uint64 `json:"checks"`
	Violations uint64 `json:"violations"`
}

// Oracles are all oracles over one history. They are not safe for concurrent use: a History calls
// Observe in turn, and others ask through History.Still while the history goes on.
type Oracles struct {
	cfg     Config
	oracles []Oracle
	judges  []Judge
	book    *leaseBook
	calm    *calm
	lost    *neverLost
	metrics *metricsAgree
	cost    *costKept
	kept    *nothingKept
	leaks   *noLeak
	done    bool
}

// New returns the oracles for a system.
//
//	oracles := check.New(check.Config{})
//	history := check.NewHistory(check.HistoryConfig{Observe: oracles.Observe})
func New(cfg Config) *Oracles {
	cfg = cfg.withDefaults()
	o := &Oracles{cfg: cfg, book: newLeaseBook(&cfg), calm: &calm{firstFault: cfg.FirstFault, never: cfg.FaultsGoOn, travels: cfg.Latency}}
	o.lost, o.metrics, o.cost, o.kept, o.leaks = newNeverLost(&cfg), newMetricsAgree(&cfg), newCostKept(), newNothingKept(&cfg), newNoLeak()
	o.oracles = append([]Oracle{
		o.lost,
		newOneResult(&cfg),
		newTerminalAbsorbs(&cfg),
		newCurrentAttempt(&cfg),
		newOneLease(o.book),
		newSessionKept(o.book),
		newAttemptNumbers(&cfg),
		newBudgets(&cfg, o.book),
		newFailsByItself(&cfg, o.book),
		newBackoff(&cfg),
		newTimeoutsTrue(&cfg),
		newNoStartAfterEnd(&cfg, o.book),
		newStopsJustified(&cfg, o.book),
		newStopsObeyed(&cfg, o.book, o.calm),
		newSpecKept(&cfg),
		newNeedsKept(&cfg),
		newNotBefore(&cfg),
		newLimitsKept(&cfg, o.book),
		newSchedulesKept(&cfg, o.calm),
		newUniquesKept(&cfg),
		newGangsWhole(&cfg),
		newJobsFailWhole(&cfg),
		newOneActor(&cfg),
		newCallsInOrder(),
		newCallsOnce(&cfg),
		newActorState(&cfg),
		newPriorityKept(&cfg),
		newGrantsHeard(&cfg, o.calm),
		newCapacityKept(&cfg, o.book),
		newEffectLedger(&cfg),
		newValueTold(&cfg),
		newConservation(&cfg),
		newLinearizable(&cfg),
		newEndsTold(&cfg, o.calm),
		newAnswered(&cfg, o.calm),
		newServedWithin(&cfg),
		newNoBugTold(),
		newOneLeader(),
		newListsKept(&cfg),
		newLiveness(&cfg),
		newFairness(&cfg, o.calm),
		o.metrics,
		o.cost,
		o.kept,
		o.leaks,
	}, cfg.Extra...)
	o.judges = make([]Judge, len(o.oracles))
	for i, oracle := range o.oracles {
		o.judges[i].name = oracle.Name()
	}
	return o
}

// Observe has every oracle look at the next event.
func (o *Oracles) Observe(e *Event) {
	for _, offer := range o.cfg.runs.offers(e) {
		o.observe(offer)
	}
	o.observe(e)
}

func (o *Oracles) observe(e *Event) {
	o.book.observe(e)
	o.calm.observe(e)
	o.cfg.jobs.observe(e)
	for i, oracle := range o.oracles {
		oracle.Observe(e, &o.judges[i])
	}
}

// Metrics gives what the processes' metrics said at quiescence, by name and labels as in the text
// format, such as fray_tasks{status="COMPLETED"}. Values of several workers are to be added up.
// Those of tasks, of what the scheduler looked at and of what it holds are compared.
func (o *Oracles) Metrics(scraped map[string]float64) {
	o.metrics.scraped, o.cost.scraped, o.kept.scraped = scraped, scraped, scraped
}

// Leaks gives the function that looks for goroutines that should be gone, such as goleak.Find;
// Finish calls it.
func (o *Oracles) Leaks(find func() error) { o.leaks.find = find }

// Finish makes the final checks and returns what was found in all. The history must be at its end,
// at this time on its clock. It may be called once.
func (o *Oracles) Finish(end time.Duration) []Violation {
	if o.done {
		panic("check: Finish was called before")
	}
	o.done = true
	for i, oracle := range o.oracles {
		oracle.Finish(end, &o.judges[i])
	}
	return o.Violations()
}

// Violated returns the number of violations so far, cheaply.
func (o *Oracles) Violated() uint64 {
	var n uint64
	for i := range o.judges {
		n += o.judges[i].found
	}
	return n
}

// Violations returns the violations so far, by oracle; at most 16 of each.
func (o *Oracles) Violations() []Violation {
	var all []Violation
	for i := range o.judges {
		all = append(all, o.judges[i].violations...)
	}
	return all
}

// Counts returns, for each oracle in a fixed order, how often it looked and what it found.
func (o *Oracles) Counts() []Count {
	counts := make([]Count, len(o.oracles))
	for i, oracle := range o.oracles {
		counts[i] = Count{oracle.Name(), oracle.Claim(), o.judges[i].checks, o.judges[i].found}
	}
	return counts
}

// Unsettled returns the ids of the acknowledged tasks that no client has seen at their end, sorted:
// those that a closing audit must ask for, after History.Quiesce.
func (o *Oracles) Unsettled() []string { return o.lost.unsettled() }

// Unaudited says that the closing audit has not come to its end. What it did not ask for is not
// lost for that.
func (o *Oracles) Unaudited() { o.lost.unaudited = true }
