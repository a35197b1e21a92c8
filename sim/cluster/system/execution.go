package system

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

var (
	errFailed    = errors.New("the scenario says that this attempt fails")
	errBlackHole = errors.New("the scenario says that everything fails on this worker")
	// It says, as a task's failure, that what it needs cannot be read.
	errNeeds  = errors.New(brokenNeeds)
	errNoText = errors.New("\xff\xfe: the scenario says that this is not UTF-8")
)

// brokenNeeds is what a controller breaks that starts a task and does not have the values it needs.
const brokenNeeds = "needs-readable"

// Causes are the errors by which a worker ends the context of a function.
var Causes = map[error]check.Cause{
	worker.ErrStopped: check.CauseOrdered, worker.ErrSessionLost: check.CauseSessionLost, worker.ErrLeaving: check.CauseLeaving,
}

// Functions returns what a worker of the group executes under a seed. Poisoned is called in an
// attempt that takes down its worker, and does not return; told, with the values of the tasks that one
// needs.
func Functions(
	s *cluster.Scenario, g *cluster.WorkerGroup, seed uint64, poisoned func(), told func(task string, value []byte),
) []fray.Function {
	var all []fray.Function
	environments := environmentsOf(s)
	for i := range s.Workload.Mix {
		k := &s.Workload.Mix[i]
		x := &executor{Scenario: s, kind: k, group: g, seed: seed, poisoned: poisoned, told: told, environments: environments}
		switch {
		case k.Undecodable == "input":
			// Its input is not JSON.
			all = append(all, fray.Define(k.Name, func(ctx context.Context, _ struct{}) ([]byte, error) { return x.run(ctx, nil) }))
		case k.Undecodable == "result":
			all = append(all, fray.Define(k.Name, func(ctx context.Context, _ []byte) (any, error) {
				_, err := x.run(ctx, nil)
				return make(chan int), err // Which has no encoding.
			}))
		case k.Actors != nil && k.Actors.Checkpoints:
			all = append(all, actorsOf(k, func() *kept { return &kept{} }, x).functions()...)
		case k.Actors != nil:
			all = append(all, actorsOf(k, func() *counter { return &counter{} }, x).functions()...)
		case k.Needs > 0:
			all = append(all, fray.Define(k.Name, func(ctx context.Context, in needy) ([]byte, error) { return x.run(ctx, in.Needs) }))
		default:
			all = append(all, fray.Define(k.Name, func(ctx context.Context, _ []byte) ([]byte, error) { return x.run(ctx, nil) }))
		}
	}
	return all
}

// An executor is a kind's function on one worker.
type executor struct {
	*cluster.Scenario

	kind     *cluster.TaskKind
	group    *cluster.WorkerGroup
	seed     uint64
	poisoned func()
	told     func(task string, value []byte)
	// What its tasks see, by their job.
	environments map[string]map[string]string
}

// run is one attempt. All that is left to chance depends on the seed, the task and the number of
// the attempt alone.
func (x *executor) run(ctx context.Context, needs []*fray.Future[[]byte]) ([]byte, error) {
	info, _ := fray.InTask(ctx)
	random := chance.New(x.seed, "attempt/"+info.TaskID, uint64(info.Attempt)) //nolint:gosec // It counts from 1.
	k := x.kind
	hole := random.Float64() < float64(x.group.FailureProbability)
	fails := random.Float64() < float64(k.FailureProbability) || info.Attempt <= k.FailFirst
	work := within(&k.Work, random)
	result := randomBytes(int(k.ResultSize), random)
	if err := x.environment(ctx, info); err != nil {
		return nil, err
	}
	switch {
	case hole:
		if err := x.pass(ctx, 0, random); err != nil {
			return nil, err
		}
		return nil, errBlackHole
	case k.CrashesWorker:
		if err := x.pass(ctx, 0, random); err != nil {
			return nil, err
		}
		x.poisoned()
	}
	if err := x.read(ctx, needs, random); err != nil {
		return nil, err
	}
	if err := x.children(ctx, info, random); err != nil {
		return nil, err
	}
	if k.ObjectSize > 0 {
		ref, err := x.object(ctx, info, random)
		if err != nil {
			return nil, err
		}
		result = ref
	}
	if err := x.pass(ctx, work, random); err != nil {
		return nil, err
	}
	switch {
	case k.Undecodable == "error":
		return nil, errNoText
	case fails:
		return nil, x.failure(random)
	}
	return result, nil
}

func randomBytes(n int, random *rand.Rand) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32()) //nolint:gosec // Any bits will do.
	}
	return b
}

// failure returns the error of an attempt that fails, with what it asks for.
func (x *executor) failure(random *rand.Rand) error {
	f := &failure{error: errFailed}
	switch p := x.kind.FinalFailures; {
	case p > 0 && random.Float64() < float64(p):
		f.final = true
	case x.kind.RetryAfter != nil:
		f.retryAfter = within(x.kind.RetryAfter, random)
	}
	err := errFailed
	if f.final || f.retryAfter > 0 {
		err = f
	}
	if n := x.kind.DetailsSize; n > 0 {
		err = fray.WithDetails(err, randomBytes(int(n), random))
	}
	switch {
	case f.final:
		return fray.NonRetryable(err)
	case f.retryAfter > 0:
		return fray.RetryAfter(err, f.retryAfter)
	default:
		return err
	}
}

// A failure is an error that knows what it asks for, however that is told.
type failure struct {
	error
	final      bool
	retryAfter time.Duration
}

// Asked tells what an error of a function asks for; see [check.Recorder].
func Asked(err error) (final bool, retryAfter time.Duration) {
	var f *failure
	if errors.As(err, &f) {
		return f.final, f.retryAfter
	}
	return false, 0
}

// pass lets time pass, or returns the context's error once that is done.
func (x *executor) pass(ctx context.Context, d time.Duration, random *rand.Rand) error {
	d += 1 + time.Duration(random.Int64N(int64(engine.Jitter)))
	d += time.Duration(time.Now().Add(d).UnixNano() & 1) // See linger.
	if x.kind.IgnoresStop {
		time.Sleep(d)
		return nil
	}
	return sleep.For(ctx, d)
}

// read reads the values of tasks that the attempt's needs.
func (x *executor) read(ctx context.Context, needs []*fray.Future[[]byte], random *rand.Rand) error {
	for _, f := range needs {
		if err := x.pass(ctx, 0, random); err != nil { // See children.
			return err
		}
		value, err := f.Get(ctx)
		if err != nil && ctx.Err() == nil {
			return fray.NonRetryable(fmt.Errorf("%w: %w", errNeeds, err))
		}
		if err != nil {
			return err
		}
		if err := x.pass(ctx, 0, random); err != nil {
			return err
		}
		x.told(f.ID(), value)
	}
	return nil
}

// children runs the attempt's children and waits for them.
func (x *executor) children(ctx context.Context, info fray.TaskInfo, random *rand.Rand) error {
	if x.kind.Children == 0 {
		return nil
	}
	// Attempts that start at one instant are not to submit at one: who of them comes first would be
	// up to the machine.
	if err := x.pass(ctx, 0, random); err != nil {
		return err
	}
	child := x.TaskKind(x.kind.ChildKind)
	futures, err := taskOf(child).RunAll(ctx, inputsOf(child, x.kind.Children, random),
		append(optionsOf(child), fray.WithTaskID(fmt.Sprintf("%s.%d", info.TaskID, info.Attempt)))...)
	if err != nil {
		return fmt.Errorf("run children: %w", err)
	}
	for _, f := range futures {
		if _, err := f.Get(ctx); err != nil {
			return fmt.Errorf("wait for child: %w", err)
		}
	}
	return nil
}

// within returns a time of the span.
func within(s *cluster.Span, random *rand.Rand) time.Duration {
	return time.Duration(s.Min) + time.Duration(random.Int64N(int64(s.Max-s.Min)+1))
}

var errElsewhere = errors.New("this function runs on workers only")

// taskOf returns a kind as those who submit it know it.
func taskOf(k *cluster.TaskKind) *fray.Task[[]byte, []byte] {
	return fray.Define(k.Name, func(context.Context, []byte) ([]byte, error) { return nil, errElsewhere })
}

// needy is the input of a task that needs others.
type needy struct {
	Data  []byte
	Needs []*fray.Future[[]byte]
}

// needyTaskOf is taskOf a kind whose tasks need others.
func needyTaskOf(k *cluster.TaskKind) *fray.Task[needy, []byte] {
	return fray.Define(k.Name, func(context.Context, needy) ([]byte, error) { return nil, errElsewhere })
}

func inputsOf(k *cluster.TaskKind, n int, random *rand.Rand) [][]byte {
	inputs := make([][]byte, n)
	for i := range inputs {
		inputs[i] = make([]byte, k.PayloadSize)
		for j := range inputs[i] {
			inputs[i][j] = byte(random.Uint32()) //nolint:gosec // As above.
		}
	}
	return inputs
}

// optionsOf returns what a submission of a kind asks for.
func optionsOf(k *cluster.TaskKind) []fray.CallOption {
	options := []fray.CallOption{
		fray.WithRetries(k.Retries), fray.WithMaxWorkerLosses(k.MaxWorkerLosses),
		fray.WithExecutionTimeout(time.Duration(k.ExecutionTimeout)), fray.WithSchedulingTimeout(time.Duration(k.SchedulingTimeout)),
	}
	if k.Actors != nil { // What a worker must have is their actors' business.
		return append(options, backoffOf(k)...)
	}
	options = append(append(options, fray.WithPriority(k.Priority)), backoffOf(k)...)
	if l := k.Limit; l != nil {
		options = append(options, fray.WithLimit(limitOf(l)))
	}
	return append(options, demandsOf(k)...)
}

func limitOf(l *cluster.Limit) fray.Limit {
	var bounds []fray.LimitBound
	if l.Concurrent > 0 {
		bounds = append(bounds, fray.MaxConcurrent(l.Concurrent))
	}
	if l.Starts > 0 {
		bounds = append(bounds, fray.MaxStarts(l.Starts, time.Duration(l.Period)))
	}
	return fray.NewLimit(l.Name, bounds...).For(l.Key)
}

func backoffOf(k *cluster.TaskKind) []fray.CallOption {
	if b := k.Backoff; b != nil {
		return []fray.CallOption{fray.WithBackoff(time.Duration(b.Base), b.Factor, time.Duration(b.Cap))}
	}
	return nil
}

// demandsOf returns what tasks of a kind need of a worker.
func demandsOf(k *cluster.TaskKind) (options []fray.CallOption) {
	if len(k.Resources) > 0 {
		options = append(options, fray.WithResources(k.Resources))
	}
	if len(k.Labels) > 0 {
		options = append(options, fray.WithLabels(k.Labels))
	}
	return options
}
