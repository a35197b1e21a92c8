package main

import (
	"context"
	"errors"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

// mapItem is one command.
type mapItem struct {
	input  string
	taskID string
	future *fray.Future[execfn.Result] // nil once it has ended: its value is let go of
	ended  chan struct{}               // closed when it has, or is not waited for any more

	// Set when ended is closed.
	notRun         bool       // it did not end by itself
	failure        mapFailure // why is empty: it succeeded
	stdout, stderr mapOutput
}

// size is how many bytes of the command wait to be printed.
func (i *mapItem) size() int64 { return i.stdout.size() + i.stderr.size() }

// await waits for the end of a command, and takes down how that was.
func (m *mapRun) await(item *mapItem) {
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
	m.screen.ended(ok)
	if !ok && !m.options.keepGoing {
		m.stop(errStopped)
	}
}

// conclusion takes down how a command ended whose future is done.
func (m *mapRun) conclusion(item *mapItem) {
	result, err := item.future.Get(context.WithoutCancel(m.life))
	item.future = nil
	item.failure = mapFailure{input: item.input, taskID: item.taskID}
	var problem *fray.TaskError
	switch {
	case errors.Is(err, fray.ErrCancelled), errors.Is(err, fray.ErrClosed):
		item.notRun = true
		return
	case errors.As(err, &problem):
		var stderr string
		item.failure.why, stderr = taskProblem(problem)
		item.failure.where = attemptText(problem.Attempt, problem.MaxAttempts, problem.WorkerID)
		var known bool
		if result, known = execfn.OutputOf(err); !known {
			result.Stderr = []byte(stderr)
			item.failure.stderr = stderr
		}
	case err != nil:
		item.failure.why = err.Error()
		return
	default:
		item.failure.why = resultProblem(result)
	}
	item.stdout = mapOutput{result.Stdout, result.StdoutMore}
	item.stderr = mapOutput{result.Stderr, result.StderrMore}
	if err := m.shelve(item); err != nil {
		item.failure.why, item.stdout, item.stderr = err.Error(), mapOutput{}, mapOutput{}
	}
}

var errForeignFile = errors.New("the worker names a file of its machine as the output: it was started to serve another map")

// shelve sees to it that what a command printed waits in files, as far as it is long.
func (m *mapRun) shelve(item *mapItem) error {
	if m.clusterFailed == nil { // The cluster is not ours, and its machines are others.
		for _, o := range []mapOutput{item.stdout, item.stderr} {
			if o.more != nil && o.more.File != "" {
				return errForeignFile
			}
		}
	}
	return errors.Join(item.stdout.shelve(m.spool, item.taskID, "0.out"), item.stderr.shelve(m.spool, item.taskID, "0.err"))
}
