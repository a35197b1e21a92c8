package check

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/reason"
)

// A Log is where a Recorder writes: a History, or what takes events to one in another process.
//
// Both methods return once the history has what they say, so that what happens afterwards comes
// later in it, also what happens in other processes because of that. Both are safe for concurrent
// use.
type Log interface {
	// Begin returns the present place in the history, its time, and a number for a call that is
	// made now.
	Begin() (seq uint64, at time.Duration, call uint64)
	// Add appends events.
	Add(events ...Event)
}

// Recorder writes down what one process sees, a client or a worker, until that process is over. It
// is safe for concurrent use.
type Recorder struct {
	// MaxPayload is how many bytes of a result the controller takes at most: what reports a larger
	// one fails its task as UNDECODABLE. 0: results are smaller. It is set before any call is made.
	MaxPayload int
	// Causes are the worker's own errors by which it ends the context of a function, and what they
	// mean. It is set before any function runs.
	Causes map[error]Cause
	// Asked tells what the error of a function asks for: that no other attempt is made, or not before
	// so long a time. It is set before any function runs. Nil: nothing is known of it.
	Asked func(error) (final bool, retryAfter time.Duration)

	log  Log
	host string

	mu     sync.Mutex
	dead   bool
	worker string
	// The sessions that this process has opened are one at a time; a call under an older one knows
	// its own token.
	poll poll
	held map[attemptID]grant
	// The incarnations of the controller that gave sessions and leases, by their tokens.
	given map[uint64]uint64
	// Lists of which another page may be asked for, by what asks for it.
	lists map[string]*list
}

// poll is the last poll of a worker: one that got no answer is sent again under its number.
type poll struct {
	session, seq uint64
	first        instant
}

type attemptID struct {
	task   string
	number uint32
}

// grant is what an attempt's execution cannot know of it.
type grant struct {
	token, session uint64
	spec           *Spec
}

// NewRecorder returns a recorder for a process on a host. A process that starts again needs
// another.
func NewRecorder(log Log, host string) *Recorder {
	return &Recorder{log: log, host: host, held: make(map[attemptID]grant), given: make(map[uint64]uint64)}
}

// Crash notes that the process died. Whatever its goroutines still do is not recorded.
func (r *Recorder) Crash() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return
	}
	r.dead = true
	if r.worker != "" {
		r.log.Add(Event{Kind: WorkerCrash, Host: r.host, Worker: r.worker, Holds: r.heldTasks(0)})
	}
}

// ClientInterceptor records the process's calls of ControllerService. It belongs outside of
// interceptors that inject faults, and inside of those that repeat calls: each send is a call of
// its own.
func (r *Recorder) ClientInterceptor() connect.Interceptor {
	return connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			c, over := r.record(req.Any())
			res, err := next(ctx, req)
			if ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
				e := c.reply(CallExpired)
				e.Detail = path.Base(req.Spec().Procedure)
				c.add(e)
			}
			if reason.Of(err).GetReason() == reasonBug {
				c.bug(fmt.Sprintf("%s: %v", path.Base(req.Spec().Procedure), err))
			}
			switch {
			case over == nil:
			case err != nil:
				over(nil, err)
			default:
				over(res.Any(), nil)
			}
			return res, err
		}
	})
}

// add records events, unless the process is dead.
func (r *Recorder) add(events ...Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return
	}
	for i := range events {
		events[i].Host = r.host
		if events[i].Worker == "" && events[i].Kind.ofWorker() {
			events[i].Worker = r.worker
		}
		r.date(&events[i])
	}
	r.log.Add(events...)
}

// date says which incarnation gave an event's token, which does not show in it.
func (r *Recorder) date(e *Event) {
	switch e.Kind {
	case RegisterReply:
		r.given[e.Session] = e.Incarnation
	case GrantReply:
		if _, again := r.given[e.Token]; !again {
			r.given[e.Token] = r.given[e.Session]
		}
	default:
	}
	if e.Incarnation = r.given[e.Token]; e.Token == 0 {
		e.Incarnation = r.given[e.Session]
	}
}

// ofWorker says whether only workers see such events.
func (k EventKind) ofWorker() bool {
	switch k {
	case RegisterReply, UnregisterCall, UnregisterReply, HeartbeatCall, HeartbeatReply, HeartbeatLost, StopOrder, SessionStale, GrantReply, ReportCall, ReportReply,
		LeaveOrder:
		return true
	default:
		return false
	}
}

// call is one call on its way.
type call struct {
	*Recorder

	id    uint64
	begun instant
	// How long the controller may hold it.
	waits time.Duration
}

// reply returns an event of this call's end.
func (c *call) reply(kind EventKind) Event {
	return Event{Kind: kind, Call: c.id, Invoked: c.begun.seq, InvokedAt: c.begun.at, MayWait: c.waits}
}

// bug notes that the answer was an error of the controller's own making.
func (c *call) bug(what string) {
	e := c.reply(BugTold)
	e.Detail = what
	c.add(e)
}

// record notes that a call is made, and returns what notes its end; nil for calls whose answers no
// oracle looks at.
func (r *Recorder) record(req any) (c *call, over func(res any, err error)) {
	c = &call{Recorder: r}
	c.begun.seq, c.begun.at, c.id = r.log.Begin()
	if w, ok := req.(interface{ GetMaxWaitMs() int64 }); ok {
		c.waits = millis(w.GetMaxWaitMs())
	}
	return c, c.record(req)
}

func (c *call) record(req any) (over func(res any, err error)) {
	switch req := req.(type) {
	case *frayv1.SubmitTaskRequest:
		return c.submitTask(req)
	case *frayv1.SubmitTasksRequest:
		return c.submitTasks(req)
	case *frayv1.GetTaskRequest:
		return c.getTask(req)
	case *frayv1.GetTaskResultRequest:
		return c.getTaskResult(req)
	case *frayv1.GetTaskResultsRequest:
		return c.getTaskResults
	case *frayv1.WatchJobRequest:
		return c.watchJob
	case *frayv1.ListTasksRequest:
		return c.listTasks(req)
	case *frayv1.CancelTasksRequest:
		return c.cancelTasks(req)
	case *frayv1.GetClusterInfoRequest:
		return c.clusterInfo
	case *frayv1.RegisterWorkerRequest:
		return c.registerWorker(req)
	case *frayv1.UnregisterWorkerRequest:
		return c.unregisterWorker(req)
	case *frayv1.LeaseTasksRequest:
		return c.leaseTasks(req)
	case *frayv1.ReportTasksRequest:
		return c.reportTasks(req)
	case *frayv1.HeartbeatRequest:
		return c.heartbeat(req)
	default:
		return nil
	}
}

// What Fray's errors say by themselves, as fray/internal/wire has it. An injected error lacks it,
// and proves nothing.
const (
	reasonUnknownTask  = "UNKNOWN_TASK"
	reasonSessionStale = "SESSION_STALE"
	reasonSuperseded   = "SUPERSEDED"
	reasonShuttingDown = "SHUTTING_DOWN"
	reasonBug          = "BUG"
	reasonJobFailed    = "JOB_FAILED"
)

// declined says whether the controller itself refused a call as it was.
func declined(err error) bool {
	switch reason.Of(err).GetReason() {
	case "", reasonShuttingDown, reasonBug, reasonSuperseded:
		return false
	default:
		return true
	}
}
