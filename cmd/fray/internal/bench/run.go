package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray"
)

// stallAfter is how long nothing may come back until a run is given up.
const stallAfter = 2 * time.Minute

// A Target is a controller that has workers with the functions of a run.
type Target struct {
	// NewJob returns a job context for a job with this id, which its caller closes.
	NewJob func(id string) (*fray.JobContext, error)
	// Metrics returns what the controller shows under /metrics; nil: it cannot be asked.
	Metrics func(ctx context.Context) (Metrics, error)
	// Usage returns what the processes of each part have taken of the machine so far; nil: that is not
	// known.
	Usage func() map[string]Usage
	// Memory returns what the processes of the controller and of one worker have, by "controller" and
	// "worker"; nil: that is not known.
	Memory func() map[string]Memory
	// Slots are those of all workers of the run.
	Slots int
}

// A Crew are the workers of one controller: so many processes, in each of them so many workers, which
// have so many slots each. The zero Crew is of nobody.
type Crew struct{ Processes, Workers, Slots int }

// Config says what to measure, and with what.
type Config struct {
	Plan
	Workloads []Workload
	Functions *Functions
	// Run names the jobs, and nothing else has it.
	Run    string
	Target Target
	// Fresh starts a controller of its own with workers of its own, and returns what ends them; nil:
	// Target's has to do.
	Fresh func(ctx context.Context, crew Crew) (Target, func() error, error)
	// Peer is the other process of limits; nil: those that need one are left out, with a note.
	Peer *Peer
	// SyncDir is where fsync puts its file; empty: it is left out, with a note.
	SyncDir string
	// Costs has what tasks cost noted with the rows.
	Costs bool
	// Progress is told what runs next, and how many runs of workloads of all have ended. Nil: nobody is.
	Progress func(what string, ended, all int)
}

// A TaskError is a task that did not come back as it should.
type TaskError struct {
	// Row is what was measured, and TaskID the task, if it has one.
	Row, TaskID string
	Err         error
}

// Error implements error.
func (e *TaskError) Error() string {
	if e.TaskID == "" {
		return fmt.Sprintf("%s: %v", e.Row, e.Err)
	}
	return fmt.Sprintf("%s: task %s: %v", e.Row, e.TaskID, e.Err)
}

// Unwrap returns what went wrong.
func (e *TaskError) Unwrap() error { return e.Err }

// errStalled is why a run ends in which nothing comes back.
var errStalled = fmt.Errorf("nothing has come back for %s", stallAfter)

// Run measures until all is done, ctx is, or something goes wrong. The report has what was measured by
// then, beside an error, too, which is ctx's cause if it ended.
func Run(ctx context.Context, c Config) (*Report, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &meter{Config: &c, report: newReport(&c)}
	defer m.report.settle()
	all := c.Repeat * len(c.Workloads)
	for m.repetition = range c.Repeat {
		for i, w := range c.Workloads {
			if c.Progress != nil {
				c.Progress(w.Name, m.repetition*len(c.Workloads)+i, all)
			}
			m.workload = &c.Workloads[i]
			err := m.measure(ctx)
			if ctx.Err() != nil {
				m.report.Interrupted = true
				return m.report, context.Cause(ctx)
			}
			if err != nil {
				return m.report, err
			}
		}
	}
	return m.report, nil
}

// meter is what a workload measures with.
type meter struct {
	*Config

	report     *Report
	workload   *Workload
	repetition int
	jobs       int
	came       atomic.Int64 // things that have come back
}

// measure runs the workload once, and gives it up if nothing comes back.
func (m *meter) measure(ctx context.Context) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		ticker := time.NewTicker(stallAfter)
		defer ticker.Stop()
		for before := m.came.Load(); ; {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			now := m.came.Load()
			if now == before {
				giveUp(errStalled)
				return
			}
			before = now
		}
	}()
	err := m.workload.run(ctx, m)
	giveUp(nil)
	<-watched
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return fmt.Errorf("%w: %w", errStalled, err)
	}
	return err
}

// job opens a job at a controller, and calls fn with a context in which tasks belong to it. What is
// still open then is cancelled.
func (m *meter) job(ctx context.Context, target *Target, fn func(ctx context.Context) error) (err error) {
	m.jobs++
	jc, err := target.NewJob(fmt.Sprintf("fray-bench-%s-%d", m.Run, m.jobs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, jc.Close()) }()
	err = fn(fray.NewContext(ctx, jc))
	if err != nil || ctx.Err() != nil {
		err = errors.Join(err, cancel(ctx, jc))
	}
	return err
}

// cancelTime is how long a controller may take to cancel what is left of a job.
const cancelTime = 5 * time.Second

func cancel(ctx context.Context, jc *fray.JobContext) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer done()
	return jc.Cancel(ctx)
}

// note notes a figure of this repetition, of things that took some time together and ended.
func (m *meter) note(row string, s sample) { m.report.add(m.workload, row, s) }

// leaveOut says in the report why a workload has no row, once.
func (m *meter) leaveOut(format string, args ...any) {
	if m.repetition == 0 {
		m.report.Notes = append(m.report.Notes, m.workload.Name+" is left out: "+fmt.Sprintf(format, args...))
	}
}
