package sim_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
)

// restless returns software that serves, and meanwhile calls the other hosts in every way there is.
func restless(hosts []string) sim.Software {
	return func(ctx context.Context, h *sim.Host) error {
		h.Serve(echoService(nil, plain))
		// One source for each goroutine.
		for i := range 3 {
			go chatter(ctx, h, hosts, h.Rand(fmt.Sprint("chatter", i)))
		}
		<-ctx.Done()
		return nil
	}
}

func chatter(ctx context.Context, h *sim.Host, hosts []string, random *rand.Rand) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
		host := hosts[random.IntN(len(hosts))]
		attempt, cancel := context.WithTimeout(ctx, time.Duration(random.Int64N(int64(time.Second))))
		switch random.IntN(6) {
		case 0:
			_, _ = say(attempt, caller(h, host, waitProcedure), "x")
		case 1:
			stream := caller(h, host, chatProcedure).CallBidiStream(attempt)
			for range 3 {
				if stream.Send(wrapperspb.String("hello")) != nil {
					break
				}
				if _, err := stream.Receive(); err != nil {
					break
				}
			}
			_ = stream.CloseRequest()
			_ = stream.CloseResponse()
		case 2:
			stream, err := caller(h, host, tellProcedure, connect.WithGRPC()).CallServerStream(attempt, connect.NewRequest(wrapperspb.String("x")))
			if err == nil {
				for stream.Receive() {
				}
				_ = stream.Close()
			}
		case 3:
			_, _ = say(attempt, caller(h, host, echoProcedure, connect.WithGRPC()), "fail")
		default:
			_, _ = say(attempt, caller(h, host, echoProcedure), strings.Repeat("y", random.IntN(100)))
		}
		cancel()
	}
}

// mayhem is a scenario with everything in it.
func mayhem(s *sim.Sim) error {
	var hosts []string
	for i := range 20 {
		hosts = append(hosts, fmt.Sprintf("host-%02d", i))
	}
	for _, host := range hosts {
		s.Host(host, restless(hosts))
	}
	random := s.Rand("mayhem")
	pick := func() string { return hosts[random.IntN(len(hosts))] }
	for i := range 20 {
		at := time.Duration(i) * 500 * time.Millisecond
		a, b := pick(), pick()
		verb := random.IntN(7)
		s.At(at, func() {
			switch verb {
			case 0:
				s.Crash(a)
			case 1:
				s.PowerOff(a)
			case 2:
				s.Partition(a, b)
			case 3:
				s.PartitionOneway(a, b)
			case 4:
				s.Hold(a, b)
			case 5:
				s.Pause(a)
			case 6:
				s.SetLink(a, b, sim.Link{Loss: 0.5})
			}
		})
		s.At(at+1700*time.Millisecond, func() {
			switch verb {
			case 0, 1:
				s.Bounce(a)
			default:
				s.RepairAll()
			}
		})
	}
	return s.RunFor(12 * time.Second)
}

// unkind is a Judge that does a little of everything.
type unkind struct{}

func (unkind) Judge(m *sim.Message) sim.Fate {
	switch (m.Call + uint64(m.Kind)) % 97 {
	case 3:
		return sim.Fate{Fault: "slow", Delay: 100 * time.Millisecond}
	case 10:
		return sim.Fate{Fault: "lose", Drop: true}
	case 17:
		return sim.Fate{Fault: "twice", Duplicates: 2}
	case 24:
		return sim.Fate{Fault: "cut", Truncate: true, Keep: 3}
	case 31:
		return sim.Fate{Fault: "reset", Reset: true}
	case 38:
		return sim.Fate{Fault: "error", Error: connect.NewError(connect.CodeAborted, errors.New("injected"))}
	}
	return sim.Fate{}
}

func TestSameSeedSameTrace(t *testing.T) {
	cfg := sim.Config{Seed: 11, Link: sim.Link{Loss: 0.01}, Judge: unkind{}}
	run, err := sim.Verify(bubble.In(t), cfg, mayhem, 1, 2, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	if run.Err != nil {
		t.Fatal(run.Err)
	}
	t.Logf("hash %016x, %+v", run.Hash, run.Stats)
	if run.Stats.Delivered < 3000 || run.Stats.Dropped < 30 || run.Stats.Duplicate < 10 {
		t.Errorf("too little happened: %+v", run.Stats)
	}
	cfg.Seed = 12
	other, err := sim.Verify(bubble.In(t), cfg, mayhem, 2)
	if err != nil {
		t.Fatal(err)
	}
	if other.Hash == run.Hash {
		t.Error("another seed has the same trace")
	}
}
