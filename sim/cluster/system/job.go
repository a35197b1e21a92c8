package system

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

// brokenEnvironment is what a cluster breaks that has a task see another environment than its job has.
const brokenEnvironment = "environment-kept"

// It says, as a task's failure, that it saw another environment than its job's.
var errEnvironment = errors.New(brokenEnvironment)

const (
	// A client asks so often, and after so long a time, whether the parent of its job is there.
	parentTries = 100
	parentEvery = 200 * time.Millisecond
)

// jobOptions returns what a client's job is to have besides its name.
func (c *submitter) jobOptions() []fray.Option {
	j := c.group.Job
	if j == nil {
		return nil
	}
	var options []fray.Option
	if parent, host := c.ParentHost(c.group, c.name); parent != nil {
		options = append(options, fray.WithParentJob(jobOf(parent, host, 0)))
	}
	if j.MaxFailed >= 0 {
		options = append(options, fray.WithMaxFailed(j.MaxFailed))
	}
	if j.MaxFailedShare > 0 {
		options = append(options, fray.WithMaxFailedShare(float64(j.MaxFailedShare)))
	}
	if j.Weight > 1 {
		options = append(options, fray.WithJobWeight(j.Weight))
	}
	if len(j.Environment) > 0 {
		options = append(options, fray.WithEnvironment(j.Environment))
	}
	return options
}

// callChild is call, again and again while the parent of the client's job is not there.
func (c *submitter) callChild(ctx context.Context, o *offer) (futures []*fray.Future[[]byte], err error) {
	for range parentTries {
		if futures, err = call(ctx, o); err != nil || len(futures) == 0 {
			if !c.awaitsParent(ctx, err) {
				return futures, err
			}
			continue
		}
		select {
		case <-futures[0].Done():
		default:
			return futures, nil
		}
		if _, refused := futures[0].Get(ctx); !c.awaitsParent(ctx, refused) {
			return futures, nil
		}
	}
	return futures, err
}

// awaitsParent says whether something was refused because the job's parent has had no task yet, a while after that.
func (c *submitter) awaitsParent(ctx context.Context, err error) bool {
	if c.group.Job == nil || !errors.Is(err, fray.ErrUnknownJob) {
		return false
	}
	return sleep.For(ctx, parentEvery+1+time.Duration(c.random.Int64N(int64(engine.Jitter)))) == nil
}

// environment judges what the attempt's function sees of its job's environment.
func (x *executor) environment(ctx context.Context, info fray.TaskInfo) error {
	if !x.Workload.HasJobOptions() {
		return nil
	}
	seen := fray.Environment(ctx)
	want := x.environments[info.JobID]
	if maps.Equal(seen, want) {
		return nil
	}
	return fray.NonRetryable(fmt.Errorf("%w: the task sees %v, and its job %s has %v",
		errEnvironment, seen, info.JobID, want))
}

// environmentsOf returns what the tasks of each job see.
func environmentsOf(s *cluster.Scenario) map[string]map[string]string {
	all := map[string]map[string]string{}
	if !s.Workload.HasJobOptions() {
		return all
	}
	for i := range s.Workload.Clients {
		g := &s.Workload.Clients[i]
		for _, host := range g.Hosts() {
			for number := range g.Jobs {
				all[jobOf(g, host, number)] = s.EnvironmentOf(g)
			}
		}
	}
	return all
}
