package maprun

import (
	"context"
	"errors"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

// item is one command.
type item struct {
	input  string
	taskID string
	future *fray.Future[execfn.Result] // nil once it has ended: its value is let go of
	ended  chan struct{}               // closed when it has, or is not waited for any more

	// Set when ended is closed.
	notRun         bool    // it did not end by itself
	failure        failure // why is empty: it succeeded
	stdout, stderr output
}

// size is how many bytes of the command wait to be printed.
func (i *item) size() int64 { return i.stdout.size() + i.stderr.size() }

// await waits for the end of a command, and takes down how that was.
func (m *run) await(item *item) {
	defer close(item.ended)
	select {
	case <-item.future.Done():
	case <-m.life.Done():
		select {
		case <-item.future.Done():
		default:
			item.notRun = true
			m.window.ended(0)
			return
		}
	}
	m.decoding <- struct{}{}
	m.conclusion(item)
	<-m.decoding
	m.window.ended(item.size())
	ok := item.failure.why == "" && !item.notRun
	m.Screen.Ended(ok)
	if !ok && !m.KeepGoing {
		m.stop(ErrFailed)
	}
}

// conclusion takes down how a command ended whose future is done.
func (m *run) conclusion(item *item) {
	result, err := item.future.Get(context.WithoutCancel(m.life))
	item.future = nil
	item.failure = failure{input: item.input, taskID: item.taskID}
	var problem *fray.TaskError
	switch {
	case errors.Is(err, fray.ErrCancelled), errors.Is(err, fray.ErrClosed):
		item.notRun = true
		return
	case errors.Is(err, fray.ErrJobFailed):
		item.notRun = true
		m.stop(ErrFailed)
		return
	case errors.As(err, &problem):
		var stderr string
		item.failure.why, stderr = wording.Failure(problem)
		item.failure.where = wording.Attempt(problem.Attempt, problem.MaxAttempts, problem.WorkerID)
		var known bool
		if result, known = execfn.OutputOf(err); !known {
			result.Stderr = []byte(stderr)
			item.failure.stderr = stderr
		}
	case err != nil:
		item.failure.why = err.Error()
		return
	default:
		item.failure.why = wording.Result(result)
	}
	item.stdout = output{result.Stdout, result.StdoutMore}
	item.stderr = output{result.Stderr, result.StderrMore}
	if err := m.shelve(item); err != nil {
		item.failure.why, item.stdout, item.stderr = err.Error(), output{}, output{}
	}
}

var errForeignFile = errors.New("the worker names a file of its machine as the output: it was started to serve another map")

// shelve sees to it that what a command printed waits in files, as far as it is long.
func (m *run) shelve(item *item) error {
	if m.Lost == nil { // the workers are on other machines
		for _, o := range []output{item.stdout, item.stderr} {
			if o.more != nil && o.more.File != "" {
				return errForeignFile
			}
		}
	}
	return errors.Join(item.stdout.shelve(m.Spool, item.taskID, "0.out"), item.stderr.shelve(m.Spool, item.taskID, "0.err"))
}
