package sim_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
)

// This is how to simulate a service: a replicated counter, ordinary Connect code that knows nothing
// of the simulator. It has a mistake, which the simulator finds.

const (
	addProcedure = "/counter.v1.Counter/Add"
	setProcedure = "/counter.v1.Counter/Set"
)

type number = wrapperspb.Int64Value

// counter counts, and has its replicas keep the same number.
type counter struct {
	replicas []*connect.Client[number, emptypb.Empty]
	// Fixes the mistake, if it is not nil.
	turn chan struct{}

	mu    sync.Mutex
	value int64
}

// add adds to the counter once all replicas have the sum, and returns it.
func (c *counter) add(ctx context.Context, req *connect.Request[number]) (*connect.Response[number], error) {
	if c.turn != nil {
		select {
		case c.turn <- struct{}{}:
			defer func() { <-c.turn }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c.mu.Lock()
	sum := c.value + req.Msg.GetValue()
	c.mu.Unlock()
	for _, replica := range c.replicas {
		if _, err := replica.CallUnary(ctx, connect.NewRequest(wrapperspb.Int64(sum))); err != nil {
			return nil, err
		}
	}
	// The mistake: meanwhile, another call may have added to the same value.
	c.mu.Lock()
	c.value = sum
	c.mu.Unlock()
	return connect.NewResponse(wrapperspb.Int64(sum)), nil
}

func (c *counter) set(_ context.Context, req *connect.Request[number]) (*connect.Response[emptypb.Empty], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = req.Msg.GetValue()
	return connect.NewResponse(&emptypb.Empty{}), nil
}

func (c *counter) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(addProcedure, connect.NewUnaryHandler(addProcedure, c.add))
	mux.Handle(setProcedure, connect.NewUnaryHandler(setProcedure, c.set))
	return mux
}

var errLostAddition = errors.New("an acknowledged addition is lost")

// counting is the scenario: three clients add now and then, and in the end the counter must have
// the sum.
func counting(fixed bool) sim.Scenario {
	return func(s *sim.Sim) error {
		replicas := []string{"replica-1", "replica-2"}
		for _, name := range replicas {
			s.Host(name, func(ctx context.Context, h *sim.Host) error {
				h.Serve((&counter{}).handler())
				<-ctx.Done()
				return nil
			})
		}
		primary := &counter{}
		if fixed {
			primary.turn = make(chan struct{}, 1)
		}
		s.Host("primary", func(ctx context.Context, h *sim.Host) error {
			for _, name := range replicas {
				primary.replicas = append(primary.replicas, connect.NewClient[number, emptypb.Empty](h.Client(), "http://"+name+setProcedure))
			}
			h.Serve(primary.handler())
			<-ctx.Done()
			return nil
		})
		var acknowledged int64
		for i := range 3 {
			s.Client(fmt.Sprintf("client-%d", i+1), func(ctx context.Context, h *sim.Host) error {
				random := h.Rand("pauses")
				client := connect.NewClient[number, number](h.Client(), "http://primary"+addProcedure)
				for range 5 {
					time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
					if _, err := client.CallUnary(ctx, connect.NewRequest(wrapperspb.Int64(1))); err != nil {
						return err
					}
					h.Do(func() { acknowledged++ })
				}
				return nil
			})
		}
		if err := s.Run(); err != nil {
			return err
		}
		if primary.value != acknowledged {
			return fmt.Errorf("%w: counted %d of %d", errLostAddition, primary.value, acknowledged)
		}
		return nil
	}
}

func TestCounterLosesAdditions(t *testing.T) {
	const maxSeeds = 100
	for seed := range uint64(maxSeeds) {
		found, err := sim.Verify(bubble.In(t), sim.Config{Seed: seed}, counting(false), 1)
		if err != nil {
			t.Fatal(err)
		}
		if found.Err == nil {
			continue
		}
		if !errors.Is(found.Err, errLostAddition) {
			t.Fatal(found.Err)
		}
		t.Logf("seed %d: %v", seed, found.Err)
		// The seed is all that it takes to see it again, here with a trace.
		var trace strings.Builder
		again, err := sim.Verify(bubble.In(t), sim.Config{Seed: seed}, func(s *sim.Sim) error {
			s.Trace(&trace)
			return counting(false)(s)
		}, 4)
		if err != nil || again.Hash != found.Hash || again.Err.Error() != found.Err.Error() {
			t.Errorf("replay of seed %d: hash %016x, was %016x; %v; %v", seed, again.Hash, found.Hash, again.Err, err)
		}
		if adds := strings.Count(trace.String(), `"kind":"send","message":"request","from":"client-`); adds != 15 {
			t.Errorf("trace has %d additions, want 15", adds)
		}
		return
	}
	t.Errorf("none of %d seeds shows the mistake", maxSeeds)
}

func TestFixedCounterCountsAll(t *testing.T) {
	for seed := range uint64(20) {
		run, err := sim.Verify(bubble.In(t), sim.Config{Seed: seed}, counting(true), 1)
		if err != nil || run.Err != nil {
			t.Errorf("seed %d: %v; %v", seed, run.Err, err)
		}
	}
}
