package system

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// Client implements engine.System.
func (s *System) Client(h scenario.Host) engine.Work {
	if g := s.VisitorGroup(h.Group); g != nil {
		return func(ctx context.Context, m engine.Machine) error { return s.visit(ctx, m, g) }
	}
	g := s.ClientGroup(h.Group)
	return func(ctx context.Context, m engine.Machine) error { return s.client(ctx, m, g) }
}

// client is the software of a client: it submits its tasks, cancels some, and ends when all have
// ended.
func (s *System) client(ctx context.Context, m engine.Machine, g *cluster.ClientGroup) error {
	c := &submitter{
		System: s, group: g, machine: m, name: m.Name(), random: m.Rand("workload"),
		due: time.Duration(g.Arrival.Start),
	}
	c.due += time.Duration(c.random.Int64N(int64(engine.Jitter)))
	for job := range g.Jobs {
		c.job, c.lastJob = jobOf(g, c.name, job), job == g.Jobs-1
		// The first ones have the odd tasks.
		last := c.number + (g.Tasks-c.number+g.Jobs-job-1)/(g.Jobs-job)
		if err := c.runJob(ctx, last); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// jobOf returns the name of a client's job of a number, from 0.
func jobOf(g *cluster.ClientGroup, client string, number int) string {
	if g.Jobs == 1 {
		return client
	}
	return fmt.Sprintf("%s.job-%d", client, number+1)
}

// runJob submits tasks up to a number in one job, and waits for their ends. A client that leaves
// does so in two parts.
func (c *submitter) runJob(ctx context.Context, last int) error {
	c.offers = nil
	if leaves := c.group.Leaves; leaves != nil {
		stays := within(&leaves.After, c.random) + 1 + time.Duration(c.random.Int64N(int64(engine.Jitter)))
		away := within(&leaves.Away, c.random) + 1 + time.Duration(c.random.Int64N(int64(engine.Jitter)))
		// It stops waiting before its job context is closed: which of the two its goroutines see first
		// would be up to chance.
		life, end := context.WithTimeout(ctx, stays+engine.Jitter)
		stay, leave := context.WithTimeout(life, stays)
		err := c.inJob(stay, life, last)
		leave()
		end()
		if err != nil {
			return err
		}
		if sleep.For(ctx, away) != nil {
			return nil //nolint:nilerr // The run is over.
		}
	}
	c.stays = true
	return c.inJob(ctx, ctx, last)
}

// inJob opens the job for its life, asks for what was submitted in it before, submits the rest, and
// waits, until ctx is done.
func (c *submitter) inJob(ctx, life context.Context, last int) (err error) {
	jc, err := fray.NewJobContext(life, fray.KindFray, append(c.jobOptions(),
		fray.WithControllerAddress(c.ControllerURL()), fray.WithHTTPClient(c.machine.Client()), fray.WithJobID(c.job),
		fray.WithRand(c.machine.Rand("job")), fray.WithLogger(nil), fray.WithToken(c.TokenOf(c.machine.Name())),
		fray.WithClientOptions(connect.WithInterceptors(connect.UnaryInterceptorFunc(c.counted)), c.observed(c.machine)))...)
	switch {
	case err != nil && life.Err() != nil:
		return nil // The client leaves.
	case err != nil:
		return fmt.Errorf("open job: %w", err)
	}
	defer func() {
		if closeErr := jc.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close job: %w", closeErr)
		}
	}()
	defer c.ends.Wait()
	ctx = fray.NewContext(ctx, jc)
	c.awaited = nil
	if span := c.group.CancelsJobs; span != nil {
		after := within(span, c.random) + 1 + time.Duration(c.random.Int64N(int64(engine.Jitter)))
		c.ends.Go(func() {
			if sleep.For(ctx, after) == nil {
				_ = jc.Cancel(ctx) // Whatever it says, its tasks end somehow.
			}
		})
	}
	for _, o := range c.offers {
		if o.open() {
			c.offer(ctx, o)
		}
	}
	c.submitUpTo(ctx, last)
	switch c.group.Waits {
	case cluster.WaitsCompleted:
		c.awaitCompleted(ctx)
	case cluster.WaitsSome:
		c.awaitSome(ctx)
	}
	if c.lastJob && c.stays && c.calls(c.group) {
		c.ends.Wait()
		c.deleteActors(ctx)
	}
	return nil
}

// observed has a client's calls recorded, and faults of its own side injected.
func (s *System) observed(m engine.Machine) connect.ClientOption {
	return connect.WithInterceptors(check.NewRecorder(s.history, m.Name()).ClientInterceptor(), m.Interceptor())
}

// counted counts each call on its way.
func (s *System) counted(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		s.tally.change(func(f *cluster.Facts) { f.Calls[path.Base(req.Spec().Procedure)]++ })
		return next(ctx, req)
	}
}

// A submitter is the workload of one client.
type submitter struct {
	*System

	group   *cluster.ClientGroup
	machine engine.Machine
	name    string
	job     string
	random  *rand.Rand
	// Of the job: it is the client's last, and it has come back to it or never left.
	lastJob, stays bool
	// The actors that it has deleted, by name, and how often it has called those of a kind.
	deleted map[string]bool
	called  map[*cluster.TaskKind]int
	// Closed once the last schedule of a kind has ended, where all have one name.
	named map[*cluster.TaskKind]<-chan struct{}
	// Kinds of the tasks to come, see next.
	deck []*cluster.TaskKind
	// The number of the next task, and when it comes.
	number int
	due    time.Duration
	// What was submitted in this job.
	offers []*offer
	ends   sync.WaitGroup
	// What it waits for once all are submitted.
	awaited []*awaited
	// Tasks that were accepted, which others may need.
	accepted []string
}

// awaited is a task whose end is waited for together with those of others.
type awaited struct {
	*fray.Future[[]byte]

	offer *offer
	index int
}

// An offer is some tasks of one kind that are submitted in one call.
type offer struct {
	number  int // of the first
	kind    *cluster.TaskKind
	inputs  [][]byte
	needs   []string // tasks
	options []fray.CallOption
	actor   string // whom it calls, by name; empty: nobody
	key     string // of its task; empty: it has none
	begun   time.Duration

	mu    sync.Mutex
	known []offered // of each task
	// Another task has its key, or had.
	foundOther bool
	whom       any // the *fray.Actor that it has called, whoever has its name since
}

// offered is how far one task has come.
type offered int

const (
	unsent offered = iota
	accepted
	over // It has ended, or was refused.
)

func (o *offer) stands(i int) offered {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known[i]
}

func (o *offer) becomes(i int, v offered) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known[i] = v
}

// open says whether the end of one of them is not known.
func (o *offer) open() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.known, func(v offered) bool { return v != over })
}

func (c *submitter) submitUpTo(ctx context.Context, last int) {
	a := &c.group.Arrival
	for c.number < last {
		if wait := c.due - c.run.Elapsed(); wait > 0 && sleep.For(ctx, wait) != nil {
			return // The run is over, or the client leaves.
		}
		if ctx.Err() != nil {
			return
		}
		batch := make([]*cluster.TaskKind, min(a.Batch, last-c.number))
		for i := range batch {
			batch[i] = c.next()
		}
		for len(batch) > 0 { // Each call has tasks of one kind.
			kind, n := batch[0], 0
			var rest []*cluster.TaskKind
			for _, k := range batch {
				if k == kind {
					n++
				} else {
					rest = append(rest, k)
				}
			}
			c.submit(ctx, kind, n)
			batch = rest
		}
		if mean := a.Rate.Interval() * time.Duration(a.Batch); mean > 0 {
			step := mean
			if a.Pattern == "random" {
				step = time.Duration(c.random.ExpFloat64() * float64(mean))
			}
			c.due += step
		}
	}
}

// next returns the kind of the next task: from a shuffled deck in which each kind is as often as it
// weighs.
func (c *submitter) next() *cluster.TaskKind {
	if len(c.deck) == 0 {
		for i := range c.Workload.Mix {
			k := &c.Workload.Mix[i]
			if c.group.Submits(k) {
				for range k.Weight {
					c.deck = append(c.deck, k)
				}
			}
		}
		c.random.Shuffle(len(c.deck), func(i, j int) { c.deck[i], c.deck[j] = c.deck[j], c.deck[i] })
	}
	k := c.deck[0]
	c.deck = c.deck[1:]
	return k
}

// submit submits some tasks of one kind in one call, and has their ends noted.
func (c *submitter) submit(ctx context.Context, k *cluster.TaskKind, n int) {
	if k.Schedule != nil {
		for range n {
			c.schedule(ctx, k)
		}
		return
	}
	if (c.group.Waits == cluster.WaitsCall || k.Unique != nil) && n > 1 {
		for range n {
			c.submit(ctx, k, 1)
		}
		return
	}
	if k.Gang > 0 && n > k.Gang {
		c.submit(ctx, k, k.Gang)
		c.submit(ctx, k, n-k.Gang)
		return
	}
	begun := c.run.Elapsed()
	options := append(optionsOf(k), fray.WithTaskID(fmt.Sprintf("%s.%d", c.name, c.number)))
	o := &offer{number: c.number, kind: k, inputs: inputsOf(k, n, c.random), options: options, begun: begun, known: make([]offered, n)}
	o.needs = c.needs(k)
	if k.Actors != nil {
		o.actor = c.nextActor(k)
	}
	if k.Unique != nil {
		o.key = c.nextKey(k)
	}
	if k.NotBefore != nil {
		o.options = append(o.options, fray.WithNotBefore(time.Now().Add(within(k.NotBefore, c.random))))
	}
	c.offers = append(c.offers, o)
	c.number += n
	c.offer(ctx, o)
	for submission := 1; submission < c.group.Submissions && !o.foundOther; submission++ {
		c.again(ctx, o, submission)
	}
}

// maxNeedsAgo is how many tasks ago one was submitted at most that another needs.
const maxNeedsAgo = 40

// needs returns the tasks that tasks of a kind need which are submitted now.
func (c *submitter) needs(k *cluster.TaskKind) []string {
	if k.Needs == 0 {
		return nil
	}
	lately := slices.Clone(c.accepted[max(0, len(c.accepted)-maxNeedsAgo):])
	c.random.Shuffle(len(lately), func(i, j int) { lately[i], lately[j] = lately[j], lately[i] })
	return lately[:min(k.Needs, len(lately))]
}

// offer submits what is known to be open of an offer, and has the ends noted.
func (c *submitter) offer(ctx context.Context, o *offer) {
	if c.group.Waits == cluster.WaitsCall && o.kind.Cancel == nil && o.key == "" {
		c.ends.Go(func() { c.callOne(ctx, o) })
		_ = sleep.For(ctx, 1+time.Duration(c.random.Int64N(int64(engine.Jitter)))) // Which goes first is not up to chance.
		return
	}
	futures, err := c.callChild(ctx, o)
	if err != nil && ctx.Err() != nil {
		return
	}
	if err != nil && (len(o.inputs) == 1 || len(futures) == 0) {
		for i := range o.inputs {
			c.refused(o, i)
		}
		return
	}
	if o.kind.Actors != nil {
		c.deleteLater(ctx, o)
	}
	if o.key != "" && c.isOther(ctx, o, futures[0]) {
		return
	}
	for i, f := range futures {
		cancelAfter := time.Duration(-1)
		var dependants []fray.CancelOption
		if o.kind.Cancel != nil && o.kind.Cancel.Dependants {
			dependants = append(dependants, fray.WithDependants())
		}
		if cancel := o.kind.Cancel; cancel != nil && c.random.Float64() < float64(cancel.Probability) {
			cancelAfter = within(&cancel.After, c.random) + 1 + time.Duration(c.random.Int64N(int64(engine.Jitter)))
		}
		if o.stands(i) == over {
			continue // It is told again what it knows.
		}
		var refused *fray.TaskError
		select {
		case <-f.Done():
			// Refused, or already at its end.
			if _, err := f.Get(ctx); err != nil && !errors.As(err, &refused) {
				if ctx.Err() == nil {
					c.refused(o, i)
				}
				continue
			}
		default:
		}
		if o.stands(i) == unsent {
			o.becomes(i, accepted)
			c.accepted = append(c.accepted, f.ID())
			c.tally.submitted(o.kind.Name, true)
		}
		if w := c.group.Waits; w == cluster.WaitsEach || w == cluster.WaitsCall { // What is called, and may be cancelled, too.
			c.ends.Go(func() { c.await(ctx, o, i, f) })
		} else {
			c.awaited = append(c.awaited, &awaited{f, o, i})
		}
		if cancelAfter >= 0 {
			c.ends.Go(func() {
				if sleep.For(ctx, cancelAfter) == nil {
					_ = f.Cancel(ctx, dependants...) // Whatever it says, the task ends somehow.
				}
			})
		}
	}
}

// callOne submits the one task of an offer and waits for its end in one.
func (c *submitter) callOne(ctx context.Context, o *offer) {
	id := fmt.Sprintf("%s.%d", c.name, o.number)
	value, err := o.call(ctx)
	var failure *fray.TaskError
	switch {
	case err == nil:
		c.told(ctx, o.kind, id, 0, value)
	case errors.As(err, &failure):
		c.failed(failure)
	case ctx.Err() == nil:
		c.refused(o, 0)
		return
	default:
		return // The run is over, or the client leaves.
	}
	o.becomes(0, over)
	c.tally.submitted(o.kind.Name, true)
	c.tally.ended(o.kind.Name, id, c.run.Elapsed()-o.begun, failure)
}

// refused notes that a task was refused for good.
func (c *submitter) refused(o *offer, i int) {
	if o.stands(i) == unsent {
		c.tally.submitted(o.kind.Name, false)
	}
	o.becomes(i, over)
}

// call submits the one task of an offer, and waits for its value.
func (o *offer) call(ctx context.Context) ([]byte, error) {
	switch {
	case o.kind.Actors != nil:
		return clientActorsOf(o.kind).callOne(ctx, o)
	case o.kind.Needs == 0:
		return taskOf(o.kind).Call(ctx, o.inputs[0], o.options...)
	}
	inputs, err := o.needy(ctx)
	if err != nil {
		return nil, err
	}
	return needyTaskOf(o.kind).Call(ctx, inputs[0], o.options...)
}

// call submits tasks of one kind in one call.
func call(ctx context.Context, o *offer) ([]*fray.Future[[]byte], error) {
	switch {
	case o.kind.Actors != nil:
		return clientActorsOf(o.kind).callAll(ctx, o)
	case o.key != "":
		return o.once(ctx)
	case o.kind.Needs == 0:
		return submitAll(ctx, o, taskOf(o.kind), o.inputs)
	}
	inputs, err := o.needy(ctx)
	if err != nil {
		return nil, err
	}
	return submitAll(ctx, o, needyTaskOf(o.kind), inputs)
}

func submitAll[In any](ctx context.Context, o *offer, t *fray.Task[In, []byte], inputs []In) ([]*fray.Future[[]byte], error) {
	switch {
	case o.kind.Gang > 0:
		return t.RunGang(ctx, inputs, o.options...)
	case len(inputs) == 1:
		f, err := t.Run(ctx, inputs[0], o.options...)
		return []*fray.Future[[]byte]{f}, err
	default:
		return t.RunAll(ctx, inputs, o.options...)
	}
}

// needy returns the inputs with futures of what the tasks need.
func (o *offer) needy(ctx context.Context) ([]needy, error) {
	var needs []*fray.Future[[]byte]
	for _, id := range o.needs {
		f, err := fray.Attach[[]byte](ctx, id)
		if err != nil {
			return nil, err
		}
		needs = append(needs, f)
	}
	inputs := make([]needy, len(o.inputs))
	for i, data := range o.inputs {
		inputs[i] = needy{data, needs}
	}
	return inputs, nil
}

// again submits tasks once more under their ids, which are the same tasks, and has the values noted
// that their futures tell. The first submission, which was not again, is number 0.
func (c *submitter) again(ctx context.Context, o *offer, submission int) {
	futures, err := call(ctx, o)
	if err != nil {
		return // The controller does not know the first ones any longer, or the run is over.
	}
	for _, f := range futures {
		c.ends.Go(func() {
			if value, err := f.Get(ctx); err == nil {
				c.told(ctx, o.kind, f.ID(), submission, value)
			}
		})
	}
}

// await waits for a task's end and notes it.
func (c *submitter) await(ctx context.Context, o *offer, i int, f *fray.Future[[]byte]) {
	value, err := f.Get(ctx)
	var failure *fray.TaskError
	switch {
	case err == nil:
		c.told(ctx, o.kind, f.ID(), 0, value)
	case !errors.As(err, &failure):
		return // The run is over, or the client leaves.
	}
	c.failed(failure)
	o.becomes(i, over)
	c.tally.ended(o.kind.Name, f.ID(), c.run.Elapsed()-o.begun, failure)
}

// awaitCompleted takes in ends one after the other, as they come.
func (c *submitter) awaitCompleted(ctx context.Context) {
	for a, err := range fray.AsCompleted(ctx, c.awaited) {
		if err != nil {
			return // The run is over, or the client leaves.
		}
		c.await(ctx, a.offer, a.index, a.Future)
	}
}

const (
	// A client that waits for some waits for so many, and no longer than that.
	someTasks  = 3
	someWithin = 700 * time.Millisecond
)

// awaitSome takes in ends a few at a time.
func (c *submitter) awaitSome(ctx context.Context) {
	for pending := c.awaited; len(pending) > 0; {
		done, rest, err := fray.Wait(ctx, pending, min(someTasks, len(pending)), someWithin)
		if err != nil {
			return // The run is over, or the client leaves.
		}
		for _, a := range done {
			c.await(ctx, a.offer, a.index, a.Future)
		}
		pending = rest
	}
}
