package core

import "time"

// FloorRate is the slowest line, in bytes per second, that limits of time allow for.
const FloorRate = 128 << 10

// Defaults of a Config that those who have less memory go below.
const (
	DefaultMaxRetained   = 1_000_000
	DefaultMaxFleetBytes = 64 << 20
	// DefaultRetention is how long an ended task is kept.
	DefaultRetention = time.Hour
)

// Config bounds and times a Scheduler. A zero field means its default.
type Config struct {
	// Counts the controller's starts; it must rise, so that tokens of an earlier one are told
	// apart.
	Incarnation uint64
	// Of every random choice.
	Seed uint64
	// Cause encodes, as the result of a task, why the scheduler itself failed it; it depends on its
	// arguments alone. Default: such tasks have no result.
	Cause func(reason FailureReason, text string) []byte
	// Death encodes, as the result of a call, that its actor is dead: it was deleted, or ended with a result that is
	// nil if it is not known. Default: such calls have no result.
	Death func(actor string, deleted bool, result []byte) []byte
	// Following returns the first time after an instant of a schedule's Times, in whole seconds, or Never; it depends on its
	// arguments alone. Default: there is none.
	Following func(times string, after Time) Time
	// Run returns the spec of a run, which is created now, from that of its schedule. Default: the schedule's.
	Run func(schedule []byte, id string, time, now Time) []byte
	// Records outlive the scheduler: it writes what [Scheduler.Restore] needs besides specs and
	// results.
	Durable bool
	// The shell says with Committed events which steps are durable; until then tasks are told as
	// they were before.
	Commits bool
	// A session without a heartbeat for this long is over. Default 15 s.
	SessionTTL time.Duration
	// When a Step comes this much later than Next asked for, the controller was not listening (it
	// was paused, its machine slept, or its disk was full), so that nobody's silence since the last
	// Step means anything: see [Gap]. Default 1 s.
	StallTolerance time.Duration
	// How often Next asks for a Step while anything has a deadline, so that a stall is noticed, and
	// its length known to this much. 0: only when something is due.
	Tick time.Duration
	// A grant that the worker has not confirmed for this long goes back to the queue; one of n
	// bytes has as much longer as they take at FloorRate. Default: SessionTTL.
	DeliveryTimeout time.Duration
	// How long after the execution timeout the scheduler waits for the worker's own word on it.
	// Default 10 s.
	TimeoutGrace time.Duration
	// How long a cancelled attempt may take to stop before its task is CANCELLED without it.
	// Default 10 s.
	CancelGrace time.Duration
	// How long an ended task and its result are kept. Default 1 h.
	Retention time.Duration
	// Ended tasks kept at most, and the bytes of their specs and results; beyond, the oldest that
	// nobody needs go early. Of what watchers need more is kept, and their jobs wait. Default
	// 1,000,000 and 1 GiB.
	MaxRetained      int
	MaxRetainedBytes int64
	// How long a watcher that is not heard of is taken to be there, and a caller to ask again.
	// Default 30 s.
	WatchGrace time.Duration
	// Watchers of the jobs of one owner known at once at most; of all an eighth more: see package share.
	// Default 100,000.
	MaxWatchers int
	// Open tasks of one job at most, and the bytes of their specs; of one owner an eighth more, of all an eighth more than
	// that: see package share. Beyond, submissions are refused. Default
	// 2,000,000 and 2 GiB.
	MaxOpenTasks   int
	MaxQueuedBytes int64
	// A grant takes no further task once the specs of its tasks have this many bytes, so that its
	// answer stays a message of a sensible size. Default 8 MiB.
	MaxGrantBytes int
	// Distinct combinations of function, resources and labels of the open tasks of one owner at most; of all an eighth more.
	// Default 4,096.
	MaxClasses int
	// Keys of limits that open tasks name, or that are not full yet, at most. Default 100,000.
	MaxLimits int
	// Open schedules of one owner at most; of all an eighth more. Each keeps its spec in memory. Default 1,000.
	MaxSchedules int
	// Jobs of one owner with open tasks at most; of all an eighth more. Default 100,000.
	MaxJobs int
	// Live sessions at most. Default 10,000.
	MaxSessions int
	// Bytes of what the workers of all live sessions say of themselves: functions, labels, resources.
	// Default 64 MiB.
	MaxFleetBytes int64
	// Lease tokens that one session's worker lists and nobody knows, at most; of one that lists more
	// the rest is looked at once these are gone. Default 16,384, which has room for all that an honest
	// worker can hold of before.
	MaxUnknown int
	// Bytes of the objects of one job at most; of one owner an eighth more, of all an eighth more than that. Default
	// 16 GiB.
	MaxObjectBytes int64
	// What each object counts besides its bytes, so that there are not too many that have none. Default 16 KiB.
	ObjectOverhead int64
	// How long a job that is known for nothing else holds its objects without a call about one of them, and
	// how long an upload lasts without its next piece. Default 10 min each.
	ObjectGrace, UploadGrace time.Duration
	// What a refused submission is told to wait. Default 100 ms.
	RetryHint time.Duration
	// A worker that fails this many attempts in a row, each within FastFailure, while another could
	// do the work, is given none for BlackHoleBackoff, doubled each time up to BlackHoleCap.
	// Default 8, 1 s, 250 ms, 30 s.
	BlackHoleFailures              int
	FastFailure                    time.Duration
	BlackHoleBackoff, BlackHoleCap time.Duration
}

func (c Config) withDefaults() Config {
	setDefault(&c.SessionTTL, 15*time.Second)
	setDefault(&c.DeliveryTimeout, c.SessionTTL)
	setDefault(&c.StallTolerance, time.Second)
	setDefault(&c.TimeoutGrace, 10*time.Second)
	setDefault(&c.CancelGrace, 10*time.Second)
	setDefault(&c.Retention, DefaultRetention)
	setDefault(&c.WatchGrace, 30*time.Second)
	setDefault(&c.MaxWatchers, 100_000)
	setDefault(&c.MaxRetained, DefaultMaxRetained)
	setDefault(&c.MaxRetainedBytes, 1<<30)
	setDefault(&c.MaxOpenTasks, 2_000_000)
	setDefault(&c.MaxQueuedBytes, 2<<30)
	setDefault(&c.MaxGrantBytes, 8<<20)
	setDefault(&c.MaxClasses, 4096)
	setDefault(&c.MaxSchedules, 1000)
	setDefault(&c.MaxJobs, 100_000)
	setDefault(&c.MaxLimits, 100_000)
	setDefault(&c.MaxSessions, 10_000)
	setDefault(&c.MaxFleetBytes, DefaultMaxFleetBytes)
	setDefault(&c.MaxUnknown, 16_384)
	setDefault(&c.MaxObjectBytes, 16<<30)
	setDefault(&c.ObjectOverhead, 16<<10)
	setDefault(&c.ObjectGrace, 10*time.Minute)
	setDefault(&c.UploadGrace, 10*time.Minute)
	setDefault(&c.RetryHint, 100*time.Millisecond)
	setDefault(&c.BlackHoleFailures, 8)
	setDefault(&c.FastFailure, time.Second)
	setDefault(&c.BlackHoleBackoff, 250*time.Millisecond)
	setDefault(&c.BlackHoleCap, 30*time.Second)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
