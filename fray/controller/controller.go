package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/clock"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/dashboard"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/serve"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/number"
)

// Controller queues tasks, leases them to workers and keeps their results.
type Controller struct {
	cfg     Config
	line    *clock.Line
	metrics *metrics
	lastID  atomic.Uint64
	inbox   inbox
	memory  memory
	seal    seal // set before ready is closed
	commits commits
	led     store.Led // nil: nobody else has the store
	backups backups
	// Those of all calls, whoever serves them.
	handlers handlers
	server   *serve.Server // nil: it does not listen
	// What checks requests.
	validated connect.HandlerOption
	ran       atomic.Bool
	// Closed once Run answers calls.
	ready chan struct{}
	// Closed once Run is over.
	stopped chan struct{}
}

// New returns a controller that has not been started.
func New(cfg Config) (*Controller, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Controller{cfg: cfg.withDefaults(), line: cfg.Clock.Line(), ready: make(chan struct{}), stopped: make(chan struct{})}
	c.handlers.ready = c.ready
	c.inbox.init(c.cfg.MaxCalls, c.now)
	c.backups.init()
	c.led, _ = c.cfg.Store.(store.Led)
	c.memory.limit = c.cfg.MemoryLimit
	var err error
	if c.metrics, err = newMetrics(c.cfg.Registerer, c.stats); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	if c.validated, err = serve.Validated(unvalidated...); err != nil {
		return nil, err
	}
	if c.cfg.ListenAddress == "" && c.cfg.Listener == nil {
		return c, nil
	}
	if c.server, err = newServer(c.cfg, c.Handler, c.serves); err != nil {
		return nil, err
	}
	return c, nil
}

// newServer returns a server of what a handler answers, which is healthy while it serves.
func newServer(cfg Config, handler func(...connect.HandlerOption) (string, http.Handler), serves func() bool) (*serve.Server, error) {
	secure, err := cfg.TLS.Listen(cfg.Logger)
	if err != nil {
		return nil, err
	}
	return serve.New(serve.Config{
		TLS: secure, HTTP3: cfg.HTTP3,
		Address: cfg.ListenAddress, Listener: cfg.Listener, Middleware: cfg.Middleware, HandlerOptions: cfg.HandlerOptions,
		Services:     []serve.Service{{Name: frayv1connect.ControllerServiceName, New: handler}},
		RequestBytes: requestBytes, InFlightBytes: cfg.InFlightBytes, Lanes: laneOf,
		Page: dashboard.Handler(), Names: cfg.Names,
		Registerer: cfg.Registerer, Gatherer: cfg.Gatherer, MetricsAddress: cfg.MetricsAddress, Logger: cfg.Logger,
		Access: cfg.Access, Audit: cfg.Audit, Checker: checker{grpchealth.NewStaticChecker(frayv1connect.ControllerServiceName), serves},
	})
}

// requestBytes are the calls that need more than serve.DefaultRequestBytes: those that carry
// payloads, and those that list ids or tokens, with room for the longest lists of the schema in
// JSON.
var requestBytes = map[string]int{
	frayv1connect.ControllerServiceSubmitTaskProcedure:     maxRequest,
	frayv1connect.ControllerServiceSubmitTasksProcedure:    maxRequest,
	frayv1connect.ControllerServiceReportTasksProcedure:    maxRequest,
	frayv1connect.ControllerServiceLeaseTasksProcedure:     1 << 20,
	frayv1connect.ControllerServicePutObjectProcedure:      2 * core.PieceBytes,
	frayv1connect.ControllerServiceRegisterWorkerProcedure: 32 << 20,
	frayv1connect.ControllerServiceHeartbeatProcedure:      32 << 20,
	frayv1connect.ControllerServiceCancelTasksProcedure:    8 << 20,
	frayv1connect.ControllerServiceGetTaskResultsProcedure: 2 << 20,
}

// laneOf says who shares room for messages with whom: neither what clients send keeps workers from
// reporting, nor either an operator from looking.
var laneOf = map[string]serve.Lane{
	frayv1connect.ControllerServiceRegisterWorkerProcedure:   serve.Workers,
	frayv1connect.ControllerServiceUnregisterWorkerProcedure: serve.Workers,
	frayv1connect.ControllerServiceHeartbeatProcedure:        serve.Workers,
	frayv1connect.ControllerServiceLeaseTasksProcedure:       serve.Workers,
	frayv1connect.ControllerServiceReportTasksProcedure:      serve.Workers,
	frayv1connect.ControllerServiceListTasksProcedure:        serve.Operators,
	frayv1connect.ControllerServiceListJobsProcedure:         serve.Operators,
	frayv1connect.ControllerServiceListPendingProcedure:      serve.Operators,
	frayv1connect.ControllerServiceListLimitsProcedure:       serve.Operators,
	frayv1connect.ControllerServiceListObjectsProcedure:      serve.Operators,
	frayv1connect.ControllerServiceListWorkersProcedure:      serve.Operators,
	frayv1connect.ControllerServiceGetClusterInfoProcedure:   serve.Operators,
	frayv1connect.ControllerServiceDrainWorkerProcedure:      serve.Operators,
	frayv1connect.ControllerServiceCreateBackupProcedure:     serve.Operators,
	frayv1connect.ControllerServiceStepDownProcedure:         serve.Operators,
}

// unvalidated are the calls that check their requests by themselves: CheckSpec and its like are 30
// times as fast as the validating interceptor.
var unvalidated = []string{
	frayv1connect.ControllerServiceSubmitTaskProcedure, frayv1connect.ControllerServiceSubmitTasksProcedure,
	frayv1connect.ControllerServiceLeaseTasksProcedure, frayv1connect.ControllerServiceReportTasksProcedure,
	frayv1connect.ControllerServiceHeartbeatProcedure,
}

// Handler returns the path and handler of ControllerService alone, for those who serve it
// themselves. It checks requests against the rules of their schema, after all that the options do.
func (c *Controller) Handler(options ...connect.HandlerOption) (string, http.Handler) {
	counted := connect.WithInterceptors(connect.UnaryInterceptorFunc(c.handlers.interceptor))
	options = slices.Concat(outermost(c.cfg.Audit), options, []connect.HandlerOption{c.validated, counted})
	return frayv1connect.NewControllerServiceHandler(&service{c}, options...)
}

// outermost are the options that come before those of who serves a handler: bounds, and an audit that
// tells of whatever these refuse; nil: there is none.
func outermost(audit *slog.Logger) []connect.HandlerOption {
	first := []connect.HandlerOption{serve.Bounded(requestBytes)}
	if audit != nil {
		first = append(first, connect.WithInterceptors(access.Audit(audit)))
	}
	return first
}

// Listen opens the listener, after which URL is known. Run does it too, unless it was done.
func (c *Controller) Listen(ctx context.Context) error {
	if c.server == nil {
		return errors.New("controller: neither ListenAddress nor Listener is set")
	}
	return c.server.Listen(ctx)
}

// Ready returns a channel that is closed once Run has recovered what the store holds, and answers
// calls. Until then they are told to come back. It stays open if Run fails before.
func (c *Controller) Ready() <-chan struct{} { return c.ready }

// serves says whether Ready was closed.
func (c *Controller) serves() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// URL returns the base URL for calls from this machine, after Listen.
func (c *Controller) URL() string { return c.server.URL() }

// Run serves and decides until ctx ends, then lets go of all waiting calls with UNAVAILABLE and
// returns nil. It returns an error when it cannot listen or the store fails. Once it has returned,
// no call comes to the store any longer, which may be closed then; a call that Handler's user still
// takes is answered UNAVAILABLE. A controller runs once.
func (c *Controller) Run(ctx context.Context) error {
	if c.ran.Swap(true) {
		return errors.New("controller: Run was called before")
	}
	if c.server == nil {
		return c.decide(ctx)
	}
	if err := c.server.Listen(ctx); err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	deciding, cancel := context.WithCancel(ctx)
	defer cancel()
	var server sync.WaitGroup
	var served error
	server.Go(func() {
		defer cancel() // Nobody could reach it any longer.
		served = c.server.Run(serving)
	})
	err := c.decide(deciding) // When it returns, no handler waits for it.
	stop()
	server.Wait()
	return errors.Join(err, served)
}

// decide is Run without the server.
func (c *Controller) decide(ctx context.Context) error {
	defer c.handlers.close()
	defer close(c.stopped) // Lets go of the handlers that wait.
	defer c.backups.stop()
	defer c.inbox.close()
	scheduler, err := c.recover()
	if err != nil {
		return err
	}
	l := &loop{
		c: c, scheduler: scheduler, calls: make(map[core.CallID]chan core.Reply),
		commits: make(chan *step, stepsInFlight), freed: make(chan []*step, stepsInFlight),
	}
	for range stepsInFlight {
		l.free = append(l.free, &step{})
	}
	c.inbox.open()
	close(c.ready)
	c.cfg.Logger.Info("controller started", "incarnation", c.cfg.Core.Incarnation)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		m := &committer{c: c}
		err := m.run(l.commits, l.freed)
		cancel()
		failed <- m.lost(l.commits, err)
	}()
	storeFailure := c.watchStore(ctx, cancel)
	l.run(ctx)
	l.inspect(true)
	close(l.commits)
	if err := cmp.Or(c.awaitCommits(failed), storeFailure()); err != nil {
		return err
	}
	c.cfg.Logger.Info("controller stopped")
	return nil
}

// watchStore ends the loop once the store has failed, whether or not there is something to commit. It
// returns what tells why the store failed, or nil.
func (c *Controller) watchStore(ctx context.Context, end func()) func() error {
	s, ok := c.cfg.Store.(store.Failer)
	if !ok {
		return func() error { return nil }
	}
	go func() {
		select {
		case <-s.Failed():
			end()
		case <-ctx.Done():
		}
	}()
	return s.Failure
}

// loop is the goroutine that owns the scheduler.
type loop struct {
	c         *Controller
	scheduler *core.Scheduler
	// Who waits for which reply.
	calls   map[core.CallID]chan core.Reply
	items   []*item
	idle    core.Effects // of what is done between steps
	durable uint64       // the last step that the scheduler knows to be durable
	owed    bool         // something was due when no step was free
	events  []core.Event
	free    []*step
	commits chan *step
	freed   chan []*step // by commits
	unseen  int          // steps since the state was looked at
}

// step is what one step of the scheduler left to do.
type step struct {
	effects core.Effects
	// Where each of effects.Replies goes; nil where it was sent, or nobody waits any longer.
	to []chan core.Reply
}

// answers says whether the step has replies to release.
func (s *step) answers() bool {
	return slices.ContainsFunc(s.to, func(to chan core.Reply) bool { return to != nil })
}

func (s *step) reset() {
	s.effects.Reset()
	s.to = emptied(s.to)
}

func (l *loop) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var freed <-chan []*step // Awaited only where something needs a step, or its commit.
		if l.owed || l.scheduler.AwaitsCommit() || l.c.inbox.waiting() {
			freed = l.freed
		}
		select {
		case <-ctx.Done():
			return
		case <-l.c.inbox.wake:
		case <-timer.C:
		case steps, ok := <-freed:
			if !ok {
				return
			}
			l.free = append(l.free, steps...)
		}
		for more := true; more; {
			switch {
			case !l.reclaim() || ctx.Err() != nil:
				return
			case len(l.free) == 0:
				more = l.listen()
			default:
				more = l.step()
			}
		}
		next := l.scheduler.Next()
		if l.owed = next <= l.c.now() && len(l.free) == 0; l.owed { // It will be made once one is free.
			next = l.scheduler.NextIdle()
		}
		timer.Reset(min(max(next.Sub(l.c.now()), leastSleep), mostSleep))
	}
}

// reclaim takes back what commits have freed. It says whether there will be more.
func (l *loop) reclaim() bool {
	for {
		select {
		case steps, ok := <-l.freed:
			if !ok {
				return false
			}
			l.free = append(l.free, steps...)
		default:
			return true
		}
	}
}

// step takes what waits in the inbox, has the scheduler decide, and hands on what that leaves to
// do. It says whether more is waiting: then the scheduler's time goes on only to when that came, so
// that no deadline passes before what came before it is heard.
func (l *loop) step() bool {
	s := l.free[len(l.free)-1]
	var next core.Time
	l.items, next = l.c.inbox.take(l.items, maxBatch, maxCommitBytes)
	l.events = l.c.inbox.takeReads(l.committed(l.events), l.c.now())
	for _, i := range l.items {
		if e := i.take(); e != nil {
			l.expect(i, e)
			l.events = append(l.events, e)
		}
	}
	l.scheduler.Step(min(l.c.now(), next), &s.effects, l.events...)
	for i := range s.effects.Replies {
		s.to = append(s.to, l.answer(&s.effects.Replies[i]))
	}
	l.items, l.events = emptied(l.items), emptied(l.events)
	if len(s.effects.Records) > 0 || l.inFlight() || l.c.led != nil && s.answers() {
		l.handOn(s)
	} else {
		l.release(s)
	}
	l.inspect(false)
	return next != core.Never || l.isNews()
}

// inFlight says whether steps are being committed.
func (l *loop) inFlight() bool { return len(l.free) < stepsInFlight }

// handOn has what the step left to do done once it is committed.
func (l *loop) handOn(s *step) {
	if len(s.effects.Records) == 0 && len(s.effects.Attempts) == 0 && len(s.effects.Expired) == 0 && !s.answers() {
		s.reset()
		return
	}
	l.free = l.free[:len(l.free)-1]
	l.commits <- s // Has room for every step there is.
}

// release does what the step left to do, which has no records, and comes after none that is not durable.
func (l *loop) release(s *step) {
	l.c.commits.durable.Store(s.effects.Step)
	l.c.release(s)
}

// release answers those whom a step answers.
func (c *Controller) release(s *step) {
	for i, to := range s.to {
		if to != nil {
			to <- s.effects.Replies[i] // It has room for the one reply that it gets.
		}
	}
	c.metrics.observe(s.effects.Attempts)
	c.tellExpired(s.effects.Expired)
	s.reset()
}

// inspect tells what of the state does not add up, if it is time to look.
func (l *loop) inspect(now bool) {
	tell := l.c.cfg.Inspect
	if l.unseen++; tell == nil || !now && l.unseen < max(inspectSteps, l.scheduler.Known()/inspectShare) {
		return
	}
	l.unseen = 0
	if err := l.scheduler.Check(); err != nil {
		tell(err)
	}
}

// expect notes who waits for the reply to an event.
func (l *loop) expect(i *item, event core.Event) {
	if f, ok := event.(*core.Forsake); ok {
		delete(l.calls, f.Call)
	} else {
		l.calls[i.call] = i.reply
	}
}

// answer sends a reply that need not wait for a commit. Otherwise it returns where the reply goes;
// nil: nowhere any longer. Of several controllers one answers nothing that a commit has not proved,
// which began after it was asked: what it knew could be out of date.
func (l *loop) answer(r *core.Reply) chan core.Reply {
	to := l.calls[r.Call]
	delete(l.calls, r.Call)
	if to == nil || !r.Settled || l.c.led != nil {
		return to
	}
	to <- *r // It has room for the one reply that it gets.
	return nil
}

// emptied returns s without elements, to be filled anew. What a large step needed is let go.
func emptied[T any](s []T) []T {
	if cap(s) > maxKept {
		return nil
	}
	clear(s)
	return s[:0]
}

// now is the clock of the scheduler: it starts at the wall's time, or where the records end if that
// is later, and is not set when the wall's is.
func (c *Controller) now() core.Time { return core.Time(c.line.Now()) }

// until returns when to end a long poll: well before the caller stops listening.
func (c *Controller) until(ctx context.Context, maxWaitMs int64) core.Time {
	wait := min(number.FromMillis(maxWaitMs), c.cfg.MaxWait)
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		wait = min(wait, left-min(max(left/4, 2*leastSleep), 2*time.Second)) // The loop may be so late.
	}
	return c.now().Add(max(wait, 0))
}

// ask has the scheduler apply an event, and waits for its reply. The event must carry the given
// call's id.
func ask[R any](ctx context.Context, c *Controller, call core.CallID, subject string, event core.Event) (R, error) {
	var zero R
	reply := make(chan core.Reply, 1)
	i := &item{call: call, reply: reply, event: event, waits: waitingOf(event), of: c.inbox.callsOf(access.From(ctx).Name), bytes: sizeOf(event)}
	if err := c.inbox.put(i); err != nil {
		return zero, err
	}
	defer c.inbox.answered(i)
	select {
	case r := <-reply:
		return body[R](subject, r)
	case <-ctx.Done():
		if !i.withdraw() {
			c.inbox.forsake(call)
		}
		return zero, contextError(ctx)
	case <-c.stopped:
		select {
		case r := <-reply: // Committed before the end.
			return body[R](subject, r)
		default:
			return zero, errStopping()
		}
	}
}

func body[R any](subject string, r core.Reply) (R, error) {
	if r.Err != nil {
		var zero R
		return zero, corewire.FromCore(subject, r.Err)
	}
	return r.Body.(R), nil //nolint:errcheck // Each event names the type of its reply.
}

// contextError is the answer to a call whose context is done. Where that was cancelled, either the
// caller has gone, and nobody hears it, or whoever serves the call stops: then it is to be made again,
// and must not look as if its caller had given it up.
func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return connect.NewError(connect.CodeDeadlineExceeded, ctx.Err())
	}
	return errStopping()
}

func errStopping() error {
	return wire.Error(wire.ReasonShuttingDown, 0, "controller is not running: try again")
}

func (c *Controller) call() core.CallID { return core.CallID(c.lastID.Add(1)) }

// stats asks for the totals, for metrics. It gives up quickly, and while the controller does not
// run.
func (c *Controller) stats() (core.InfoReply, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	call := c.call()
	r, err := ask[core.InfoReply](ctx, c, call, "info", &core.Info{Call: call, Functions: maxDepths})
	return r, err == nil
}
