package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Bounds of a map.
const (
	// Commands of one submission.
	mapBatch = 500
	// Results that are decoded at once.
	mapDecoding = 2
	// How long cancelled commands may take to end, and how long it may take to ask for that.
	mapCancelTime = 15 * time.Second
	mapAskTime    = 5 * time.Second
	// How much of the end of an error output the summary looks at.
	mapTailBytes = 2 << 10
)

// Causes of the end of feeding.
var (
	errPrinted = errors.New("everything is printed")
	errStopped = errors.New("a command failed")
)

// mapRun is one run of map: one goroutine reads inputs, one submits them in batches, one for each command waits for its end, and the
// caller's prints the results in the order of the inputs.
type mapRun struct {
	options       mapOptions
	command       commandTemplate
	inputs        inputSource
	screen        *screen
	job           *fray.JobContext
	client        *client
	spool         *spool
	window        *outputWindow
	clusterFailed <-chan struct{} // nil: the cluster is not ours

	stop     context.CancelCauseFunc // ends reading and submitting
	life     context.Context         //nolint:containedctx // While it lasts, commands that were submitted are waited for.
	lines    chan string             // from the reader
	ordered  chan *mapItem           // from the submitter
	decoding chan struct{}           // a token for each result that is being decoded
	waiting  sync.WaitGroup          // goroutines that wait for commands

	readErr   error // valid once lines is closed
	unread    int   // inputs that were counted and not run; valid once lines is closed
	summary   mapSummary
	submitErr error // valid once ordered is closed
}

// run runs the command for all inputs. It returns an error if one failed, after the summary of those that did.
func (m *mapRun) run(ctx context.Context) error {
	m.lines = make(chan string, mapBatch)
	m.ordered = make(chan *mapItem, m.window.most)
	m.decoding = make(chan struct{}, mapDecoding)
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
	m.waiting.Wait()
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
			item := &mapItem{input: inputs[i], taskID: future.ID(), future: future, ended: make(chan struct{})}
			m.waiting.Go(func() { m.await(item) })
			m.ordered <- item // there is room: it has the window's size
		}
	}
}

// batch waits for an input, and takes those that are there with it. It returns none at the end.
func (m *mapRun) batch(feeding context.Context) (inputs []string, commands []execfn.Command) {
	for len(inputs) < mapBatch {
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

// print prints what the commands print, in the order of the inputs, as soon as it can.
func (m *mapRun) print() error {
	for item := range m.ordered {
		if err := m.printItem(item); err != nil {
			m.stop(err)
			for item := range m.ordered { // nobody else takes them
				<-item.ended
				m.window.printed(item.size())
			}
			return err
		}
	}
	return m.screen.out.Flush()
}

func (m *mapRun) printItem(item *mapItem) error {
	select {
	case <-item.ended:
	default:
		if err := m.screen.out.Flush(); err != nil {
			return err
		}
		<-item.ended // by itself, or with life
	}
	size := item.size()
	err := m.printEnd(item)
	if dropErr := m.spool.drop(item.taskID); err == nil && dropErr != nil {
		err = fmt.Errorf("remove printed output: %w", dropErr)
	}
	m.window.printed(size)
	return err
}

// printEnd prints how a command ended. It returns an error if that cannot be written.
func (m *mapRun) printEnd(item *mapItem) error {
	if item.notRun {
		m.summary.notRun++
		return nil
	}
	tail := item.failure.stderr
	if tail == "" && item.failure.why != "" {
		tail = string(item.stderr.end(mapTailBytes, m.spool, item.taskID))
	}
	err := m.printOutputs(item)
	var lost *outputLostError
	if errors.As(err, &lost) {
		item.failure.why, err = lost.Error(), nil
		m.screen.ended(false)
		if !m.options.keepGoing {
			m.stop(errStopped)
		}
	}
	if item.failure.why == "" {
		m.summary.succeeded++
		return err
	}
	item.failure.stderr = tail
	m.summary.add(item.failure)
	return err
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

func (m *mapRun) printOutputs(item *mapItem) error {
	if item.stderr.size() > 0 {
		if err := m.screen.out.Flush(); err != nil {
			return err
		}
		if err := m.printOutput(m.screen.err, item.stderr, item); err != nil {
			return err
		}
	}
	return m.printOutput(m.screen.out, item.stdout, item)
}

// printOutput writes an output, with the input before each line if that is wanted.
func (m *mapRun) printOutput(w io.Writer, output mapOutput, item *mapItem) error {
	if !m.options.tag {
		return output.copyTo(w, m.spool, item.taskID)
	}
	tagged := &tagWriter{w: w, tag: item.input + "\t"}
	if err := output.copyTo(tagged, m.spool, item.taskID); err != nil {
		return err
	}
	return tagged.endLine()
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
	if err := errors.Join(printErr, m.screen.finish()); errors.Is(err, syscall.EPIPE) {
		return silent(exitSignal + int(syscall.SIGPIPE)) // whoever reads has seen enough
	} else if err != nil {
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
