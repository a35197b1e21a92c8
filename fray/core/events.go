package core

import (
	"crypto/sha256"
	"time"
)

// CallID is the caller's name for a call, given back with its reply. Unique among calls that have
// none yet.
type CallID uint64

// Event is something that happened. Step must not be given the same one twice.
type Event interface{ apply(c *Scheduler) }

// Submit offers tasks of one job. Replied with SubmitReply, ErrNotOwner or a *JobError.
type Submit struct {
	Call  CallID
	Job   string
	Tasks []NewTask
	// As in Get.
	Owner string
	// Who the job belongs to if it is new; empty: it is everybody's.
	By string
	// What the job has besides, or is to have from its first task on; nil: none is said. Kept.
	Options *JobOptions
	// When it was offered, as the specs record it. 0: now.
	At Time
	// Who will watch the job for their ends; empty: nobody says so.
	Watcher string
	// The Watcher has all that ended before; 0: it does not say.
	Confirmed uint64
	// If a task is offered alone and taken, it is answered once that is terminal, or at Until. 0: at
	// once.
	Until Time
	// As in Await.
	Read bool
}

// NewTask is one offered task.
type NewTask struct {
	ID    string
	Shape *Shape
	// The encoded spec: not looked at, but counted, and given back in a RecordSpec.
	Spec []byte
	// What it needs, each named once: tasks that the caller may read, and objects that its job's owner has.
	NeedsTasks   []string
	NeedsObjects []ObjectID
	// It is not granted before. 0: at any time.
	NotBefore Time
	// Each is named once.
	Limits []Limit
	// Of the life of an actor, of a call, and of a schedule, as its shape's Role says. A schedule needs nothing; its
	// Spec and Limits are kept for its runs.
	Actor     *NewActor
	ActorCall *NewCall
	Schedule  *NewSchedule
	// Of one that is the only one of a key.
	Unique *Unique
	// Of one of a gang. It has neither limits nor a key, and is no life, call or schedule.
	Gang *Gang
}

// Register opens a session for a worker, ending an older one of the same id. Replied with
// RegisterReply.
type Register struct {
	Call           CallID
	WorkerID       string
	RegistrationID string
	URL            string
	Slots          int
	// Sorted by name.
	Resources []Resource
	Labels    map[string]string
	Functions []string
	// The attempts that it still holds.
	Held []Held
	// It is the first of its process: what an earlier one of that id held has died with it.
	Fresh bool
	// Its process, by an id that is drawn anew for each. Empty: it is taken for the one that has the
	// session.
	Process string
	// Counts the registrations of its process.
	Number uint64
}

// Poll asks for work. Replied with PollReply once there is some, or at Until.
type Poll struct {
	Call    CallID
	Session Token
	// As in LeaseTasksRequest.
	Seq, Received uint64
	Free, Max     int
	// How many attempts the worker holds that have not ended; negative: it does not say.
	Held int
	// Those of them that wait for other tasks and have lent what they have of its resources.
	Lent  []Token
	Until Time
	// What it tells as it asks, judged as in Report before it is looked at what the poll is granted.
	Items []ReportItem
}

// Report says what became of attempts. Replied with ReportReply.
type Report struct {
	Call    CallID
	Session Token
	Items   []ReportItem
}

// ReportItem is a worker's word on one attempt.
type ReportItem struct {
	Task    string
	Attempt uint32
	Token   Token
	Outcome Outcome
	// The encoded result: not looked at, but counted, and given back in a RecordEnd where it ends
	// the task.
	Result []byte
	// How long the function ran; 0: it never started.
	Ran          time.Duration
	NonRetryable bool
	// In place of the policy's backoff; 0: none.
	RetryAfter time.Duration
	// Of a call that succeeded: what the next incarnation of its actor is made from, not looked at, and given back
	// in a RecordCheckpoint; nil: as before.
	Checkpoint []byte
}

// Heartbeat renews a session and says what its worker holds. Replied with HeartbeatReply once there
// is something to stop, or at Until.
type Heartbeat struct {
	Call          CallID
	Session       Token
	Seq, Received uint64
	// The complete set of attempts that the worker holds.
	Queued, Running, Finished []Token
	// What attempts say of themselves that they had not.
	Progress []LeaseProgress
	Draining bool
	Until    Time
}

// LeaseProgress is what an attempt says of itself.
type LeaseProgress struct {
	Lease Token
	Progress
}

// Progress is how far an attempt is, for people.
type Progress struct {
	// From 0 to 1, if it is Known.
	Share   float64
	Known   bool
	Message string
	// When it was heard; the scheduler sets it.
	At Time
}

// Unregister ends a session. Replied with Done, also when there is no such session.
type Unregister struct {
	Call    CallID
	Session Token
}

// Cancel ends tasks by id, and unless Job is empty all open tasks of it and of its descendants that have the same
// owner. Replied with CancelReply, or with ErrNotOwner where the Job is another's.
type Cancel struct {
	Call CallID
	IDs  []string
	Job  string
	// Also all that needs what is cancelled, in jobs of the same owner. Else that fails.
	WithDependants bool
	// As in Get.
	Owner string
}

// Drain asks a worker to take no new work and to leave. Replied with Done or ErrUnknownWorker.
type Drain struct {
	Call     CallID
	WorkerID string
	Grace    time.Duration
}

// Get asks where a task stands. Replied with TaskReply, ErrUnknownTask or ErrNotOwner.
type Get struct {
	Call CallID
	ID   string
	// Whose jobs the call may be about, besides those that have no owner. Empty: any.
	Owner string
}

// Await is Get once the task is terminal, or at Until.
type Await struct {
	Call  CallID
	ID    string
	Until Time
	// What an ended task left in the store is kept until a Forsake of the call: the caller reads
	// it.
	Read bool
	// As in Get.
	Owner string
}

// AwaitAny is Await for several tasks: it is answered once one of them is terminal or unknown.
// Replied with TasksReply.
type AwaitAny struct {
	Call  CallID
	IDs   []string
	Until Time
	// As in Await.
	Read bool
	// As in Get. Tasks of others' jobs are refused one by one.
	Owner string
}

// Watch asks for the tasks of a job that ended after Cursor. Replied with WatchReply once there is
// one, or at Until, or with ErrCursorAhead or ErrNotOwner.
type Watch struct {
	Call   CallID
	Job    string
	Cursor uint64
	Max    int
	Until  Time
	// Its own name among those that watch the job. It has confirmed all that ended before Cursor,
	// but for the last Unconfirmed of them.
	Watcher     string
	Unconfirmed uint64
	// As in Await.
	Read bool
	// As in Get.
	Owner string
}

// GetJob asks how a job stands: once no task of it is open, or at Until. Replied with JobReply or ErrNotOwner.
type GetJob struct {
	Call CallID
	Job  string
	// 0: at once.
	Until Time
	// As in Get.
	Owner string
}

// ListWorkers asks for live sessions whose worker's id comes after After, for Max of them at most, or
// fewer where they are large. Replied with WorkersReply.
type ListWorkers struct {
	Call  CallID
	After string
	Max   int
}

// Info asks for the totals. Replied with InfoReply.
type Info struct {
	Call CallID
	// Functions is of how many functions it tells how many of their tasks are ready; 0: of none.
	Functions int
}

// PutPiece brings a piece of an object. Replied with PieceReply, ErrNotOwner, ErrObjectsFull or
// ErrOtherObject, after which the upload begins anew.
type PutPiece struct {
	Call CallID
	Job  string
	// As in Submit.
	Owner, By string
	// The upload's own id in its job. The first piece begins it.
	Upload string
	// Which piece it is, from 0. One that has come is told to have come.
	Piece uint32
	// The piece, not looked at, and its SHA-256.
	Data []byte
	Sum  [sha256.Size]byte
	// It is the last; then the object has this encoding, and this name unless it is zero.
	Last     bool
	Encoding string
	ID       ObjectID
}

// ReadObject asks where an object is, of which a piece is read until a Forsake of the call. Replied with
// ObjectView, ErrUnknownObject or ErrNotOwner.
type ReadObject struct {
	Call  CallID
	Job   string
	Owner string
	ID    ObjectID
}

// HoldObjects has a job hold objects that its owner has, and those that it holds already for
// Config.ObjectGrace from now on. Replied with HoldReply or ErrNotOwner.
type HoldObjects struct {
	Call CallID
	Job  string
	// As in Submit.
	Owner, By string
	IDs       []ObjectID
}

// ReleaseObjects ends a job's holds. Replied with Done or ErrNotOwner.
type ReleaseObjects struct {
	Call  CallID
	Job   string
	Owner string
	IDs   []ObjectID
}

// Forsake says that nobody waits for a call's reply any longer, or that what it told of is read.
// What it was granted in the meantime is not undone.
type Forsake struct{ Call CallID }
