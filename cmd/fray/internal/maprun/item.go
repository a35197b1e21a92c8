package maprun

import (
	"context"
	"errors"

	"github.com/frayrpc/fray/cmd/fray/internal/mapplan"
	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

// item is one command.
type item struct {
	name string // its arguments
	job  mapplan.Job
	argv []string // with a log: what was run
	sent int64    // bytes of input
	// inputFile is the file in the spool that has its input; empty: none has.
	inputFile string
	taskID    string
	future    *fray.Future[execfn.Result] // nil once it has ended: its value is let go of
	ended     chan struct{}               // closed when it has, or is not waited for any more

	// Set when ended is closed.
	notRun         bool    // it did not end by itself
	failure        failure // why is empty: it succeeded
	exitCode       int
	account        *execfn.Account // nil: there is none
	stdout, stderr output

	tails [outputsOfCommand]followed // how far its outputs are printed while it runs; of the printer
}

// size is how many bytes of the command wait to be printed.
func (i *item) size() int64 { return i.stdout.size() + i.stderr.size() }

// await waits for the end of a command, and takes down how that was.
func (m *run) await(item *item) {
	defer func() {
		close(item.ended)
		if m.AsEnded {
			m.ready <- item // there is room: it has the window's size
		}
	}()
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
	if item.inputFile != "" {
		_ = m.Spool.root.Remove(item.inputFile) // else the end of the run does
	}
	m.decoding <- struct{}{}
	m.conclusion(item)
	<-m.decoding
	ok := item.failure.why == ""
	m.Screen.Ended(ok && !item.notRun)
	if !item.notRun {
		m.count(ok)
	}
	m.window.ended(item.size()) // after it was counted: none begins that is not to
}

// conclusion takes down how a command ended whose future is done.
func (m *run) conclusion(item *item) {
	result, err := item.future.Get(context.WithoutCancel(m.life))
	item.future = nil
	item.failure = failure{name: item.name, taskID: item.taskID}
	item.exitCode = -1
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
		} else {
			item.exitCode, item.account = result.ExitCode, result.Account
		}
	case err != nil:
		item.failure.why = err.Error()
		return
	default:
		item.failure.why = wording.Result(result)
		item.exitCode, item.account = result.ExitCode, result.Account
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
	ctx := fray.NewContext(m.life, m.Job)
	return errors.Join(item.stdout.shelve(ctx, m.Spool, item.taskID, "0.out"), item.stderr.shelve(ctx, m.Spool, item.taskID, "0.err"))
}
