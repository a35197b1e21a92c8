package worker

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/clock"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/slots"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/serve"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/sleep"
)

// Times and sizes of a worker that nobody has wanted to change yet.
const (
	prefetchFor   = 50 * time.Millisecond
	prefetchBytes = 16 << 20
	queueWait     = time.Second
	startedAfter  = 20 * time.Millisecond
	// stallTick is how often a worker looks at its clock while an attempt has a deadline, and
	// stallTolerance how much later it may come to that before it must have stood still.
	stallTick      = time.Second
	stallTolerance = time.Second
	// flushGrace is how long a drained worker tries to deliver its last reports, and a call's time
	// longer if it hears nothing; closeGrace how long a closed one does, and leaveTimeout how long
	// either tries to say goodbye.
	flushGrace   = 5 * time.Second
	closeGrace   = time.Second
	leaveTimeout = 2 * time.Second
	// maxFlush bounds what either of the graces is longer for the size of the reports.
	maxFlush = 2 * time.Minute
)

// maxOutbox bounds the attempts that a worker holds, finished and unacknowledged ones included: it
// asks for no more then.
const maxOutbox = 65536

// Worker executes functions for a controller. Its methods may be called from several goroutines.
type Worker struct {
	cfg       Config
	client    frayv1connect.ControllerServiceClient
	transport *http.Client // ours, closed in the end; nil: the caller's is used
	functions map[string]*function
	server    *serve.Server
	metrics   *metrics
	logger    *slog.Logger
	line      *clock.Line
	// Each loop has a source of jitter of its own, so that one does not depend on when another
	// draws.
	rands    struct{ register, lease, heartbeat, report, bulk, job *dial.Rand }
	taskRand *rand.Rand
	// Of the goroutine that registers: what tells this process from others of its id, and how often it
	// has.
	process       string
	registrations uint64

	state

	ran        atomic.Bool
	reporting  atomic.Int64 // calls with reports that are under way
	unanswered atomic.Bool  // the last of them took too long
	closeOnce  sync.Once
	closed     chan struct{}   // Close was called
	leaving    context.Context //nolint:containedctx // Done when the worker begins to drain.
	setLeaving context.CancelFunc
	base       context.Context //nolint:containedctx // What attempts' contexts derive from; it is Run's.
}

// function is one that the worker executes, and what is counted of it.
type function struct {
	fray.Function

	class   fray.ActorFunction // the same; nil: it is no class of actors
	metrics functionMetrics
}

// New returns a worker that Run starts. Nothing is connected to before that.
func New(cfg Config) (*Worker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("worker config: %w", err)
	}
	w := &Worker{
		cfg:    cfg,
		logger: cfg.Logger.With("worker_id", cfg.ID),
		line:   cfg.Clock.Line(),
		closed: make(chan struct{}),
	}
	w.leaving, w.setLeaving = context.WithCancel(context.Background())
	root := dial.NewRand(cfg.Rand)
	w.seed(root)
	// A little is added to each time by chance, so that it falls together with no time that
	// functions take.
	late := func(d time.Duration) time.Duration { return d + root.Duration(d/50) }
	w.state = newState(slots.Config{
		Slots: cfg.Slots, Resources: corewire.Resources(cfg.Resources),
		MaxPrefetch: max(cfg.MaxPrefetch, 0), MaxOutbox: maxOutbox, MaxOutboxBytes: cfg.MaxUnreported,
		PrefetchFor: prefetchFor, PrefetchBytes: prefetchBytes,
		QueueWait: late(queueWait), StartedAfter: late(startedAfter), StopGrace: late(cfg.StopGrace),
		StallTick: late(stallTick), StallTolerance: stallTolerance,
	})
	if cfg.JobLease != "" { // Last: workers without one draw as ever.
		w.rands.job = dial.NewRand(rand.New(rand.NewPCG(root.Uint64(), root.Uint64())))
	}
	var err error
	if w.metrics, err = newMetrics(cfg.Registerer, w); err != nil {
		return nil, err
	}
	w.functions = make(map[string]*function, len(cfg.Functions))
	for _, f := range cfg.Functions {
		class, _ := f.(fray.ActorFunction)
		w.functions[f.Name()] = &function{Function: f, class: class, metrics: w.metrics.of(f.Name())}
	}
	if w.server, err = w.newServer(); err != nil {
		return nil, err
	}
	w.client, w.transport, err = dial.Controller(dial.Target{
		URL: cfg.ControllerURL, Token: cfg.Token, EnvironmentToken: true, Via: cfg.HTTPClient,
		TLS: cfg.TLS, EnvironmentTLS: cfg.TLS == certs.Files{}, HTTP3: cfg.HTTP3, Log: w.logger,
	}, cfg.ClientOptions...)
	if err != nil {
		return nil, fmt.Errorf("worker config: %w", err)
	}
	return w, nil
}

func (w *Worker) seed(root *dial.Rand) {
	next := func() *rand.Rand { return rand.New(rand.NewPCG(root.Uint64(), root.Uint64())) }
	for _, r := range []**dial.Rand{&w.rands.register, &w.rands.lease, &w.rands.heartbeat, &w.rands.report} {
		*r = dial.NewRand(next())
	}
	w.taskRand = next()
	w.rands.bulk = dial.NewRand(next())
}

// Close ends a Run without its grace: running attempts are stopped now. It does not wait for that.
func (w *Worker) Close() { w.closeOnce.Do(func() { close(w.closed) }) }

// now is the wall clock as it was when the worker was made, and the monotonic clock since. It may
// block, so it is not asked under the lock.
func (w *Worker) now() core.Time { return core.Time(w.line.Now()) }

// How many times Config.Linger the loops linger. What one of them does may be news to another, so
// two that something wakes at the same instant must not go on at the same instant: powers of three
// have no sums in common. And they are odd, so that with a Linger of an odd number of nanoseconds
// nothing that goes by even ones meets what lingers.
const (
	lingerPoll      = 1
	lingerHeartbeat = 3
	lingerReport    = 9
	lingerBulk      = 27
	// After lingerPoll.
	lingerBrief = 81 - lingerPoll
)

// linger lets what happens at this instant happen.
func (w *Worker) linger(ctx context.Context, times int) {
	if w.cfg.Linger > 0 {
		_ = sleep.For(ctx, time.Duration(times)*w.cfg.Linger)
	}
}
