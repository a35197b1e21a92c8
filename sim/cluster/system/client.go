package system

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
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
	g := s.ClientGroup(h.Group)
	return func(ctx context.Context, m engine.Machine) error { return s.client(ctx, m, g) }
}

// client is the software of a client: it submits its tasks, cancels some, and ends when all have
// ended.
func (s *System) client(ctx context.Context, m engine.Machine, g *cluster.ClientGroup) (err error) {
	jc, err := fray.NewJobContext(ctx, fray.KindFray,
		fray.WithControllerAddress(ControllerURL), fray.WithHTTPClient(m.Client()), fray.WithJobID(m.Name()),
		fray.WithRand(m.Rand("job")), fray.WithLogger(nil), fray.WithToken(""),
		fray.WithClientOptions(connect.WithInterceptors(connect.UnaryInterceptorFunc(s.counted)), s.observed(m)))
	if err != nil {
		return fmt.Errorf("open job: %w", err)
	}
	defer func() {
		if closeErr := jc.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close job: %w", closeErr)
		}
	}()
	c := &submitter{System: s, group: g, name: m.Name(), random: m.Rand("workload")}
	defer c.ends.Wait()
	c.submitAll(fray.NewContext(ctx, jc))
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

	group  *cluster.ClientGroup
	name   string
	random *rand.Rand
	// Kinds of the tasks to come, see next.
	deck []*cluster.TaskKind
	ends sync.WaitGroup
}

func (c *submitter) submitAll(ctx context.Context) {
	a := &c.group.Arrival
	due := time.Duration(a.Start) + time.Duration(c.random.Int64N(int64(engine.Jitter)))
	for number := 0; number < c.group.Tasks; {
		if wait := due - c.run.Elapsed(); wait > 0 && sleep.For(ctx, wait) != nil {
			return // The run is over.
		}
		batch := make([]*cluster.TaskKind, min(a.Batch, c.group.Tasks-number))
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
			c.submit(ctx, kind, number, n)
			number, batch = number+n, rest
		}
		if mean := a.Rate.Interval() * time.Duration(a.Batch); mean > 0 {
			step := mean
			if a.Pattern == "random" {
				step = time.Duration(c.random.ExpFloat64() * float64(mean))
			}
			due += step
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
func (c *submitter) submit(ctx context.Context, k *cluster.TaskKind, number, n int) {
	begun := c.run.Elapsed()
	options := append(optionsOf(k), fray.WithTaskID(fmt.Sprintf("%s.%d", c.name, number)))
	inputs := inputsOf(k, n, c.random)
	defer func() {
		for range c.group.Submissions - 1 {
			c.again(ctx, k, inputs, options)
		}
	}()
	futures, err := call(ctx, k, inputs, options)
	if err != nil && ctx.Err() != nil {
		return
	}
	if err != nil && n == 1 {
		c.tally.submitted(k.Name, false)
		return
	}
	for _, f := range futures {
		cancelAfter := time.Duration(-1)
		if k.Cancel != nil && c.random.Float64() < float64(k.Cancel.Probability) {
			cancelAfter = within(&k.Cancel.After, c.random) + 1 + time.Duration(c.random.Int64N(int64(engine.Jitter)))
		}
		var refused *fray.TaskError
		select {
		case <-f.Done():
			// Refused, or already at its end.
			if _, err := f.Get(ctx); err != nil && !errors.As(err, &refused) {
				c.tally.submitted(k.Name, false)
				continue
			}
		default:
		}
		c.tally.submitted(k.Name, true)
		c.ends.Go(func() { c.await(ctx, k, f, begun) })
		if cancelAfter >= 0 {
			c.ends.Go(func() {
				if sleep.For(ctx, cancelAfter) == nil {
					_ = f.Cancel(ctx) // Whatever it says, the task ends somehow.
				}
			})
		}
	}
}

// call submits tasks of one kind in one call.
func call(ctx context.Context, k *cluster.TaskKind, inputs [][]byte, options []fray.CallOption) ([]*fray.Future[[]byte], error) {
	if len(inputs) == 1 {
		f, err := taskOf(k).Run(ctx, inputs[0], options...)
		return []*fray.Future[[]byte]{f}, err
	}
	return taskOf(k).RunAll(ctx, inputs, options...)
}

// again submits tasks once more under their ids, which are the same tasks, and has the values noted
// that their futures tell.
func (c *submitter) again(ctx context.Context, k *cluster.TaskKind, inputs [][]byte, options []fray.CallOption) {
	futures, err := call(ctx, k, inputs, options)
	if err != nil {
		return // The controller does not know the first ones any longer, or the run is over.
	}
	for _, f := range futures {
		c.ends.Go(func() {
			if value, err := f.Get(ctx); err == nil {
				c.tally.tell(c.name, f.ID(), value)
			}
		})
	}
}

// await waits for a task's end and notes it.
func (c *submitter) await(ctx context.Context, k *cluster.TaskKind, f *fray.Future[[]byte], begun time.Duration) {
	value, err := f.Get(ctx)
	var failure *fray.TaskError
	switch {
	case err == nil:
		c.tally.tell(c.name, f.ID(), value)
	case !errors.As(err, &failure):
		return // The run is over.
	}
	c.tally.ended(k.Name, f.ID(), c.run.Elapsed()-begun, failure)
}
