package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Bounds of a map.
const (
	// Commands that are submitted and not yet printed. The results among them are held in memory.
	mapWindow = 10_000
	// Commands of one submission.
	mapBatch = 500
	// How long cancelled commands may take to end, and how long it may take to ask for that.
	mapCancelTime = 15 * time.Second
	mapAskTime    = 5 * time.Second
)

// Causes of the end of feeding.
var (
	errPrinted = errors.New("everything is printed")
	errStopped = errors.New("a command failed")
)

// mapRun is one run of map: one goroutine reads inputs, one submits them in batches, one for each batch notes which of
// its commands have ended, and the caller's prints the results in the order of the inputs.
type mapRun struct {
	options       mapOptions
	command       commandTemplate
	inputs        inputSource
	screen        *screen
	job           *fray.JobContext
	client        *client
	clusterFailed <-chan struct{} // nil: the cluster is not ours

	stop    context.CancelCauseFunc // ends reading and submitting
	life    context.Context         //nolint:containedctx // While it lasts, commands that were submitted are waited for.
	lines   chan string             // from the reader
	window  chan struct{}           // a token for each command that is submitted and not printed
	ordered chan *mapItem           // from the submitter
	batches sync.WaitGroup          // goroutines that watch them

	readErr   error // valid once lines is closed
	unread    int   // inputs that were counted and not run; valid once lines is closed
	summary   mapSummary
	submitErr error // valid once ordered is closed
}

// mapItem is one command.
type mapItem struct {
	input  string
	future *fray.Future[execfn.Result]
}

// run runs the command for all inputs. It returns an error if one failed, after the summary of those that did.
func (m *mapRun) run(ctx context.Context) error {
	m.lines = make(chan string, mapBatch)
	m.window = make(chan struct{}, mapWindow)
	m.ordered = make(chan *mapItem, mapWindow)
	var feeding context.Context
	feeding, m.stop = context.WithCancelCause(fray.NewContext(ctx, m.job))
	var abandon context.CancelFunc
	m.life, abandon = context.WithCancel(context.WithoutCancel(ctx))
	printed := make(chan struct{})

	go m.read(feeding) // may outlive the run in a read of the standard input, which nothing can call off
	var feeder, others sync.WaitGroup
	feeder.Go(func() { m.submit(feeding) })
	others.Go(func() {
		select {
		case <-m.clusterFailed:
			m.stop(errNoWorkers)
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
	m.batches.Wait()
	return m.conclude(ctx, context.Cause(feeding), printErr)
}

// cancelRest ends the commands that are not needed any more, and returns when they need not be waited for.
func (m *mapRun) cancelRest(cause error, printed <-chan struct{}) {
	if errors.Is(cause, errPrinted) {
		return
	}
	ctx, cancel := context.WithTimeout(m.life, mapAskTime)
	defer cancel()
	err := m.job.Cancel(ctx)
	if err != nil || !errors.Is(cause, errStopped) {
		return
	}
	timer := time.NewTimer(mapCancelTime)
	defer timer.Stop()
	select {
	case <-printed:
	case <-timer.C:
	}
}

// read passes on the inputs. Those that nobody wants any more it counts, where there is an end in sight.
func (m *mapRun) read(feeding context.Context) {
	defer close(m.lines)
	m.readErr = eachInput(m.inputs, func(input string) error {
		if feeding.Err() == nil {
			select {
			case m.lines <- input:
				return nil
			case <-feeding.Done():
			}
		}
		if !m.inputs.bounded() {
			return io.EOF
		}
		m.unread++
		return nil
	})
}

// submit submits a command for each input, as many at once as there are.
func (m *mapRun) submit(feeding context.Context) {
	defer close(m.ordered)
	options := []fray.CallOption{
		fray.WithRetries(m.options.retries), fray.WithMaxWorkerLosses(m.options.workerLosses), fray.WithExecutionTimeout(m.options.timeout),
	}
	for {
		inputs, commands := m.batch(feeding)
		if len(inputs) == 0 {
			return
		}
		m.screen.added(len(inputs))
		futures, err := execfn.Task.RunAll(feeding, commands, options...)
		if futures == nil {
			m.submitErr = err
			m.stop(err)
			return
		}
		for i, future := range futures {
			m.ordered <- &mapItem{inputs[i], future} // there is room: it has the window's size
		}
		m.batches.Go(func() { m.watch(futures) })
	}
}

// batch waits for an input, and takes those that are there with it. It returns none at the end.
func (m *mapRun) batch(feeding context.Context) (inputs []string, commands []execfn.Command) {
	for len(inputs) < mapBatch {
		if len(inputs) > 0 && (len(m.lines) == 0 || len(m.window) == cap(m.window)) {
			break
		}
		select {
		case m.window <- struct{}{}:
		case <-feeding.Done():
			return nil, nil
		}
		select {
		case input, ok := <-m.lines:
			if !ok {
				if m.readErr != nil {
					m.stop(m.readErr)
				}
				return inputs, commands
			}
			inputs = append(inputs, input)
			commands = append(commands, execfn.Command{
				Argv: m.command.with(input), Dir: m.options.dir,
				// What a command prints before it fails is wanted too, and an error has no room for it. But only a failure
				// is tried again.
				AllowNonzero: m.options.retries == 0,
			})
		case <-feeding.Done():
			return nil, nil
		}
	}
	return inputs, commands
}

// watch notes the ends of commands as they come, and stops the map at the first failure.
func (m *mapRun) watch(futures []*fray.Future[execfn.Result]) {
	for future, err := range fray.AsCompleted(m.life, futures) {
		if err != nil {
			return
		}
		result, err := future.Get(m.life)
		ok := err == nil && resultProblem(result) == ""
		m.screen.ended(ok)
		if !ok && !m.options.keepGoing {
			m.stop(errStopped)
		}
	}
}

// print prints what the commands print, in the order of the inputs, as soon as it can.
func (m *mapRun) print() error {
	for item := range m.ordered {
		if err := m.printItem(item); err != nil {
			m.stop(err)
			for range m.ordered { // nobody else takes them
				<-m.window
			}
			return err
		}
		<-m.window
	}
	return m.screen.out.Flush()
}

func (m *mapRun) printItem(item *mapItem) error {
	select {
	case <-item.future.Done():
	default:
		if err := m.screen.out.Flush(); err != nil {
			return err
		}
		select {
		case <-item.future.Done():
		case <-m.life.Done():
			m.summary.notRun++
			return nil
		}
	}
	result, err := item.future.Get(context.WithoutCancel(m.life))
	var problem *fray.TaskError
	failure := mapFailure{input: item.input, taskID: item.future.ID()}
	switch {
	case errors.Is(err, fray.ErrCancelled), errors.Is(err, fray.ErrClosed):
		m.summary.notRun++
		return nil
	case errors.As(err, &problem):
		failure.why, failure.stderr = taskProblem(problem)
		failure.where = attemptText(problem.Attempt, problem.MaxAttempts, problem.WorkerID)
		result.Stderr = []byte(failure.stderr)
	case err != nil:
		failure.why = err.Error()
	default:
		if failure.why = resultProblem(result); failure.why == "" {
			m.summary.succeeded++
			return m.printResult(item.input, result)
		}
		failure.stderr = string(result.Stderr)
	}
	m.summary.add(failure)
	return m.printResult(item.input, result)
}

// attemptText says which attempt of a task was the last, and where it ran.
func attemptText(n, limit int, worker string) string {
	if n == 0 {
		return ""
	}
	text := fmt.Sprintf(", attempt %d", n)
	if limit > 1 {
		text += fmt.Sprintf(" of %d", limit)
	}
	if worker != "" {
		text += " on " + worker
	}
	return text
}

func (m *mapRun) printResult(input string, r execfn.Result) error {
	if len(r.Stderr) > 0 {
		if err := m.screen.out.Flush(); err != nil {
			return err
		}
		if _, err := m.screen.err.Write(m.tagged(input, r.Stderr)); err != nil {
			return err
		}
	}
	_, err := m.screen.out.Write(m.tagged(input, r.Stdout))
	return err
}

// tagged is what a command printed, with the input before each line if that is wanted.
func (m *mapRun) tagged(input string, output []byte) []byte {
	if !m.options.tag {
		return output
	}
	return tagLines(input, output)
}

// locate asks the controller where those failures happened that do not tell.
func (m *mapRun) locate(ctx context.Context) {
	for i := range m.summary.shown {
		f := &m.summary.shown[i]
		if f.where != "" {
			continue
		}
		res, err := ask(ctx, m.client, m.client.GetTask, &frayv1.GetTaskRequest{TaskId: f.taskID})
		if err != nil {
			return // the summary goes without
		}
		f.where = attemptText(int(res.GetTask().GetAttemptNumber()), 0, res.GetTask().GetWorkerId())
	}
}

// conclude says how it went, and returns the error for it.
func (m *mapRun) conclude(ctx context.Context, cause, printErr error) error {
	if err := errors.Join(printErr, m.screen.finish()); err != nil {
		return &codedError{exitUnavailable, fmt.Errorf("write output: %w", err)}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !errors.Is(cause, errPrinted) && !errors.Is(cause, errStopped) {
		return cause
	}
	if m.inputs.bounded() {
		for range m.lines { // those that the submitter left, until the reader has counted the others
			m.summary.notRun++
		}
		m.summary.notRun += m.unread
	}
	m.locate(ctx)
	return m.summary.print(m.screen.err, errors.Is(cause, errStopped) && !m.inputs.bounded())
}
