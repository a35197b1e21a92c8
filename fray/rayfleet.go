package fray

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/rayjobs"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/sleep"
)

// Bounds of a fleet.
const (
	// rayCalls is how many calls to the cluster are under way at once.
	rayCalls = 8
	// rayPoll is how often a job is looked at that runs, and firstRayLook and lastRayLook how often
	// one that has yet to register its worker.
	rayPoll      = 5 * time.Second
	firstRayLook = 100 * time.Millisecond
	lastRayLook  = 2 * time.Second
	// maxRayFailures is how often in a row a worker's job is submitted anew, after pauses that double
	// from rayPause to maxRayPause. One that has run for raySteady begins a new row.
	maxRayFailures = 5
	rayPause       = time.Second
	maxRayPause    = time.Minute
	raySteady      = time.Minute
	// rayStopTime is how long jobs may take to end that are told to, and rayPendingTime those that have not
	// begun.
	rayStopTime    = rayGrace + 10*time.Second
	rayPendingTime = 5 * time.Second
	// rayTellTime bounds the calls that ask why a job does not do what it should, and maxRayTold how
	// many jobs one error tells of. Of each log it has rayLogLines and rayLogBytes at most.
	rayTellTime = 10 * time.Second
	maxRayTold  = 3
	rayLogLines = 10
	rayLogBytes = 2 << 10
)

// rayFleet is the workers of a ray backend, each with a job of the Ray cluster.
type rayFleet struct {
	link

	cluster *rayjobs.Client
	config  RayWorkers
	poll    time.Duration
	pause   time.Duration
	name    string // which the names of workers and jobs begin with
	vars    map[string]string
	packed  *rayjobs.Package // of the working dir; nil: there is none to upload
	upload  *semaphore.Weighted
	rand    *dial.Rand

	mu      sync.Mutex
	members []*rayMember
}

// rayMember is one worker. Its fleet's mutex guards what changes.
type rayMember struct {
	worker string // its id
	jobs   int    // submitted so far
	job    string // the last of them; "": there was none
	ended  bool   // that one has
	row    int    // failures in a row
	gone   error  // why it will not come back; nil: it is there, or comes back
}

func newRayFleet(l link, config jobConfig, workers RayWorkers) (*rayFleet, error) {
	f := &rayFleet{link: l, config: workers, vars: rayVariables(l.jc, config, workers), poll: cmp.Or(config.ray.poll, rayPoll), pause: cmp.Or(config.ray.pause, rayPause)}
	f.rand, f.upload = l.fork(), semaphore.NewWeighted(1)
	f.name = "fray-" + strings.ToLower(newID(f.rand))
	for n := range workers.Count {
		f.members = append(f.members, &rayMember{worker: fmt.Sprintf("%s-%d", f.name, n)})
	}
	var err error
	f.cluster, err = newRayClient(config.ray, f.rand)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// start submits a job for each worker, and returns once all workers are registered.
func (f *rayFleet) start(ctx context.Context) error {
	least := rayjobs.LeastVersion
	if f.config.MemoryBytes > 0 {
		least = rayjobs.MemoryVersion
	}
	if err := f.cluster.CheckVersion(ctx, least); err != nil {
		return rayError("look at the Ray cluster", err)
	}
	if dir := f.config.WorkingDir; dir != "" && !strings.Contains(dir, "://") {
		var err error
		if f.packed, err = rayjobs.Pack(dir); err != nil {
			return fmt.Errorf("ray workers: %w", err)
		}
	}
	err := f.each(f.members, func(m *rayMember) error {
		if err := f.submit(ctx, m, true); err != nil {
			return rayError("submit worker "+m.worker, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return f.awaitRegistered(ctx)
}

// each calls fn for members, several at once, and returns their errors, or some of them.
func (f *rayFleet) each(members []*rayMember, fn func(*rayMember) error) error {
	var g errgroup.Group
	g.SetLimit(rayCalls)
	errs := make([]error, len(members))
	for i, m := range members {
		g.Go(func() error {
			errs[i] = fn(m)
			return nil
		})
	}
	_ = g.Wait() // They are in errs, all of them.
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if more := len(errs) - maxRayTold; more > 0 {
		errs = append(errs[:maxRayTold], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}

// rayError says what was done, and what to do about a token.
func rayError(what string, err error) error {
	if errors.Is(err, rayjobs.ErrUnauthorized) {
		return fmt.Errorf("%s: %w: give the cluster's token by WithRayToken or %s", what, err, rayTokenVariable)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// submit submits a job for a worker: a new one, or once more one whose submission got no answer.
func (f *rayFleet) submit(ctx context.Context, m *rayMember, anew bool) error {
	f.mu.Lock()
	if anew {
		m.jobs++
		m.job, m.ended = fmt.Sprintf("%s-%d", m.worker, m.jobs), false // First: an answer may be lost.
	}
	s := f.submission(m)
	f.mu.Unlock()
	if err := f.ensure(ctx); err != nil {
		return err
	}
	if err := f.cluster.Submit(ctx, s, !anew); err != nil {
		return err
	}
	f.jc.logger.InfoContext(ctx, "submitted a worker to Ray", "job_id", f.jc.jobID, "worker_id", m.worker, "ray_job", s.ID)
	return nil
}

// ensure has the cluster have what the workers need, one at a time so that it is uploaded once.
func (f *rayFleet) ensure(ctx context.Context) error {
	if f.packed == nil {
		return nil
	}
	if err := f.upload.Acquire(ctx, 1); err != nil {
		return err
	}
	defer f.upload.Release(1)
	return f.cluster.Ensure(ctx, f.packed)
}

// submission is the newest job of a worker, with f.mu held.
func (f *rayFleet) submission(m *rayMember) *rayjobs.Submission {
	s := &rayjobs.Submission{
		ID: m.job, Entrypoint: f.config.Entrypoint, Metadata: map[string]string{"job_name": "fray worker", "fray_job": f.jc.jobID, "fray_worker": m.worker},
		CPUs: f.config.CPUs, GPUs: f.config.GPUs, MemoryBytes: f.config.MemoryBytes, Resources: f.config.Resources,
		Env: rayjobs.RuntimeEnv{WorkingDir: f.config.WorkingDir, Vars: maps.Clone(f.vars)},
	}
	s.Env.Vars[dial.WorkerIDVariable] = m.worker
	if f.packed != nil {
		s.Entrypoint, s.Env.WorkingDir = f.packed.Entrypoint(s.Entrypoint), f.packed.URI()
	}
	return s
}

// awaitRegistered waits until the controller knows all workers. It returns an error as soon as one of
// them cannot come, and once ctx is done.
func (f *rayFleet) awaitRegistered(ctx context.Context) error {
	missing := slices.Clone(f.members)
	late := func() error {
		return fmt.Errorf("%d of %d workers have not registered with the controller (waited for %v at most): %w: %w",
			len(missing), len(f.members), f.config.Wait, f.tell(ctx, missing), ctx.Err())
	}
	for look := firstRayLook; ; look = min(2*look, lastRayLook) {
		known, err := f.registered(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("%w: %w", late(), err)
		case err != nil:
			return err
		}
		missing = slices.DeleteFunc(missing, func(m *rayMember) bool { return known[m.worker] })
		if len(missing) == 0 {
			return nil
		}
		var failed []*rayMember
		_ = f.each(missing, func(m *rayMember) error {
			job, err := f.cluster.Job(ctx, m.job)
			if errors.Is(err, rayjobs.ErrUnknown) || err == nil && job.Status.Ended() {
				f.mu.Lock()
				defer f.mu.Unlock()
				failed, m.ended = append(failed, m), true
			}
			return nil // What the cluster does not say now it may say at the next look.
		})
		if len(failed) > 0 {
			return fmt.Errorf("%d of %d workers did not start: %w", len(failed), len(f.members), f.tell(ctx, failed))
		}
		if sleep.For(ctx, look) != nil {
			return late()
		}
	}
}

// registered returns the ids of the workers that the controller knows.
func (f *rayFleet) registered(ctx context.Context) (map[string]bool, error) {
	known := make(map[string]bool)
	for req := (&frayv1.ListWorkersRequest{}); ; {
		var res *frayv1.ListWorkersResponse
		err := f.do(ctx, "ListWorkers", 0, func(ctx context.Context) (err error) {
			res, err = f.client.ListWorkers(ctx, req)
			return err
		})
		if connect.CodeOf(err) == connect.CodePermissionDenied {
			return nil, fmt.Errorf("look for the workers at the controller: %w: the credential needs the role reader, too", err)
		}
		if err != nil {
			return nil, fmt.Errorf("look for the workers at the controller: %w", err)
		}
		for _, w := range res.GetWorkers() {
			known[w.GetWorkerId()] = true
		}
		if req.PageToken = res.GetNextPageToken(); req.GetPageToken() == "" {
			return known, nil
		}
	}
}

// tell says how the jobs of some workers stand, with the ends of their logs.
func (f *rayFleet) tell(ctx context.Context, members []*rayMember) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rayTellTime)
	defer cancel()
	told := members[:min(len(members), maxRayTold)]
	texts := make(map[*rayMember]string, len(told))
	_ = f.each(told, func(m *rayMember) error {
		text := f.describe(ctx, m)
		f.mu.Lock()
		defer f.mu.Unlock()
		texts[m] = text
		return nil
	})
	lines := make([]string, 0, len(told)+1)
	for _, m := range told {
		lines = append(lines, texts[m])
	}
	if more := len(members) - len(told); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return errors.New(strings.Join(lines, "; "))
}

// describe says how the job of one worker stands.
func (f *rayFleet) describe(ctx context.Context, m *rayMember) string {
	subject := fmt.Sprintf("Ray job %s of worker %s", m.job, m.worker)
	job, err := f.cluster.Job(ctx, m.job)
	switch {
	case errors.Is(err, rayjobs.ErrUnknown):
		return subject + " is not known to the Ray cluster"
	case err != nil:
		return fmt.Sprintf("%s: %v", subject, err)
	}
	first, _, _ := strings.Cut(job.Message, "\n")
	first, _, _ = strings.Cut(first, ", last available logs") // Which are in the log.
	text := fmt.Sprintf("%s is %s (%s)", subject, job.Status, rayjobs.Cut(first, rayLogBytes))
	logs, err := f.cluster.Logs(ctx, m.job)
	switch {
	case err != nil:
		return fmt.Sprintf("%s; its log: %v", text, err)
	case strings.TrimSpace(logs) == "":
		return text + "; its log is empty"
	}
	return fmt.Sprintf("%s; its log ends with:\n%s\n", text, rayjobs.Tail(logs, rayLogLines, rayLogBytes))
}

// keepAll has goroutines of the backend keep the workers.
func (f *rayFleet) keepAll() {
	for _, m := range f.members {
		f.spawn(func(ctx context.Context) { f.keep(ctx, m) })
	}
}

// keep looks at a worker's job until ctx is done or the worker is gone, and submits a new one if that
// fails or is lost.
func (f *rayFleet) keep(ctx context.Context, m *rayMember) {
	var since time.Time // when the job was first seen to run
	blind := false      // the last look was in vain
	for sleep.For(ctx, f.poll/2+f.rand.Duration(f.poll)) == nil {
		job, err := f.cluster.Job(ctx, m.job)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, rayjobs.ErrUnknown):
			err = errors.New("it is lost: the Ray cluster does not know it any more")
		case err != nil:
			// Not heard is not failed: the worker itself may do well.
			if !blind {
				f.jc.logger.WarnContext(ctx, "Ray does not say how a worker's job stands", "job_id", f.jc.jobID, "worker_id", m.worker, "ray_job", m.job, "error", err)
			}
			blind = true
			continue
		case job.Status == rayjobs.Failed:
			err = fmt.Errorf("it has FAILED: %s", rayjobs.Tail(job.Message, rayLogLines, rayLogBytes))
		case job.Status.Ended():
			f.leave(ctx, m, fmt.Errorf("worker %s has left: its Ray job %s is %s", m.worker, m.job, job.Status))
			return
		default:
			blind = false
			if job.Status == rayjobs.Running && since.IsZero() {
				since = time.Now()
			}
			continue
		}
		if !since.IsZero() && time.Since(since) > raySteady {
			f.steady(m)
		}
		since, blind = time.Time{}, false
		if !f.replace(ctx, m, err) {
			return
		}
	}
}

// steady notes that a worker's job has run for a while.
func (f *rayFleet) steady(m *rayMember) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m.row = 0
}

// leave notes that a worker will not come back.
func (f *rayFleet) leave(ctx context.Context, m *rayMember, why error) {
	f.mu.Lock()
	m.gone, m.ended = why, true
	f.mu.Unlock()
	f.jc.logger.ErrorContext(ctx, "a worker on Ray is gone", "job_id", f.jc.jobID, "worker_id", m.worker, "error", why)
}

// replace submits a new job for a worker whose last one has ended, after a pause. It returns false
// if it is not to be, or if ctx is done.
func (f *rayFleet) replace(ctx context.Context, m *rayMember, why error) bool {
	for {
		f.mu.Lock()
		row := m.row
		m.row++
		m.ended = true
		f.mu.Unlock()
		if row == maxRayFailures {
			f.leave(ctx, m, fmt.Errorf("worker %s is given up after %d Ray jobs in a row: %s: %w", m.worker, row+1, m.job, why))
			return false
		}
		pause := dial.Policy{Base: f.pause, Cap: maxRayPause, Rand: f.rand}.Delay(row)
		f.jc.logger.WarnContext(ctx, "submit a worker to Ray anew", "job_id", f.jc.jobID, "worker_id", m.worker, "ray_job", m.job, "failures", row+1, "delay", pause, "error", why)
		if sleep.For(ctx, pause) != nil {
			return false
		}
		why = f.submitAnew(ctx, m)
		if why == nil || ctx.Err() != nil {
			return why == nil
		}
	}
}

// submitAnew submits a new job for a worker, again and again while the cluster does not answer. It returns
// the error of one that does.
func (f *rayFleet) submitAnew(ctx context.Context, m *rayMember) error {
	for n := 0; ; n++ {
		err := f.submit(ctx, m, n == 0)
		if err == nil || ctx.Err() != nil || isRayAnswer(err) {
			return err
		}
		pause := dial.Policy{Base: f.pause, Cap: maxRayPause, Rand: f.rand}.Delay(n)
		f.jc.logger.WarnContext(ctx, "Ray does not take a worker, will ask again", "job_id", f.jc.jobID, "worker_id", m.worker, "delay", pause, "error", err)
		if sleep.For(ctx, pause) != nil {
			return err
		}
	}
}

// isRayAnswer says whether an error is the cluster's last word.
func isRayAnswer(err error) bool {
	return errors.Is(err, rayjobs.ErrRefused) || errors.Is(err, rayjobs.ErrUnauthorized) || errors.Is(err, rayjobs.ErrNotRay)
}

// gone says which workers will not come back; nil: all are there, or do.
func (f *rayFleet) gone() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var first error
	n := 0
	for _, m := range f.members {
		if m.gone != nil {
			first = cmp.Or(first, m.gone)
			n++
		}
	}
	if n < 2 {
		return first
	}
	return fmt.Errorf("%d of %d workers are gone: %w", n, len(f.members), first)
}

// stop ends all jobs, and returns an error that names those which did not end in time. Nothing must
// submit any more.
func (f *rayFleet) stop() error {
	defer f.cluster.Close()
	if f.packed != nil {
		defer f.packed.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), rayStopTime)
	defer cancel()
	return f.each(f.members, func(m *rayMember) error {
		if m.job == "" || m.ended {
			return nil
		}
		if err := f.end(ctx, m); err != nil {
			return fmt.Errorf("stop worker %s: Ray job %s: %w: its worker leaves by itself once no client has watched job %s for %v",
				m.worker, m.job, err, f.jc.jobID, f.config.Lease)
		}
		return nil
	})
}

// end stops one job and waits for its end.
func (f *rayFleet) end(ctx context.Context, m *rayMember) error {
	if err := f.cluster.Stop(ctx, m.job); err != nil {
		if errors.Is(err, rayjobs.ErrUnknown) {
			return nil
		}
		return rayError("stop", err)
	}
	begin := time.Now()
	for look := firstRayLook; ; look = min(2*look, lastRayLook) {
		job, err := f.cluster.Job(ctx, m.job)
		switch {
		case errors.Is(err, rayjobs.ErrUnknown), err == nil && job.Status.Ended():
			return nil
		case err != nil && ctx.Err() == nil && isRayAnswer(err):
			return err
		case err == nil && job.Status == rayjobs.Pending && time.Since(begin) > rayPendingTime:
			return errors.New("it was told to stop and is still PENDING")
		}
		if sleep.For(ctx, look) != nil {
			if err != nil {
				return err
			}
			return fmt.Errorf("it was told to stop and is still %s after %v", job.Status, rayStopTime)
		}
	}
}
