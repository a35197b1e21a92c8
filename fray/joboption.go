package fray

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// jobOptions are what the job of a job context has besides its id.
type jobOptions struct {
	wire *frayv1.JobOptions
	// The parent was said, be it that there is none.
	parentSaid bool
	err        error // of the first option that is wrong
}

func (c *jobConfig) wrong(err error) {
	if c.job.err == nil {
		c.job.err = err
	}
}

// WithParentJob makes the job of the job context a part of another, by its id. The parent has had a task, and belongs
// to the same caller or to everybody. To cancel it cancels this job's open tasks, too, as does its failure, see
// [WithMaxFailed]; and its environment is inherited, see [WithEnvironment].
//
// A job context that is opened in a task, with the task's context, has the task's job as its parent by default, if its
// own is another one, and if its controller has the address by which the worker calls it. With "" it has none. On the
// sync and threadpool backends a parent gives its environment alone, and only in a task of it: what is opened with a
// task's context ends with that.
func WithParentJob(id string) Option {
	return jobOption(func(c *jobConfig) { c.job.wire.ParentJobId, c.job.parentSaid = id, true })
}

// WithEnvironment has all tasks of the job see variables: a function by [Environment], a command of "fray submit" as
// its environment. There are 64 at most, with 16 KiB of names and values, those that are inherited of a parent
// included. Names are letters, digits and underscores, the first no digit; FRAY_ names are refused. Repeated use adds
// to the map.
func WithEnvironment(variables map[string]string) Option {
	variables = maps.Clone(variables)
	return jobOption(func(c *jobConfig) {
		if c.job.wire.Environment == nil {
			c.job.wire.Environment = make(map[string]string, len(variables))
		}
		maps.Copy(c.job.wire.Environment, variables)
	})
}

// WithMaxFailed has the job fail as a whole once more than n of its tasks have failed: its open tasks are cancelled
// then, and whoever runs another one gets [ErrJobFailed]. Tasks that fail with [ReasonDependencyFailed] do not count.
// With [WithMaxFailedShare], too, the more generous of both counts.
func WithMaxFailed(n int) Option {
	return jobOption(func(c *jobConfig) {
		most, err := number.Within[uint32]("max failed", n, 0, math.MaxUint32)
		if err != nil {
			c.wrong(err)
		}
		c.job.wire.MaxFailed = &most
	})
}

// WithMaxFailedShare is [WithMaxFailed] for a share of the tasks that were submitted by then, rounded down: more than
// 0 and less than 1.
func WithMaxFailedShare(p float64) Option {
	return jobOption(func(c *jobConfig) {
		if !(p > 0 && p < 1) {
			c.wrong(fmt.Errorf("max failed share %v is not between 0 and 1", p))
		}
		c.job.wire.MaxFailedShare = p
	})
}

// WithJobWeight sets how many of the job's tasks are handed out when it is its turn among the jobs that wait for the
// same workers, from 1 to 100: of two that always have tasks, one of weight 3 gets three times what one of weight 1
// does. The default is 1. On the sync and threadpool backends, which run tasks of one job, it counts for nothing.
func WithJobWeight(w int) Option {
	return jobOption(func(c *jobConfig) {
		weight, err := number.Within[uint32]("job weight", w, 1, limit.JobWeight)
		if err != nil {
			c.wrong(err)
		}
		c.job.wire.Weight = weight
	})
}

// Environment returns what the job of the running task that ctx belongs to has its tasks see, see [WithEnvironment].
// The map is the caller's.
func Environment(ctx context.Context) map[string]string {
	variables, _ := attempt.Info[attempt.Environment](ctx) // none: it is in no task, or its job has none
	return maps.Clone(map[string]string(variables))
}

// prepareJob completes and checks the options of the job of a job context that is made with ctx.
func (c *jobConfig) prepareJob(ctx context.Context, jc *JobContext) error {
	if c.job.err != nil {
		return c.job.err
	}
	o := c.job.wire
	info, inTask := InTask(ctx)
	outer, err := FromContext(ctx)
	byDefault := inTask && err == nil && !c.job.parentSaid && info.JobID != jc.jobID && (jc.isLocal() ||
		outer.address != "" && outer.address == jc.address)
	if byDefault {
		o.ParentJobId = info.JobID
	}
	if err := wire.CheckJobOptions(jc.jobID, o); err != nil {
		return fmt.Errorf("job options: %w", err)
	}
	if !wire.SaysNothing(o) {
		jc.options = o
	}
	if !jc.isLocal() {
		return nil
	}
	jc.environment = attempt.Environment(o.GetEnvironment())
	if inTask && o.GetParentJobId() == info.JobID {
		jc.environment = attempt.Environment(Environment(ctx))
		if jc.environment == nil {
			jc.environment = make(attempt.Environment)
		}
		maps.Copy(jc.environment, o.GetEnvironment())
		if err := wire.CheckEnvironment(jc.environment); err != nil {
			return fmt.Errorf("job options, with those of parent job %s: %w", info.JobID, err)
		}
	}
	if o.MaxFailed != nil || o.GetMaxFailedShare() > 0 {
		jc.failing = &failingJob{options: o}
	}
	return nil
}

// failingJob counts the tasks of a local job that may fail as a whole.
type failingJob struct {
	options *frayv1.JobOptions

	mu                sync.Mutex
	submitted, failed uint64
	over              bool
}

// take counts a call that is new to its job, or refuses it as a controller would.
func (j *failingJob) take(c *call) bool {
	if j == nil {
		return true
	}
	j.mu.Lock()
	over := j.over
	if !over {
		j.submitted++
	}
	j.mu.Unlock()
	if over {
		c.denyFor(connect.CodeFailedPrecondition, wire.ReasonJobFailed,
			"task %q: job %q has failed as a whole, as more of its tasks have than its options allow: submit to another job", c.id, c.jc.jobID)
		return false
	}
	ends := false
	c.listen(&listener{
		ended: func() { ends = j.end(c) },
		wake: func() {
			if ends {
				_ = c.jc.backend.cancelAll(context.Background(), cancelConfig{}) // which has no error in this process
			}
		},
	})
	return true
}

// end counts a call that has ended, and reports whether that is one failure too many.
func (j *failingJob) end(c *call) bool {
	_, _, err := c.result()
	refused := c.refusal() != nil
	j.mu.Lock()
	defer j.mu.Unlock()
	if refused {
		j.submitted--
		return false
	}
	var failed *TaskError
	if !errors.As(err, &failed) || failed.Reason == ReasonCancelled || failed.Reason == ReasonDependencyFailed ||
		failed.Reason == ReasonTaskLost {
		return false
	}
	j.failed++
	most := uint64(math.Floor(j.options.GetMaxFailedShare() * float64(j.submitted)))
	most = max(most, uint64(j.options.GetMaxFailed()))
	if j.over || j.failed <= most {
		return false
	}
	j.over = true
	return true
}
