package fray

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/endpoint"
	"github.com/frayrpc/fray/internal/number"
)

// Kind names a backend.
type Kind string

// The backends.
const (
	// KindSync runs each task inside of Run, before it returns.
	KindSync Kind = "sync"
	// KindThreadPool runs tasks on goroutines of this process.
	KindThreadPool Kind = "threadpool"
	// KindFray submits tasks to a controller, whose workers run them.
	KindFray Kind = "fray"
	// KindRay submits tasks to a controller, as KindFray does, and runs workers for it on a Ray
	// cluster for as long as the job context lasts. See [RayWorkers].
	KindRay Kind = "ray"
	// KindAuto is fray if a controller's address is given or FRAY_CONTROLLER_ADDRESS has one; else
	// ray if a Ray cluster's address is given or RAY_ADDRESS has one, which then fails for want of a
	// controller; and threadpool otherwise.
	KindAuto Kind = "auto"
)

// JobContext is where tasks run, and the job that they belong to. Its methods may be used by
// several goroutines.
type JobContext struct {
	kind    Kind
	jobID   string
	rand    *dial.Rand
	logger  *slog.Logger
	backend backend
	objects objects
	// maxPayload is the largest input or result of the local backends.
	maxPayload int
	// options are those of the job; nil: it has none.
	options *frayv1.JobOptions
	// address is the controller's; empty: there is none.
	address string
	// Of the local backends: what tasks see, and who counts them if the job may fail as a whole; nil: it may not.
	environment attempt.Environment
	failing     *failingJob

	shutdown  func()
	detach    func() bool // from the context that it was made with
	closeOnce sync.Once
	closeErr  error
}

// backend runs calls, or has them run.
type backend interface {
	// submit takes calls over, and answers for each of them with accept or refuse. It blocks while
	// there is no room for them, and refuses what has found none when ctx is done.
	// Calls of a gang are all there, side by side, and are accepted together or not at all.
	submit(ctx context.Context, calls []*call)
	// prepareGang returns why no gang of n calls can be submitted, or nil.
	prepareGang(ctx context.Context, n int) error
	// submitOnce submits a call that is to be the only one of a key, and returns its id, or that of the one that has the key.
	submitOnce(ctx context.Context, c *call, key string, period time.Duration) (id string, err error)
	// find ends a call whose task was submitted elsewhere as that ends. It does not wait.
	find(c *call)
	// share has a local backend know a task by its id, for find.
	share(c *call)
	// create creates the actor whose life c is, and returns its id: that of c, or of one that has its name.
	create(ctx context.Context, c *call) (id string, err error)
	// findActor returns the actor of a name that lives, and its class. ErrUnknownActor: there is none.
	findActor(ctx context.Context, name string) (id, class string, err error)
	// deleteActor asks for an actor to end. ErrUnknownActor: there is none.
	deleteActor(ctx context.Context, id string) error
	// cancel asks for calls to end. An error may be about some of them only.
	cancel(ctx context.Context, calls []*call, config cancelConfig) error
	// cancelAll asks for all open calls of the job to end.
	cancelAll(ctx context.Context, config cancelConfig) error
	// shutdown settles all open calls and refuses further ones, without waiting. It may be
	// repeated.
	shutdown()
	// wait returns when all that the backend started has ended. It is called once, after shutdown.
	wait() error
	// why says what keeps c, or with nil whatever is submitted, from going on, as far as that is
	// known; nil: nothing does.
	why(c *call) error
}

// NewJobContext returns a job context of a kind, which the caller must close. Once ctx is done, the
// job context refuses tasks and its open futures fail, as if it were closed; it must be closed all
// the same.
//
// No backend needs to be reachable yet: the fray backend connects with the first task, and rides
// out a controller that is away for a while. The exception is the ray backend, which returns once its
// workers are registered, or says why they are not, see [RayWorkers].
func NewJobContext(ctx context.Context, kind Kind, opts ...Option) (*JobContext, error) {
	config := newJobConfig(opts)
	if kind == KindAuto {
		kind = resolveAuto(&config)
	}
	jc := &JobContext{kind: kind, jobID: config.jobID, rand: dial.NewRand(config.rand), logger: config.logger, maxPayload: config.maxPayload}
	if jc.jobID == "" {
		jc.jobID = newID(jc.rand)
	}
	if err := checkID("job id", jc.jobID); err != nil {
		return nil, err
	}
	if _, err := number.Within("max payload bytes", config.maxPayload, 1, maxPayloadBytes); err != nil {
		return nil, err
	}
	if _, err := number.Within("max object bytes", config.maxObjects, 1, math.MaxInt64); err != nil {
		return nil, err
	}
	if address, err := endpoint.Parse(config.address); err == nil &&
		!jc.isLocal() { // Else the backend says what is wrong.
		jc.address = address
	}
	if err := config.prepareJob(ctx, jc); err != nil {
		return nil, err
	}
	jc.objects = newLocalObjects(config.maxObjects)
	switch kind {
	case KindSync:
		jc.backend = newInline()
	case KindThreadPool:
		if config.workers < 1 {
			return nil, fmt.Errorf("threadpool with %d workers: there must be at least one", config.workers)
		}
		jc.backend = newThreadPool(jc, config.workers)
	case KindFray:
		if config.address == "" {
			return nil, errors.New("controller address required for fray context")
		}
		b, err := newRemote(ctx, jc, config)
		if err != nil {
			return nil, err
		}
		jc.backend, jc.objects = b, newRemoteObjects(b.link, config.objectCache)
	case KindRay:
		b, err := newRay(ctx, jc, config)
		if err != nil {
			return nil, err
		}
		jc.backend, jc.objects = b, newRemoteObjects(b.link, config.objectCache)
	default:
		return nil, fmt.Errorf("unknown kind of job context %q: must be %s, %s, %s, %s or %s",
			kind, KindSync, KindThreadPool, KindFray, KindRay, KindAuto)
	}
	jc.shutdown = func() {
		jc.objects.close()
		jc.backend.shutdown()
	}
	jc.detach = context.AfterFunc(ctx, jc.shutdown)
	return jc, nil
}

// because adds to the error of a context that was done first what its owner waited for in vain, if
// that is known.
func (jc *JobContext) because(c *call, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	if why := jc.backend.why(c); why != nil {
		return fmt.Errorf("%w: %w", why, err)
	}
	return err
}

// isLocal says whether its tasks run in this process.
func (jc *JobContext) isLocal() bool { return jc.kind == KindSync || jc.kind == KindThreadPool }

// Kind returns the backend's kind, which is never KindAuto.
func (jc *JobContext) Kind() Kind { return jc.kind }

// JobID returns the job that the tasks belong to.
func (jc *JobContext) JobID() string { return jc.jobID }

// Cancel asks for all open tasks of the job to end, as [Future.Cancel] does for one. On the fray
// backend that includes those that other job contexts of the same job submitted.
func (jc *JobContext) Cancel(ctx context.Context, opts ...CancelOption) error {
	if err := jc.backend.cancelAll(ctx, newCancelConfig(opts)); err != nil {
		return fmt.Errorf("cancel job %s: %w", jc.jobID, err)
	}
	return nil
}

// Close fails the open futures with [ErrClosed], ends what the job context runs in this process,
// and waits for that. It may be repeated, and must not be called by a task of its own.
//
// Tasks at a controller go on, and keep their results for others to ask for; call
// [JobContext.Cancel] first to end them, too. Tasks that run in this process are stopped, and
// waited for for five seconds: Close returns an error if some of them ignore their context for
// longer. Of the ray backend Close stops the workers, waits for that for a while, and returns an
// error that names those which did not stop in time.
func (jc *JobContext) Close() error {
	jc.closeOnce.Do(func() {
		jc.detach()
		jc.shutdown()
		jc.closeErr = jc.backend.wait()
	})
	return jc.closeErr
}

type jobContextKey struct{}

// NewContext returns a context in which tasks run on jc.
func NewContext(ctx context.Context, jc *JobContext) context.Context {
	return context.WithValue(ctx, jobContextKey{}, jc)
}

// FromContext returns the job context that ctx carries, or ErrNoJobContext. The context of a
// running task always carries one, so that the same code runs tasks from outside and from inside of
// a task.
func FromContext(ctx context.Context) (*JobContext, error) {
	jc, ok := ctx.Value(jobContextKey{}).(*JobContext)
	if !ok {
		return nil, ErrNoJobContext
	}
	return jc, nil
}
