package core

import (
	"errors"
	"time"

	"github.com/frayrpc/fray/fray/core/internal/enum"
	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

// Errors that a Reply may carry.
var (
	// ErrSessionStale: the session is over, or of another incarnation. Register anew.
	ErrSessionStale = errors.New("session is over")
	// ErrUnknownTask: never submitted, or past its retention.
	ErrUnknownTask = errors.New("unknown task")
	// ErrUnknownWorker: no live session of that id.
	ErrUnknownWorker = errors.New("unknown worker")
	// ErrNotOwner: it belongs to another caller.
	ErrNotOwner = errors.New("belongs to another caller")
	// ErrCursorAhead: the cursor is past all that the job has completed.
	ErrCursorAhead = errors.New("cursor is ahead of the job")
	// ErrWorkerLives: another process has the worker's id, and listens.
	ErrWorkerLives = errors.New("another process with this worker id is alive")
	// ErrSuperseded: a newer copy of the same call took its place, or is to: what it would be answered
	// with is not durable yet, and nobody knows when it will be.
	ErrSuperseded = errors.New("superseded by a newer call")
	// ErrTooManyWatchers: MaxWatchers watch jobs.
	ErrTooManyWatchers = errors.New("too many watchers")
	// ErrTooManySessions: MaxSessions are live.
	ErrTooManySessions = errors.New("too many workers")
	// ErrFleetTooLarge: what live workers say of themselves takes MaxFleetBytes.
	ErrFleetTooLarge = errors.New("the functions and labels of all workers take too much room")
	// ErrBadRecord: what Restore was given cannot have been recorded.
	ErrBadRecord = errors.New("bad record")
)

// Effects is what must be done, in order: first the records are written, then the replies are sent.
// Step appends; Reset empties it and keeps its memory, but for that of a very large step. What records
// point to is theirs until then.
type Effects struct {
	Records  []Record
	Replies  []Reply
	Attempts []AttemptNote
	Expired  []ExpiredNote
	// The number of the step. They rise.
	Step uint64

	// What Records point to. Where it moves as it grows, those before keep what they point to.
	views  []View
	states []State
}

// keepView returns a view for a record.
func (e *Effects) keepView(v *View) *View {
	e.views = append(e.views, *v)
	return &e.views[len(e.views)-1]
}

// keepState is keepView for a state.
func (e *Effects) keepState(s *State) *State {
	e.states = append(e.states, *s)
	return &e.states[len(e.states)-1]
}

// Reset empties e for the next Step.
func (e *Effects) Reset() {
	e.Records, e.Replies = reuse.Emptied(e.Records), reuse.Emptied(e.Replies)
	e.Attempts, e.Expired = reuse.Emptied(e.Attempts), reuse.Emptied(e.Expired)
	e.views, e.states = reuse.Emptied(e.views), reuse.Emptied(e.states)
}

// RecordKind says what a Record does.
type RecordKind uint8

// A task's records come in this order.
const (
	// RecordSpec: write the spec.
	RecordSpec RecordKind = iota + 1
	// RecordEnd: write the result.
	RecordEnd
	// RecordForget: delete all of the task's records.
	RecordForget
)

// With Config.Durable there are these, too. A task's last state is that of its RecordEnd.
const (
	// RecordState: write the state, in place of an earlier one.
	RecordState RecordKind = iota + RecordForget + 1
	// RecordJob: write whose a job is, what else it has, and how many ended tasks of it are forgotten, in place of
	// an earlier record.
	RecordJob
	// RecordForgetJob: delete the job's record.
	RecordForgetJob
)

// Of objects there are these.
const (
	// RecordObject: write what is known of an object, in place of an earlier record.
	RecordObject RecordKind = iota + RecordForgetJob + 1
	// RecordPiece: write a piece of it.
	RecordPiece
	// RecordForgetPieces: delete pieces.
	RecordForgetPieces
	// RecordForgetObject: delete the object's record.
	RecordForgetObject
)

// Of actors there are these.
const (
	// RecordCheckpoint: write what the next incarnation of the actor whose life Task is is made from, in place of what
	// it was.
	RecordCheckpoint RecordKind = iota + RecordForgetObject + 1
	// RecordForgetCheckpoint: delete it, if there is one.
	RecordForgetCheckpoint
)

// Record is a change to a task's durable records.
type Record struct {
	Kind RecordKind
	Task TaskNum
	// The encoded spec or result as it came in; may be empty.
	Data []byte
	// With RecordSpec, RecordEnd and RecordJob.
	Job string
	// With RecordEnd: the task as it ended. Others have none.
	View *View
	// With RecordState, and with RecordEnd where the scheduler is durable.
	State *State
	// With RecordJob and RecordForgetJob: the job's own number, and how many ended tasks of it are
	// forgotten.
	JobNum, DoneBase uint64
	// With RecordJob: who the job belongs to; may be empty.
	Owner string
	// With RecordJob: what else is to be kept of it; nil: nothing.
	Details *JobDetails
	// With records of objects.
	Object *ObjectRecord
	// No reply rests on it: it may be written along with whatever is written next.
	Lazy bool
}

// ObjectRecord is what Records of objects are about.
type ObjectRecord struct {
	Num ObjectNum
	// With RecordPiece: which piece. With RecordForgetPieces: the first, and that after the last.
	From, To uint32
	// With RecordObject. Jobs are those that hold it; nobody where it goes.
	View  ObjectView
	Jobs  []string
	Owner string
	// Those of Jobs that hold it for open tasks alone.
	ForTasks []string
	// Of one that comes, for the first of Jobs: the upload's id, and what stands for its pieces.
	Upload string
	Chain  Chain
}

// Reply answers a call: with Err, or with a Body of the type that its event names.
type Reply struct {
	Call CallID
	Body any
	Err  error
	// It tells nothing that records of this or an earlier step are to make durable: it need not
	// wait for them.
	Settled bool
}

// Done is the reply that says nothing.
type Done struct{}

// SubmitVerdict says what became of an offered task.
type SubmitVerdict uint8

// Each offered task gets one of these.
const (
	SubmitCreated SubmitVerdict = iota + 1
	// SubmitExisting: the id is known in this job. The caller compares the specs.
	SubmitExisting
	// SubmitOtherJob: the id is known in another job.
	SubmitOtherJob
	// SubmitFull: MaxOpenTasks, MaxQueuedBytes or MaxJobs is reached; try again later.
	SubmitFull
	// SubmitTooManyClasses: MaxClasses is reached.
	SubmitTooManyClasses
	// SubmitShare: the job, or who it belongs to, has as much of what is bounded as others leave it; try again
	// later.
	SubmitShare
	// SubmitBehind: the job's watchers have yet to take results of it, which fill MaxRetainedBytes;
	// try again later.
	SubmitBehind
	// SubmitNeeded: results that open tasks need fill MaxRetainedBytes, and who the job belongs to has a
	// good part of them; try again later.
	SubmitNeeded
	// SubmitUnknownTask, SubmitUnknownObject: it needs what is not known.
	SubmitUnknownTask
	SubmitUnknownObject
	// SubmitTaskOfOther: it needs a task that belongs to another caller.
	SubmitTaskOfOther
	// SubmitNamed: an actor or a schedule has the name, or a task the key, which is the one that is told of. The caller compares the specs.
	SubmitNamed
	// SubmitTooManyLimits: MaxLimits is reached; try again later.
	SubmitTooManyLimits
	// SubmitTooManySchedules: MaxSchedules is reached; try again later.
	SubmitTooManySchedules
	// SubmitLeaving: the actor that has the name is being deleted; try again later.
	SubmitLeaving
	// SubmitUnknownActor, SubmitActorOfOther: it calls what is not known, or belongs to another caller.
	SubmitUnknownActor
	SubmitActorOfOther
	// SubmitCallLate: a later call of its caller was taken before.
	SubmitCallLate
	// SubmitGangRefused: another of its gang is refused.
	SubmitGangRefused
	// SubmitGangNamed: another gang of the job has its name, and open tasks.
	SubmitGangNamed
	// SubmitGangGone: others of its gang are known, and it is not: it has ended and is forgotten.
	SubmitGangGone
	// SubmitJobFailed: its job, or one above that, has failed as a whole.
	SubmitJobFailed
)

// retries says whether a task that is refused so may be taken later.
func (v SubmitVerdict) retries() bool {
	switch v {
	case SubmitFull, SubmitShare, SubmitBehind, SubmitNeeded, SubmitLeaving, SubmitTooManyLimits, SubmitTooManySchedules:
		return true
	default:
		return false
	}
}

// SubmitReply answers Submit, with one result for each task.
type SubmitReply struct {
	Results    []SubmitResult
	RetryAfter time.Duration
	// The task, if it was offered alone and is known now.
	View View
	// Where the event's Watcher begins to watch.
	Cursor uint64
	// The cursor after the task's end, if the call has waited for that; 0: it has not.
	End uint64
}

// SubmitResult is what became of one offered task.
type SubmitResult struct {
	Task    TaskNum
	Verdict SubmitVerdict
	// Which of the names of what it needs is wrong; with SubmitGangRefused, which task of the gang is.
	Name int
	// With SubmitNamed and SubmitLeaving: the id of what has the name or key. With SubmitJobFailed: that of the job.
	ID string
}

// RegisterReply answers Register.
type RegisterReply struct {
	Session Token
	// Those of the held attempts that the worker may go on with.
	Kept []Token
}

// Grant is one lease.
type Grant struct {
	Task    TaskNum
	ID      string
	Job     string
	Attempt uint32
	Token   Token
	// The tasks that it needs, in the order of its spec: those whose results are small enough to go along,
	// and 0 in the place of others.
	Along []TaskNum
	// Of a call: the lease of its actor's life.
	Life Token
	// What its function is to see; nil: nothing. It never changes.
	Environment *[]Variable
}

// PollReply answers Poll; without grants where the wait was in vain. There is one verdict for each of its
// items.
type PollReply struct {
	Grants   []Grant
	Verdicts []ReportVerdict
}

// ReportReply answers Report, with one verdict for each item.
type ReportReply struct{ Verdicts []ReportVerdict }

// HeartbeatReply answers Heartbeat.
type HeartbeatReply struct {
	// Attempts to stop, in the order of their grant.
	Stop  []Token
	Drain bool
	Grace time.Duration
}

// CancelReply answers Cancel, with one verdict for each id.
type CancelReply struct {
	Verdicts []CancelVerdict
	// Open tasks of the job and its descendants that were cancelled or told to stop.
	JobTasks int
}

// TaskReply answers Get and Await.
type TaskReply struct{ View View }

// TasksReply answers AwaitAny.
type TasksReply struct {
	// Those that are terminal, in the order in which they were asked for.
	Tasks   []View
	Unknown []string
	// Those of jobs that are another's.
	Refused []string
}

// WatchReply answers Watch.
type WatchReply struct {
	Tasks []View
	// The cursor after Tasks.
	Next uint64
	// Ended tasks between the cursor and Tasks that are forgotten.
	Missed uint64
	// The job's open tasks.
	Open int
}

// JobReply answers GetJob.
type JobReply struct {
	// False: no task of the job is known, nor anyone who watches it.
	Known bool
	// Whose it is; empty: everybody's.
	Owner string
	// Its tasks that are open, and those that have ended and are kept.
	Open, Ended int
	// The cursor after all that have ended.
	Next uint64
	// Those that watch it and were heard of lately.
	Watchers int
	// Its tasks of all times, and those of them that have failed by themselves.
	Submitted, FailedTasks uint64
	// It has failed as a whole.
	Failed bool
	// Its parent, unless that is forgotten or there is none; how many children it has, and its options.
	Parent         string
	Children       int
	Weight         uint32
	FailsPast      bool
	MaxFailed      uint32
	MaxFailedShare float64
}

// PieceReply answers PutPiece.
type PieceReply struct {
	// How many pieces have come.
	Pieces uint32
	// Once all have.
	Object ObjectView
	Done   bool
}

// ObjectView is an object as callers see it.
type ObjectView struct {
	Num      ObjectNum
	ID       ObjectID
	Encoding string
	Size     int64
	Pieces   uint32
}

// HoldReply answers HoldObjects: which of the objects there are, in their order; and Config.ObjectGrace.
type HoldReply struct {
	Held  []bool
	Grace time.Duration
}

// WorkersReply answers ListWorkers, sorted by id.
type WorkersReply struct {
	Workers []WorkerView
	// There are more.
	More bool
}

// WorkerView is a live session. It shares no memory with the scheduler, but for maps that never
// change.
type WorkerView struct {
	ID, URL    string
	Slots      int
	Held       int
	Resources  []Resource
	InUse      []Resource
	Labels     map[string]string
	Functions  []string
	Draining   bool
	Registered Time
	LastSeen   Time
	// The end of its back-off; 0: none.
	BackedOff Time
	// It is granted nothing until it has nothing left to run, for a task that is to run alone.
	SetAside bool
}

// InfoReply answers Info.
type InfoReply struct {
	Stats          Stats
	OldestReadyAge time.Duration
	// Of the functions with the most ready tasks, as many as were asked for, those with the most first; of some there
	// is none now. And the ready tasks of all others.
	Functions      []FunctionDepth
	OtherFunctions int
	// Of the records of ended tasks.
	RetainedBytes int64
	// Watchers of jobs that were heard of lately.
	Watchers int
	// Attempts that workers hold, and calls that wait for something to happen.
	Leases, Waiting int
	// Objects that there are, or that come or go; and their bytes.
	Objects     int
	ObjectBytes int64
	// See Scheduler.Looks; and how many events it took, records it had written and replies it gave,
	// for which it looked.
	Looks, Work uint64
}

// Stats are totals of the scheduler.
type Stats struct {
	// Known tasks, indexed by Status.
	Tasks       [statusCount]int
	Workers     int
	Slots       int
	QueuedBytes int64
	Ready       int
	// Counted since the start.
	Submitted         uint64
	Restored          uint64
	Adopted           uint64
	Refused           uint64
	LeasesGranted     uint64
	SessionsExpired   uint64
	LeasesExpired     uint64
	DeliveryFailures  uint64
	StaleReports      uint64
	DuplicateReports  uint64
	Stalls            uint64
	WorkersBackedOff  uint64
	Forgotten         uint64
	ForgottenTooEarly uint64
}

// AttemptEnd says how an attempt ended, as the scheduler counts it.
type AttemptEnd uint8

// EndLeased is not an end: it notes the grant.
const (
	EndLeased AttemptEnd = iota
	EndSucceeded
	EndFailed
	EndTimedOut
	EndStopped
	EndReturned
	EndUndecodable
	EndWorkerLost
	EndUndelivered
	attemptEndCount
)

var attemptEndNames = [attemptEndCount]string{
	"leased", "succeeded", "failed", "timed_out", "stopped", "returned", "undecodable", "worker_lost", "undelivered",
}

func (e AttemptEnd) String() string { return enum.Name(attemptEndNames[:], e) }

// ExpiredNote is for the log: a worker's session has ended because no heartbeat came.
type ExpiredNote struct {
	Worker string
	// How long the worker has sent neither heartbeat nor poll.
	Silent time.Duration
	// How many it held, those that it was to stop included.
	Attempts int
}

// AttemptNote is for metrics.
type AttemptNote struct {
	Function string
	End      AttemptEnd
	// With EndLeased: how long the task was ready. Otherwise how long the function ran.
	Took time.Duration
}
