package check

import (
	"math"
	"slices"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// JobOptions is what a submission says that its job has besides a name.
type JobOptions struct {
	Parent string `json:"parent,omitempty"`
	// FailsPast says that the job has a MaxFailed.
	FailsPast      bool    `json:"fails_past,omitempty"`
	MaxFailed      uint32  `json:"max_failed,omitempty"`
	MaxFailedShare float64 `json:"max_failed_share,omitempty"`
	Weight         uint32  `json:"weight,omitempty"`
	// EnvironmentBytes are those of the names and values of its own environment.
	EnvironmentBytes int `json:"environment_bytes,omitempty"`
}

// newJobOptions reads what a submission says; nil: nothing.
func newJobOptions(o *frayv1.JobOptions) *JobOptions {
	if o == nil {
		return nil
	}
	bytes := 0
	for name, value := range o.GetEnvironment() { // order-free: a sum
		bytes += len(name) + len(value)
	}
	return &JobOptions{
		Parent: o.GetParentJobId(), FailsPast: o.MaxFailed != nil, MaxFailed: o.GetMaxFailed(),
		MaxFailedShare: o.GetMaxFailedShare(), Weight: o.GetWeight(), EnvironmentBytes: bytes,
	}
}

// mayFail returns how many of so many tasks may have failed; false: any number.
func (o *JobOptions) mayFail(submitted int) (int, bool) {
	most := 0
	if o.MaxFailedShare > 0 {
		most = int(math.Floor(o.MaxFailedShare * float64(submitted)))
	}
	if o.FailsPast {
		most = max(most, int(o.MaxFailed))
	}
	return most, o.FailsPast || o.MaxFailedShare > 0
}

// jobBook knows what jobs have besides their names, and what may end all of their tasks: that somebody cancels a job
// or one above it, or that one of these fails as a whole. A job may have failed
//
//   - once more of its tasks may have failed than it allows: a task may have since its submission, unless its end was
//     shown and is another, but not before a call was made by which it was still open; nor, if its function or its
//     coding failed, before the report of the attempt that it ended with was sent;
//   - for certain once more were shown to have failed than it allows, of all that were offered by then.
//
// What is certain holds until the job may be forgotten. Jobs that were said to have several options, or tasks of which
// may have been created twice, may have failed at any time. After the crash of a controller that keeps nothing, jobs
// and tasks are others, but for those whose submissions may arrive yet.
type jobBook struct {
	cfg   *Config
	jobs  map[string]*bookedJob
	tasks map[string]*bookedTask
	// Some job has options.
	some bool
	// Replies to calls made before this event are of no use.
	floor uint64
}

type bookedJob struct {
	id      string
	options *JobOptions // nil: none were said
	said    *Event      // the submission that said so
	parent  *bookedJob
	// Submissions say several things of it, or a task or itself may have been created a second time.
	unsure bool
	tasks  []*bookedTask
	begun  bool
	cancel *Event        // the first call that asks to cancel it as a whole
	openAt time.Duration // when one of its tasks was open, the last time of which that is known
	// How many were shown to have failed, and the last event that showed one too many.
	failures int
	failed   *Event
	floor    uint64
}

type bookedTask struct {
	job   *bookedJob
	id    string
	offer *Event
	open  int    // submissions that were not refused
	shown *Event // the first event that proves that it is there
	// It was open when the call was made that this is the number of, and the time of that.
	openBy uint64
	openAt time.Duration
	// Of its failed attempts, the first report of each.
	reports []*Event
	// Its value was accepted; and a view of its end.
	completed bool
	end       *Event
}

const never = math.MaxUint64

func newJobBook(cfg *Config) *jobBook {
	return &jobBook{cfg: cfg, jobs: make(map[string]*bookedJob), tasks: make(map[string]*bookedTask)}
}

func (b *jobBook) observe(e *Event) {
	if e.Kind == ControllerCrash && b.cfg.AllowLossAfterRestart {
		b.crashed(e)
	}
	switch {
	case e.Kind == SubmitCall:
		b.offered(e)
		return
	case e.Kind == CancelCall && e.Task == "":
		if j := b.job(e.Job); j.cancel == nil {
			j.cancel = e
		}
		return
	case !b.some || e.Kind.Reply() && e.Invoked < b.floor:
		return
	}
	t := b.tasks[e.Task]
	if t == nil {
		return
	}
	switch {
	case e.Kind == SubmitReply && e.Answer == Refused:
		if !b.cfg.Redelivery { // Else another copy of the call may create it.
			t.open--
		}
	case e.Kind == SubmitReply && e.Answer.acknowledges():
		t.show(e)
		if e.Answer == Created {
			t.isOpen(e)
		}
	case e.Kind == GrantReply, e.Kind == CancelReply && e.Answer == Stopping:
		t.show(e)
		t.isOpen(e)
	case e.Kind == ReportCall && chargesRetry(e.Outcome) && find(t.reports, e.Token) == nil:
		t.reports = append(t.reports, e)
	case commits(e):
		t.completed = true
	case e.Kind == ReadReply && e.View != nil:
		t.show(e)
		b.viewed(t, e)
	}
}

func (b *jobBook) job(id string) *bookedJob {
	j := of(b.jobs, id)
	j.id = id
	return j
}

// crashed forgets all but what may arrive yet.
func (b *jobBook) crashed(e *Event) {
	before := b.tasks
	jobs := b.jobs
	b.jobs, b.tasks, b.floor = make(map[string]*bookedJob), make(map[string]*bookedTask), e.Seq
	for _, id := range sortedKeys(jobs) {
		if old := jobs[id]; old.cancel != nil || old.options != nil {
			j := b.job(id)
			j.cancel, j.unsure = old.cancel, old.unsure
			b.says(j, old.said)
		}
	}
	for _, id := range sortedKeys(before) {
		if t := before[id]; t.open > 0 && (t.shown == nil || b.cfg.Redelivery) {
			j := b.job(t.job.id)
			b.tasks[id] = &bookedTask{job: j, id: id, offer: t.offer, open: t.open}
			j.tasks = append(j.tasks, b.tasks[id])
		}
	}
}

// says takes in what a submission says of its job.
func (b *jobBook) says(j *bookedJob, e *Event) {
	if e == nil {
		return
	}
	switch o := e.JobOptions; {
	case o == nil:
		// Who adds to a job need not say what it has. Who makes it has it be without.
		j.unsure = j.unsure || j.options != nil && !j.begun
	case j.options == nil:
		j.unsure = j.unsure || len(j.tasks) > 0
		j.options, j.said, b.some = o, e, true
		if o.Parent != "" {
			j.parent = b.job(o.Parent)
		}
	default:
		j.unsure = j.unsure || *j.options != *o
	}
}

func (b *jobBook) offered(e *Event) {
	if e.JobOptions == nil && !b.some {
		// Where no job has options, nothing needs to be known of tasks. Of those that were submitted before the first
		// options are said, there are none in jobs that have any.
		return
	}
	j := b.job(e.Job)
	if j.begun && b.cfg.mayForget(e.At-j.openAt) {
		j.unsure, j.failures, j.failed, j.floor = true, 0, nil, e.Seq // It may be another.
	}
	b.says(j, e)
	t := b.tasks[e.Task]
	switch {
	case t == nil:
		t = &bookedTask{job: j, id: e.Task, offer: e, openAt: e.At}
		b.tasks[e.Task] = t
		j.tasks = append(j.tasks, t)
	case t.job != j:
		return // It is refused.
	case t.shown != nil && b.cfg.mayForget(e.At-t.openAt):
		j.unsure = true
	}
	t.open++
}

func (t *bookedTask) show(e *Event) {
	if t.shown == nil {
		t.shown = e
	}
	t.job.begun = true
}

// isOpen takes in that a task was open when a call was made, or later.
func (t *bookedTask) isOpen(e *Event) {
	t.openBy = max(t.openBy, e.Invoked)
	t.openAt = max(t.openAt, e.InvokedAt)
	t.job.openAt = max(t.job.openAt, e.InvokedAt)
}

func (b *jobBook) viewed(t *bookedTask, e *Event) {
	if !e.View.Terminal() {
		t.isOpen(e)
		return
	}
	if t.end != nil {
		return
	}
	t.end = e
	j := t.job
	if !failsJob(e.View) || j.options == nil || e.Invoked < j.floor {
		return
	}
	j.failures++
	if most, bounded := j.options.mayFail(len(j.tasks)); bounded && j.failed == nil && !j.unsure && j.failures > most {
		j.failed = e
	}
}

// failsJob says whether an end counts among the failed ones of a job.
func failsJob(v *View) bool {
	const forOther = frayv1.FailureReason_FAILURE_REASON_DEPENDENCY_FAILED
	return v.Status == frayv1.TaskStatus_TASK_STATUS_FAILED && v.Reason != forOther
}

// mayHaveFailedFrom returns the event from which on a task may have failed.
func (t *bookedTask) mayHaveFailedFrom() uint64 {
	from := max(t.offer.Seq, t.openBy)
	switch {
	case t.end == nil && (t.completed || t.open <= 0 && t.shown == nil):
		return never
	case t.end == nil:
		return from
	case !failsJob(t.end.View):
		return never
	}
	switch t.end.View.Reason {
	case frayv1.FailureReason_FAILURE_REASON_APPLICATION, frayv1.FailureReason_FAILURE_REASON_UNDECODABLE:
		for _, r := range t.reports {
			if r.Attempt == t.end.View.Attempt {
				return max(from, r.Seq)
			}
		}
	default:
	}
	return from
}

// mayHaveFailedFrom returns the event from which on a job may have failed as a whole, by what is known now.
func (j *bookedJob) mayHaveFailedFrom() uint64 {
	if j.unsure {
		return 0
	}
	if !j.canFail() {
		return never
	}
	var failures, shown []uint64
	for _, t := range j.tasks {
		if at := t.mayHaveFailedFrom(); at != never {
			failures = append(failures, at)
		}
		if t.shown != nil {
			shown = append(shown, t.shown.Seq)
		}
	}
	slices.Sort(failures)
	slices.Sort(shown)
	for i, at := range failures {
		submitted, _ := slices.BinarySearch(shown, at)
		if most, _ := j.options.mayFail(max(submitted, i+1)); i+1 > most {
			return at
		}
	}
	return never
}

// canFail says whether a job may ever fail as a whole.
func (j *bookedJob) canFail() bool {
	if j.options == nil {
		return j.unsure
	}
	_, bounded := j.options.mayFail(0)
	return bounded || j.unsure
}

// lineage returns a job, by its name, and those that are above it. They need not be there.
func (b *jobBook) lineage(id string) []*bookedJob {
	var all []*bookedJob
	for j := b.jobs[id]; j != nil && !slices.Contains(all, j); j = j.parent {
		all = append(all, j)
	}
	return all
}

// cancelled returns the first call that asked to cancel a job or one above it, or nil.
func (b *jobBook) cancelled(id string) *Event {
	var first *Event
	for _, j := range b.lineage(id) {
		if j.cancel != nil && (first == nil || j.cancel.Seq < first.Seq) {
			first = j.cancel
		}
	}
	return first
}

// mayEnd says whether all of a job's tasks may have been cancelled, or may be.
func (b *jobBook) mayEnd(id string) bool {
	return b.cancelled(id) != nil || anyCanFail(b.lineage(id))
}

func anyCanFail(jobs []*bookedJob) bool { return slices.ContainsFunc(jobs, (*bookedJob).canFail) }

// mayHaveFailedFrom is that of some jobs: the first.
func mayHaveFailedFrom(jobs []*bookedJob) uint64 {
	from := uint64(never)
	for _, j := range jobs {
		from = min(from, j.mayHaveFailedFrom())
	}
	return from
}

// failed returns the job that has failed for certain of that of a task and those above it, when a call was made; or
// nil.
func (b *jobBook) failed(e *Event) *bookedJob {
	t := b.tasks[e.Task]
	if t == nil {
		return nil
	}
	for j := t.job; j != nil && !j.unsure && !b.cfg.mayForget(e.At-j.openAt); j = j.parent {
		if b.cfg.NamesByHost && j.said != nil && t.job.said != nil && j.said.Host != t.job.said.Host {
			return nil // It belongs to another.
		}
		if j.failed != nil && e.follows(j.failed.Seq) {
			return j
		}
	}
	return nil
}

// bytes is how many bytes the controller holds at most of the options of jobs, as it counts them: the parent's name,
// and all that their tasks see.
func (b *jobBook) bytes() int {
	n := 0
	for _, j := range b.jobs { // order-free: a sum
		if j.options == nil {
			continue
		}
		n += len(j.options.Parent)
		for _, above := range b.lineage(j.id) {
			if above.options != nil {
				n += above.options.EnvironmentBytes
			}
		}
	}
	return n
}

// weight is how many of a job's tasks are granted in its turn.
func (b *jobBook) weight(id string) uint64 {
	if j := b.jobs[id]; j != nil && j.options != nil {
		return uint64(max(j.options.Weight, 1))
	}
	return 1
}
