// Package maprun is what fray map does: it runs the commands of a plan (package mapplan) as tasks of a
// job, and prints what they print, in the order of the plan unless it is told otherwise.
//
//	spool, err := maprun.NewSpool("") // closed at the end
//	err = maprun.Run(ctx, maprun.Config{
//		Template: mapplan.ParseTemplate([]string{"sha256sum", "{}"}, ""), Jobs: mapplan.Jobs(sources, options),
//		Job: job, Spool: spool, Screen: screen.New(os.Stdout, os.Stderr, true), ...
//	})
//
// Commands run in any order and many at once. What they print waits for its turn: short outputs in
// memory, long ones in the files of a [Spool]. How many commands may be submitted ahead of the one
// whose output is printed goes by how much of that waits (window.go). What failed is summed up at
// the end.
package maprun

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/frayrpc/fray/cmd/fray/internal/fleet"
	"github.com/frayrpc/fray/cmd/fray/internal/mapplan"
	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

// Bounds of a run.
const (
	// Commands of one submission.
	maxBatch = 500
	// Results that are decoded at once.
	maxDecoding = 2
	// How long cancelled commands may take to end, and how long it may take to ask for that.
	cancelTime = 15 * time.Second
	askTime    = 5 * time.Second
)

// A run is a run of map: one goroutine reads inputs, one submits them in batches, one for each
// command waits for its end, and the caller's prints the results in the order of the inputs.
type run struct {
	Config

	window   *window
	stop     context.CancelCauseFunc // ends reading and submitting
	life     context.Context         //nolint:containedctx // While it lasts, commands that were submitted are waited for.
	lines    chan mapplan.Job        // from the reader
	ready    chan *item              // those to be printed next: from the submitter, or with AsEnded as they end
	decoding chan struct{}           // a token for each result that is being decoded
	waiting  sync.WaitGroup          // goroutines that wait for commands
	closing  sync.WaitGroup          // the one that waits for them
	pace     pace

	mu        sync.Mutex
	succeeded int
	failed    int
	open      map[string]*item // by their tasks, with Live: those that are not printed
	lost      bool             // the workers were lost when no further commands were to be started

	readErr error // valid once lines is closed
	unread  int   // jobs that were counted and not run; valid once lines is closed
	skipped int   // jobs that Skip names; valid once lines is closed
	summary summary
}

// Run runs the command for all inputs, and prints their outputs and what failed. Unless it is
// [ErrFailed], [ErrUnread] or an [ArgumentError], its error is the cause of the end of ctx or why
// commands cannot be submitted or outputs not be written.
//
// A read of inputs that are not bounded may outlive the run, for nothing can call it off.
func Run(ctx context.Context, c Config) error {
	m := &run{Config: c, window: newWindow(c.MaxBuffered, c.Slots, c.OnlyFree), open: make(map[string]*item), pace: pace{each: c.Delay}}
	m.Live = m.Live && m.Lost != nil && m.Results == nil
	m.lines = make(chan mapplan.Job, m.ahead())
	m.ready = make(chan *item, m.window.most)
	m.Screen.Added(c.Total)
	m.decoding = make(chan struct{}, maxDecoding)
	var feeding context.Context
	feeding, m.stop = context.WithCancelCause(fray.NewContext(ctx, m.Job))
	var abandon context.CancelFunc
	m.life, abandon = context.WithCancel(context.WithoutCancel(ctx))
	// What is just being submitted when no further commands are to be started is so to its end.
	submitting, stopSubmitting := context.WithCancelCause(fray.NewContext(ctx, m.Job))
	defer stopSubmitting(nil)
	context.AfterFunc(feeding, func() { // which is done before this returns
		if cause := context.Cause(feeding); !errors.Is(cause, errHaltedSoon) {
			stopSubmitting(cause)
		}
	})
	printed := make(chan struct{})

	go m.read(feeding)
	var feeder, others sync.WaitGroup
	feeder.Go(func() { m.submit(feeding, submitting) })
	others.Go(func() {
		select {
		case <-m.Lost:
			m.stop(fleet.ErrNoWorkers)
		case <-printed:
		}
	})
	others.Go(func() {
		defer abandon()
		<-feeding.Done()
		cause := context.Cause(feeding)
		if errors.Is(cause, errHaltedSoon) {
			cause = m.awaitRunning(ctx, printed)
			stopSubmitting(cause)
		}
		feeder.Wait()
		m.cancelRest(cause, printed)
	})
	printErr := m.print()
	close(printed)
	m.stop(errPrinted)
	others.Wait()
	m.waiting.Wait()
	m.closing.Wait()
	return m.conclude(ctx, context.Cause(feeding), printErr)
}

// awaitRunning waits for commands that were started before enough had ended. It returns why they need not
// be waited for any more.
func (m *run) awaitRunning(ctx context.Context, printed <-chan struct{}) error {
	select {
	case <-printed:
		return errPrinted
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-m.Lost:
		m.mu.Lock()
		m.lost = true
		m.mu.Unlock()
		return fleet.ErrNoWorkers
	}
}

// cancelRest ends the commands that are not needed any more, and returns when they need not be
// waited for.
func (m *run) cancelRest(cause error, printed <-chan struct{}) {
	if errors.Is(cause, errPrinted) {
		return
	}
	ctx, cancel := context.WithTimeout(m.life, askTime)
	defer cancel()
	err := m.Job.Cancel(ctx)
	if err != nil || !errors.Is(cause, ErrFailed) && !errors.Is(cause, errHalted) {
		return
	}
	timer := time.NewTimer(cancelTime)
	defer timer.Stop()
	select {
	case <-printed:
	case <-timer.C:
	}
}

// ahead is how many jobs are read before they are submitted. A block of input is large.
func (m *run) ahead() int {
	if m.OnlyFree {
		return 0
	}
	return maxBatch
}

// read passes on the jobs. Those that are not wanted any more it counts, where there is an end in
// sight.
func (m *run) read(feeding context.Context) {
	defer close(m.lines)
	for job, err := range m.Jobs {
		if err != nil {
			m.readErr = err
			return
		}
		if m.Skip != nil && m.Skip(job.Number) {
			m.skipped++
			if m.Total > 0 {
				m.Screen.Ended(true)
			}
			continue
		}
		if feeding.Err() == nil {
			select {
			case m.lines <- job:
				continue
			case <-feeding.Done():
			}
		}
		if !m.Bounded {
			return
		}
		m.unread++
	}
}

// submit submits a command for each job, as many at once as there are, until feeding is done. A submission that
// has begun goes on until submitting is.
func (m *run) submit(feeding, submitting context.Context) {
	defer m.closing.Go(func() {
		if m.AsEnded {
			m.waiting.Wait()
		}
		close(m.ready)
	})
	options := []fray.CallOption{
		fray.WithRetries(m.Retries), fray.WithMaxWorkerLosses(m.WorkerLosses), fray.WithExecutionTimeout(m.Timeout),
	}
	if m.AtOnce > 0 {
		options = append(options, fray.WithLimit(fray.NewLimit("fray-map", fray.MaxConcurrent(m.AtOnce)).For(m.Job.JobID())))
	}
	for {
		jobs := m.batch(feeding)
		if len(jobs) == 0 {
			return
		}
		items, commands, err := m.prepare(jobs)
		if err != nil {
			m.stop(err)
			return
		}
		if m.Total == 0 {
			m.Screen.Added(len(jobs))
		}
		futures, err := execfn.Task.RunAll(submitting, commands, options...)
		if futures == nil {
			m.stop(err)
			return
		}
		for i, future := range futures {
			next := items[i]
			next.taskID, next.future = future.ID(), future
			if m.Live {
				m.mu.Lock()
				m.open[next.taskID] = next
				m.mu.Unlock()
			}
			m.waiting.Go(func() { m.await(next) })
			if !m.AsEnded {
				m.ready <- next // there is room: it has the window's size
			}
		}
	}
}

// prepare makes the commands of jobs. A block of input goes to a file, where the workers are on this machine.
func (m *run) prepare(jobs []mapplan.Job) ([]*item, []execfn.Command, error) {
	items := make([]*item, len(jobs))
	commands := make([]execfn.Command, len(jobs))
	for i, job := range jobs {
		next := &item{name: job.Name(), job: job, sent: int64(len(job.Block)), ended: make(chan struct{})}
		next.job.Block = nil
		c := execfn.Command{
			Argv: m.Template.Expand(job.Args, job.Number, m.SlotMark), Dir: m.Dir,
			// What a command prints before it fails is wanted too, and an error has no room for
			// it. But only a failure is tried again.
			AllowNonzero: m.Retries == 0 && !m.Counts,
			Live:         m.Live, OutputObjects: m.Lost == nil, Account: m.Log != nil,
		}
		if m.Template.HasSlot() {
			c.SlotMark = m.SlotMark
		}
		if m.Log != nil {
			next.argv = c.Argv
		}
		if len(job.Block) > 0 && m.Lost != nil {
			var err error
			if c.StdinFile, err = m.Spool.saveInput(job.Number, job.Block); err != nil {
				return nil, nil, fmt.Errorf("keep input: %w", err)
			}
			next.inputFile = c.StdinFile
		} else {
			c.Stdin = job.Block
		}
		if m.Verbose {
			fmt.Fprintln(m.Screen.Err, mapplan.QuoteAll(m.Template.Expand(job.Args, job.Number, slotSign)))
		}
		items[i], commands[i] = next, c
	}
	return items, commands, nil
}

// slotSign is what stands for the number of a slot that is not known.
const slotSign = "{%}"

// batch waits for a job, and takes those that are there with it. It returns none at the end.
func (m *run) batch(feeding context.Context) (jobs []mapplan.Job) {
	most := maxBatch
	if m.Delay > 0 {
		most = 1
	}
	for len(jobs) < most {
		if len(jobs) == 0 {
			if !m.window.admit(feeding) {
				return nil
			}
		} else if len(m.lines) == 0 || !m.window.tryAdmit() {
			break
		}
		select {
		case job, ok := <-m.lines:
			if !ok {
				m.window.withdrawn()
				if m.readErr != nil {
					m.stop(m.readErr)
				}
				return jobs
			}
			jobs = append(jobs, job)
		case <-feeding.Done():
			return nil
		}
	}
	if len(jobs) > 0 && m.pace.wait(feeding) != nil {
		return nil
	}
	return jobs
}

// count notes how a command has ended, which may be enough.
func (m *run) count(ok bool) {
	m.mu.Lock()
	if ok {
		m.succeeded++
	} else {
		m.failed++
	}
	enough := m.Halt.Reached(m.succeeded, m.failed, m.Total)
	m.mu.Unlock()
	switch {
	case !enough:
	case !m.Halt.Now:
		m.stop(errHaltedSoon)
	case m.Halt.IsFailure():
		m.stop(ErrFailed)
	default:
		m.stop(errHalted)
	}
}

// locate asks the controller where those failures happened that do not tell.
func (m *run) locate(ctx context.Context) {
	for i := range m.summary.shown {
		f := &m.summary.shown[i]
		if f.where != "" {
			continue
		}
		attempt, worker, err := m.Locate(ctx, f.taskID)
		if err != nil {
			return // the summary goes without
		}
		f.where = wording.Attempt(attempt, 0, worker)
	}
}

// conclude says how it went, and returns the error for it.
func (m *run) conclude(ctx context.Context, cause, printErr error) error {
	if err := errors.Join(printErr, m.Screen.Finish()); errors.Is(err, syscall.EPIPE) {
		return ErrUnread
	} else if err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	halted := errors.Is(cause, errHalted) || errors.Is(cause, errHaltedSoon)
	if m.lost {
		return fleet.ErrNoWorkers
	}
	if !errors.Is(cause, errPrinted) && !errors.Is(cause, ErrFailed) && !halted {
		return cause
	}
	if m.Bounded {
		for range m.lines { // those that the submitter left, until the reader has counted the others
			m.summary.notRun++
		}
		m.summary.notRun += m.unread
		m.summary.skipped = m.skipped
	} else if errors.Is(cause, errPrinted) {
		m.summary.skipped = m.skipped
	}
	m.locate(ctx)
	if halted {
		m.summary.halted = m.Halt.Reason(m.succeeded, m.failed)
		m.summary.enough = m.Halt.IsSuccess() || !m.Halt.IsFailure() && m.failed == 0
	}
	return m.summary.print(m.Screen.Err, !errors.Is(cause, errPrinted) && !m.Bounded)
}
