package sim_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
)

// fanOut has clients that all call at the same instants, one after the other's answer.
func fanOut(s *sim.Sim, rules string) error {
	plan, err := faults.ParsePlan(rules)
	if err != nil {
		return err
	}
	injector := s.Injector()
	s.Host("server", func(ctx context.Context, h *sim.Host) error {
		h.Serve(echoService(nil, connect.WithInterceptors(injector.Interceptor(h.Name()))))
		<-ctx.Done()
		return nil
	})
	if err := injector.Apply(plan); err != nil {
		return err
	}
	for i := range 8 {
		s.Client(fmt.Sprint("client-", i), func(ctx context.Context, h *sim.Host) error {
			faulty := connect.WithInterceptors(injector.Interceptor(h.Name()))
			for second := range 5 {
				attempt, cancel := context.WithTimeout(ctx, 900*time.Millisecond)
				_, _ = say(attempt, caller(h, "server", echoProcedure, faulty), "x")
				cancel()
				time.Sleep(time.Duration(second+1)*time.Second - s.Elapsed())
			}
			return nil
		})
	}
	return s.Run()
}

func TestInjectedFaultsRepeat(t *testing.T) {
	for _, rules := range []string{
		"a: drop nth=7",
		"a: drop phase=response-in-flight every=5\nb: delay(uniform, 1ms, 50ms) probability=0.5",
		"a: duplicate every=3\nb: error(aborted) from=client-3",
		"a: crash(host=server) nth=11",
		"a: restart(200ms, host=server) nth=11",
		"a: pause(300ms, host=server) nth=11",
		"a: crash(host=client-2) nth=11",
		"a: truncate(2B) phase=response-in-flight every=4\nb: reset every=6",
		"a: hold window=1s..3s from=client-1",
		"a: error(aborted) side=client nth=7",
		"a: drop side=client every=3\nb: delay(uniform, 1ms, 50ms) side=client probability=0.5",
		"a: crash(host=client-2) side=client nth=11",
		"a: hold side=client window=1s..1500ms\nb: error(aborted) side=server every=4",
		"a: hold side=server window=1s..1500ms\nb: error(aborted) phase=after-handler every=4",
		"a: hold phase=after-handler window=1s..1500ms\nb: drop phase=response-in-flight every=4",
		"a: reorder(100ms) phase=after-handler",
	} {
		t.Run(rules, func(t *testing.T) {
			var fired []string
			cfg := sim.Config{Seed: 5, OnEvent: func(e sim.Event) {
				if e.Kind == sim.EventFault {
					fired = append(fired, e.Fault)
				}
			}}
			run, err := sim.Verify(bubble.In(t), cfg, func(s *sim.Sim) error {
				fired = nil
				return fanOut(s, rules)
			}, 1, 4, 2)
			if err != nil {
				t.Error(err)
			}
			if run.Err != nil {
				t.Error(run.Err)
			}
			if !slices.Contains(fired, "a") {
				t.Errorf("only %v fired", fired)
			}
		})
	}
}

// Of answers that are equal in all they say, and leave at one instant, a rule always strikes those of the
// same calls.
func TestEqualAnswersAreJudgedInOrder(t *testing.T) {
	const calls = 6
	plan, err := faults.ParsePlan("a: error(aborted) phase=after-handler every=2")
	if err != nil {
		t.Fatal(err)
	}
	run, err := sim.Verify(bubble.In(t), sim.Config{Seed: 3}, func(s *sim.Sim) error {
		injector := s.Injector()
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(connect.NewUnaryHandler(echoProcedure, func(_ context.Context, req *connect.Request[text]) (*connect.Response[text], error) {
				time.Sleep(time.Second - s.Elapsed()) // Until all are here.
				return connect.NewResponse(req.Msg), nil
			}, connect.WithInterceptors(injector.Interceptor(h.Name()))))
			<-ctx.Done()
			return nil
		})
		if err := injector.Apply(plan); err != nil {
			return err
		}
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			var all sync.WaitGroup
			for range calls {
				all.Go(func() { _, _ = say(ctx, caller(h, "server", echoProcedure), "x") })
			}
			all.Wait()
			return nil
		})
		return s.Run()
	}, 1, 4, 2, 4, 1, 4)
	if err != nil || run.Err != nil {
		t.Error(err, run.Err)
	}
}
