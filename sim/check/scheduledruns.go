package check

import (
	"math"
	"strings"
	"time"
)

// scheduledRuns makes oracles know the runs of schedules, which nobody submits: before the first event that shows a run they are told
// that its schedule's client offered it, and that it was acknowledged by what shows it. So they hold it to what they hold other tasks
// to. Its specification is that of its schedule, with its time.
type scheduledRuns struct {
	clock     historyClock
	lossy     bool
	schedules map[string]*Event // the first submissions, by id
	seen      map[string]bool
	// Schedules, of those above, of which there may be runs that nobody was shown: their jobs were not listed after their ends.
	hiding map[string]bool
	ended  map[string]uint64 // when they were shown to have ended, as a number of an event
	calls  uint64
}

// someHidden is more runs than there are that nobody was shown.
const someHidden = 1 << 40

// scheduledCalls is above the numbers of all calls that are made.
const scheduledCalls = math.MaxUint64 / 2

func newScheduledRuns(cfg *Config) *scheduledRuns {
	return &scheduledRuns{
		clock: historyClock{wall: cfg.Wall}, lossy: cfg.AllowLossAfterRestart, schedules: make(map[string]*Event), seen: make(map[string]bool),
		hiding: make(map[string]bool), ended: make(map[string]uint64),
	}
}

// offers returns what oracles are to be told before an event.
func (r *scheduledRuns) offers(e *Event) []*Event {
	r.clock.observe(e)
	switch e.Kind {
	case SubmitCall:
		if e.Spec.Schedule != nil && r.schedules[e.Task] == nil {
			r.schedules[e.Task], r.hiding[e.Task] = e, true
		}
	case ControllerCrash:
		if r.lossy { // Their schedules, too, may be created again.
			clear(r.seen)
		}
	case ListEnd:
		if len(e.Statuses) == 0 {
			r.listed(e)
		}
	case GrantReply:
		return r.shown(e)
	case ReadReply:
		if e.View != nil {
			return r.shown(e)
		}
	default:
	}
	return nil
}

func (r *scheduledRuns) shown(e *Event) []*Event {
	if len(r.schedules) == 0 || r.seen[e.Task] {
		return nil
	}
	if r.hiding[e.Task] && r.ended[e.Task] == 0 && e.View != nil && e.View.Terminal() {
		r.ended[e.Task] = e.Seq
	}
	id, at, ok := runOf(e.Task)
	s := r.schedules[id]
	if !ok || s == nil {
		return nil
	}
	r.seen[e.Task] = true
	return r.offer(s, at, e)
}

// listed notes of which schedules all runs were shown.
func (r *scheduledRuns) listed(e *Event) {
	for id, seq := range r.ended { // order-free: each for itself
		if e.follows(seq) && (e.Job == "" || e.Job == r.schedules[id].Job) {
			delete(r.hiding, id)
		}
	}
}

// hidden returns how many runs there may be at most that nobody was shown: none, or someHidden.
func (r *scheduledRuns) hidden() int {
	if len(r.hiding) == 0 {
		return 0
	}
	return someHidden
}

// offer is the submission of a run that an event shows, and its answer.
func (r *scheduledRuns) offer(schedule *Event, at time.Time, shown *Event) []*Event {
	call, spec := *schedule, *schedule.Spec
	r.calls++
	spec.Schedule, spec.NotBefore = nil, at.UnixMilli()
	call.Seq, call.Call, call.Task, call.Spec = shown.Seq, scheduledCalls+r.calls, shown.Task, &spec
	if since, known := r.clock.since(at); known {
		call.At = max(call.At, since)
	}
	reply := Event{
		Seq: shown.Seq, At: shown.At, Kind: SubmitReply, Invoked: shown.Invoked, InvokedAt: shown.InvokedAt, MayWait: shown.At - shown.InvokedAt, Call: call.Call,
		Host: call.Host, Task: call.Task, Job: call.Job, Answer: Acknowledged,
	}
	return []*Event{&call, &reply}
}

// runTime is the format of the time in the id of a run, which is in UTC.
const runTime = "2006-01-02T15:04:05Z"

// runOf returns the id of the schedule and the time of a run with an id, and whether it is one of a run.
func runOf(id string) (schedule string, at time.Time, ok bool) {
	i := strings.LastIndexByte(id, '/')
	if i < 0 {
		return "", at, false
	}
	at, err := time.Parse(runTime, id[i+1:])
	return id[:i], at, err == nil && at.Format(runTime) == id[i+1:]
}

// A historyClock tells the times of a history by the controller's clock, where that is not set.
type historyClock struct {
	wall  func() time.Time // nil: it may be set
	began time.Time        // zero: it is not known
}

func (c *historyClock) observe(e *Event) {
	if c.wall != nil && c.began.IsZero() {
		c.began = c.wall().Add(-e.At)
	}
}

// at returns what the clock shows at a time of the history.
func (c *historyClock) at(t time.Duration) (time.Time, bool) {
	return c.began.Add(t).UTC(), c.wall != nil
}

// since returns the time of the history at which the clock shows an instant.
func (c *historyClock) since(at time.Time) (time.Duration, bool) {
	return at.Sub(c.began), c.wall != nil
}
