package system

import (
	"context"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

const (
	// A visitor's call has this much time, or as long as it waits and as much again.
	visitWithin = 5 * time.Second
	visitWait   = 2 * time.Second
	// How many tasks it asks for by their names at once, at most.
	visitNames = 5
)

// A visitor asks about what others submitted, in all the ways there are. What it is told goes into
// the history: the oracles hold the cluster to it.
type visitor struct {
	*System

	group  *cluster.VisitorGroup
	name   string
	random *rand.Rand
	client frayv1connect.ControllerServiceClient
	// Its mistakes, which it judges by itself, are no part of the history: some have 50,000 items.
	mistaken frayv1connect.ControllerServiceClient
	do       func(func())

	// The list that it pages through, and how far it has watched which job.
	list *frayv1.ListTasksRequest
	job  string
	seen uint64
	// What it has submitted as one who floods, and its session as one who forges.
	flooded int
	session forgedSession
}

// visit is the software of a visitor: it comes and goes until the run is over.
func (s *System) visit(ctx context.Context, m engine.Machine, g *cluster.VisitorGroup) error {
	v := &visitor{System: s, group: g, name: m.Name(), random: m.Rand("visits"), do: m.Do}
	v.client = frayv1connect.NewControllerServiceClient(s.wanderer(m, v.random), s.firstURL(), s.shows(m.Name()), s.observed(m))
	v.mistaken = frayv1connect.NewControllerServiceClient(s.wanderer(m, v.random), s.firstURL(), s.shows(m.Name()), connect.WithInterceptors(m.Interceptor()))
	pause := time.Duration(g.Start)
	for sleep.For(ctx, v.about(pause)) == nil {
		// Its calls do not know when it leaves.
		stay, leave := context.WithCancel(ctx)
		goes := time.AfterFunc(v.about(within(&g.Stay, v.random)), leave)
		v.stay(stay)
		goes.Stop()
		leave()
		v.goHome(ctx)
		pause = within(&g.Away, v.random)
	}
	return nil
}

// about is a time at which nothing else happens.
func (v *visitor) about(d time.Duration) time.Duration {
	return d + 1 + time.Duration(v.random.Int64N(int64(engine.Jitter)))
}

func (v *visitor) stay(ctx context.Context) {
	v.list, v.job, v.seen = nil, "", 0
	for {
		call, cancel := context.WithTimeout(ctx, visitWithin)
		err := v.ask(call)
		cancel()
		v.do(func() {
			v.tally.change(func(f *cluster.Facts) {
				switch {
				case err == nil:
					f.Visits.Answered++
				case ctx.Err() != nil:
					f.Visits.Left++
				default:
					f.Visits.Failed++
				}
			})
		})
		if sleep.For(ctx, v.about(within(&v.group.Every, v.random))) != nil {
			return
		}
	}
}

// some returns up to n tasks that the controller has promised to keep.
func (v *visitor) some(n int) (names []string) {
	v.do(func() {
		known := v.tally.acknowledgedTasks()
		for range min(n, len(known)) {
			names = append(names, known[v.random.IntN(len(known))])
		}
	})
	return names
}

func (v *visitor) ask(ctx context.Context) error {
	switch {
	case v.group.Floods != nil:
		return v.flood(ctx)
	case v.group.Forger:
		return v.forge(ctx)
	}
	names := v.some(1 + v.random.IntN(visitNames))
	if v.group.Stranger && len(names) > 0 {
		return v.trespass(ctx, names)
	}
	if len(names) == 0 {
		_, err := v.client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
		return err
	}
	if v.group.Mistakes > 0 && v.random.Float64() < float64(v.group.Mistakes) {
		return v.mistake(ctx, names[0])
	}
	if v.group.Cancel > 0 && v.random.Float64() < float64(v.group.Cancel) {
		_, err := v.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: names[:1]})
		return err
	}
	switch v.random.IntN(9) {
	case 0:
		_, err := v.client.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: names[0]})
		return err
	case 1:
		_, err := v.client.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: names[0], MaxWaitMs: v.wait()})
		return err
	case 2:
		_, err := v.client.GetTaskResults(ctx, &frayv1.GetTaskResultsRequest{TaskIds: names, MaxWaitMs: v.wait()})
		return err
	case 3:
		_, err := v.client.ListWorkers(ctx, &frayv1.ListWorkersRequest{})
		return err
	case 4:
		_, err := v.client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
		return err
	case 5, 6:
		return v.watch(ctx)
	default:
		return v.page(ctx)
	}
}

// wait is how long the controller is to wait for an end; often not at all.
func (v *visitor) wait() int64 {
	return max(0, v.random.Int64N(2*visitWait.Milliseconds())-visitWait.Milliseconds())
}

// page asks for the next page of a list, or for the first of another.
func (v *visitor) page(ctx context.Context) error {
	if v.list == nil {
		v.list = &frayv1.ListTasksRequest{PageSize: uint32(v.group.Page)} //nolint:gosec // At most 1,000.
		if v.random.IntN(2) == 0 {
			v.list.JobId = v.anyJob()
		}
		if v.random.IntN(2) == 0 {
			first := frayv1.TaskStatus(1 + v.random.IntN(len(frayv1.TaskStatus_name)-1)) //nolint:gosec // There are few.
			v.list.Statuses = []frayv1.TaskStatus{first}
		}
	}
	res, err := v.client.ListTasks(ctx, v.list)
	if v.list.PageToken = res.GetNextPageToken(); v.list.PageToken == "" {
		v.list = nil
	}
	return err
}

// watch asks what of a job has ended since it asked last, from the beginning of the job.
func (v *visitor) watch(ctx context.Context) error {
	if v.job == "" {
		v.job, v.seen = v.anyJob(), 0
	}
	res, err := v.client.WatchJob(ctx, &frayv1.WatchJobRequest{
		JobId: v.job, Cursor: v.seen, WatcherId: v.name, MaxWaitMs: visitWait.Milliseconds(), MaxResults: uint32(v.group.Page), //nolint:gosec // At most 1,000.
	})
	if v.seen = max(v.seen, res.GetNextCursor()); err != nil {
		v.job = "" // It may have been forgotten.
	}
	return err
}

// anyJob returns the job of some client.
func (v *visitor) anyJob() string {
	groups := v.Workload.Clients
	g := &groups[v.random.IntN(len(groups))]
	hosts := g.Hosts()
	return jobOf(g, hosts[v.random.IntN(len(hosts))], v.random.IntN(g.Jobs))
}
