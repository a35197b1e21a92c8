// Package maprun is what fray map does: it runs a command for each of many inputs, as tasks of a
// job, and prints what the commands print in the order of the inputs.
//
//	spool, err := maprun.NewSpool("") // closed at the end
//	err = maprun.Run(ctx, maprun.Config{
//		Command: maprun.Command{"sha256sum", "{}"}, Inputs: maprun.List(names),
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
	"github.com/frayrpc/fray/cmd/fray/internal/screen"
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

// How a run ends about which all has been said that there is to say.
var (
	// ErrFailed: commands failed, or were not run to their end.
	ErrFailed = errors.New("a command failed")
	// ErrUnread: what reads the output is gone.
	ErrUnread = errors.New("the output is not read")
)

// errPrinted is the cause of the end of a run in good order.
var errPrinted = errors.New("everything is printed")

// Config is what a run is given.
type Config struct {
	// Command is run for each of Inputs, in the directory Dir; empty: the worker's.
	Command Command
	Inputs  Inputs
	Dir     string
	// How often each command is tried again when it fails, how many workers it may cost, and how
	// long it may take each time; 0: for ever.
	Retries      int
	WorkerLosses int
	Timeout      time.Duration
	// KeepGoing: a command that fails does not end the others.
	KeepGoing bool
	// Counts: the job fails as a whole once too many commands have failed, which ends the others.
	Counts bool
	// Tag begins each line of output with its input and a tab.
	Tag bool

	// Job runs the commands. What is not needed any more of it is cancelled.
	Job *fray.JobContext
	// Slots is how many commands run at once, about.
	Slots int
	// Lost is closed when the workers of this machine are gone that run the commands, and write
	// outputs to Spool. Nil: others do, whose files are out of reach.
	Lost <-chan struct{}
	// Locate returns the last attempt of a task, and the worker that it ran on.
	Locate func(ctx context.Context, taskID string) (attempt int, worker string, err error)

	// Spool has outputs until they are printed; of more than MaxBuffered bytes, no further command
	// is submitted.
	Spool       *Spool
	MaxBuffered int64
	// Screen is where everything is printed. The run finishes it.
	Screen *screen.Screen
}

// A run is a run of map: one goroutine reads inputs, one submits them in batches, one for each
// command waits for its end, and the caller's prints the results in the order of the inputs.
type run struct {
	Config

	window   *window
	stop     context.CancelCauseFunc // ends reading and submitting
	life     context.Context         //nolint:containedctx // While it lasts, commands that were submitted are waited for.
	lines    chan string             // from the reader
	ordered  chan *item              // from the submitter
	decoding chan struct{}           // a token for each result that is being decoded
	waiting  sync.WaitGroup          // goroutines that wait for commands

	readErr error // valid once lines is closed
	unread  int   // inputs that were counted and not run; valid once lines is closed
	summary summary
}

// Run runs the command for all inputs, and prints their outputs and what failed. Unless it is
// [ErrFailed], [ErrUnread] or an [ArgumentError], its error is the cause of the end of ctx or why
// commands cannot be submitted or outputs not be written.
//
// A read of inputs that are not bounded may outlive the run, for nothing can call it off.
func Run(ctx context.Context, c Config) error {
	m := &run{Config: c, window: newWindow(c.MaxBuffered, c.Slots)}
	m.lines = make(chan string, maxBatch)
	m.ordered = make(chan *item, m.window.most)
	m.decoding = make(chan struct{}, maxDecoding)
	var feeding context.Context
	feeding, m.stop = context.WithCancelCause(fray.NewContext(ctx, m.Job))
	var abandon context.CancelFunc
	m.life, abandon = context.WithCancel(context.WithoutCancel(ctx))
	printed := make(chan struct{})

	go m.read(feeding)
	var feeder, others sync.WaitGroup
	feeder.Go(func() { m.submit(feeding) })
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
		feeder.Wait()
		m.cancelRest(context.Cause(feeding), printed)
	})
	printErr := m.print()
	close(printed)
	m.stop(errPrinted)
	others.Wait()
	m.waiting.Wait()
	return m.conclude(ctx, context.Cause(feeding), printErr)
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
	if err != nil || !errors.Is(cause, ErrFailed) {
		return
	}
	timer := time.NewTimer(cancelTime)
	defer timer.Stop()
	select {
	case <-printed:
	case <-timer.C:
	}
}

// read passes on the inputs. Those that are not wanted any more it counts, where there is an end in
// sight.
func (m *run) read(feeding context.Context) {
	defer close(m.lines)
	for input, err := range m.Inputs.All {
		if err != nil {
			m.readErr = err
			return
		}
		if feeding.Err() == nil {
			select {
			case m.lines <- input:
				continue
			case <-feeding.Done():
			}
		}
		if !m.Inputs.Bounded {
			return
		}
		m.unread++
	}
}

// submit submits a command for each input, as many at once as there are.
func (m *run) submit(feeding context.Context) {
	defer close(m.ordered)
	options := []fray.CallOption{
		fray.WithRetries(m.Retries), fray.WithMaxWorkerLosses(m.WorkerLosses), fray.WithExecutionTimeout(m.Timeout),
	}
	for {
		inputs, commands := m.batch(feeding)
		if len(inputs) == 0 {
			return
		}
		m.Screen.Added(len(inputs))
		futures, err := execfn.Task.RunAll(feeding, commands, options...)
		if futures == nil {
			m.stop(err)
			return
		}
		for i, future := range futures {
			next := &item{input: inputs[i], taskID: future.ID(), future: future, ended: make(chan struct{})}
			m.waiting.Go(func() { m.await(next) })
			m.ordered <- next // there is room: it has the window's size
		}
	}
}

// batch waits for an input, and takes those that are there with it. It returns none at the end.
func (m *run) batch(feeding context.Context) (inputs []string, commands []execfn.Command) {
	for len(inputs) < maxBatch {
		if len(inputs) == 0 {
			if !m.window.admit(feeding) {
				return nil, nil
			}
		} else if len(m.lines) == 0 || !m.window.tryAdmit() {
			break
		}
		select {
		case input, ok := <-m.lines:
			if !ok {
				m.window.withdrawn()
				if m.readErr != nil {
					m.stop(m.readErr)
				}
				return inputs, commands
			}
			inputs = append(inputs, input)
			commands = append(commands, execfn.Command{
				Argv: m.Command.With(input), Dir: m.Dir,
				// What a command prints before it fails is wanted too, and an error has no room for
				// it. But only a failure is tried again.
				AllowNonzero: m.Retries == 0 && !m.Counts,
			})
		case <-feeding.Done():
			return nil, nil
		}
	}
	return inputs, commands
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
	if !errors.Is(cause, errPrinted) && !errors.Is(cause, ErrFailed) {
		return cause
	}
	if m.Inputs.Bounded {
		for range m.lines { // those that the submitter left, until the reader has counted the others
			m.summary.notRun++
		}
		m.summary.notRun += m.unread
	}
	m.locate(ctx)
	return m.summary.print(m.Screen.Err, errors.Is(cause, ErrFailed) && !m.Inputs.Bounded)
}
