package sim_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
)

// Two hosts, a service that knows nothing of the simulation, and a partition between them. The seed
// replays the run.
func Example() {
	const procedure = "/acme.v1.EchoService/Echo"
	echo := func(_ context.Context, text *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return text, nil
	}
	var seen []string
	scenario := func(s *sim.Sim) error {
		seen = nil
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(connect.NewUnaryHandlerSimple(procedure, echo))
			<-ctx.Done()
			return nil
		})
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			client := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](h.Client(), "http://server"+procedure)
			for range 4 {
				call, cancel := context.WithTimeout(ctx, time.Second)
				_, err := client.CallUnary(call, connect.NewRequest(wrapperspb.String("hello")))
				cancel()
				seen = append(seen, fmt.Sprintf("at %v: answered %t", s.Elapsed().Round(time.Second), err == nil))
				time.Sleep(time.Second) // Virtual: it takes no time.
			}
			return nil
		})
		s.At(1500*time.Millisecond, func() { s.Partition("client", "server") })
		s.At(3500*time.Millisecond, func() { s.Repair("client", "server") })
		return s.Run() // Until the clients have ended.
	}

	// A test has sim.Test, or bubble.In of its own T. An example has none.
	inBubble := bubble.In(new(testing.T))
	run := func(seed uint64) sim.Replay {
		replay, err := sim.Verify(inBubble, sim.Config{Seed: seed}, scenario, 1)
		if err := errors.Join(err, replay.Err); err != nil {
			panic(err)
		}
		return replay
	}
	one, again, other := run(1), run(1), run(2)
	for _, line := range seen {
		fmt.Println(line)
	}
	fmt.Println("seed 1 replays:", one.Hash == again.Hash)
	fmt.Println("seed 2 is another run:", one.Hash != other.Hash)
	// Output:
	// at 0s: answered true
	// at 1s: answered true
	// at 3s: answered false
	// at 4s: answered true
	// seed 1 replays: true
	// seed 2 is another run: true
}
