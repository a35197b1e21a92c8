package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
)

// once runs a scenario once.
func once(t *testing.T, cfg sim.Config, scenario sim.Scenario) error {
	t.Helper()
	run, err := sim.Verify(bubble.In(t), cfg, scenario, 1)
	if err != nil {
		t.Fatal(err)
	}
	return run.Err
}

func TestRunsEndWithVerdicts(t *testing.T) {
	busy := func(ctx context.Context, h *sim.Host) error {
		for ctx.Err() == nil {
			if _, err := say(ctx, caller(h, "server", echoProcedure), "x"); err != nil {
				return err
			}
		}
		return nil
	}
	failing := errors.New("software error")
	for name, test := range map[string]struct {
		cfg      sim.Config
		software sim.Software
		want     error
	}{
		"deadlock": {software: func(_ context.Context, h *sim.Host) error {
			_, err := say(context.Background(), caller(h, "server", waitProcedure), "x") // Held for ever, below.
			return err
		}, want: sim.ErrDeadlock},
		"steps":    {cfg: sim.Config{MaxSteps: 1000}, software: busy, want: sim.ErrMaxSteps},
		"time":     {cfg: sim.Config{MaxTime: time.Second}, software: busy, want: sim.ErrMaxTime},
		"error":    {software: func(context.Context, *sim.Host) error { return failing }, want: failing},
		"panic":    {software: func(context.Context, *sim.Host) error { panic(failing) }, want: failing},
		"finished": {software: func(context.Context, *sim.Host) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			test.cfg.Seed = 7
			err := once(t, test.cfg, func(s *sim.Sim) error {
				s.Host("server", echoHost)
				s.Client("client", test.software)
				if name == "deadlock" {
					s.Hold("client", "server")
				}
				return s.Run()
			})
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if name == "deadlock" {
				for _, want := range []string{"under seed 7", "at 10m0", "client waits (1 calls out", "1 of client (incarnation 1):", "service_test.go"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("got %v, want it to have %q", err, want)
					}
				}
			}
		})
	}
}

func TestHandlerPanicEndsRun(t *testing.T) {
	err := once(t, sim.Config{}, func(s *sim.Sim) error {
		s.Host("server", echoHost)
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			if _, err := say(ctx, caller(h, "server", echoProcedure), "panic"); err == nil {
				return errors.New("call was answered")
			}
			return nil
		})
		return s.Run()
	})
	var panicked *sim.PanicError
	if !errors.As(err, &panicked) || panicked.Value != "told to" || !bytes.Contains(panicked.Stack, []byte("service_test.go")) {
		t.Errorf("got %v, want the panic of the handler", err)
	}
}

// forgetful ignores its context. It outlives its test, which TestMain knows.
func forgetful() { time.Sleep(time.Hour) }

func TestLeakIsReported(t *testing.T) {
	err := once(t, sim.Config{LeakGrace: time.Second}, func(s *sim.Sim) error {
		s.Host("leaky", func(ctx context.Context, _ *sim.Host) error {
			go forgetful()
			<-ctx.Done()
			return nil
		})
		return s.RunFor(time.Minute)
	})
	var leak *sim.LeakError
	if !errors.As(err, &leak) || len(leak.Leaks) != 1 || leak.Leaks[0].Host != "leaky" || leak.Leaks[0].Count != 1 ||
		!strings.Contains(leak.Error(), "forgetful") {
		t.Errorf("got %v, want one goroutine of leaky", err)
	}
}

// Those that end early take nothing of the grace of others.
func TestLeakGraceIsForAll(t *testing.T) {
	err := once(t, sim.Config{LeakGrace: time.Minute}, func(s *sim.Sim) error {
		for i := range 10 {
			s.Host(fmt.Sprintf("slow-%d", i), func(ctx context.Context, _ *sim.Host) error {
				<-ctx.Done()
				time.Sleep(10*time.Second + time.Duration(i)*5*time.Second)
				return nil
			})
		}
		return s.RunFor(time.Minute)
	})
	if err != nil {
		t.Errorf("got %v, though all ended within the grace", err)
	}
}

func TestTraceIsJSON(t *testing.T) {
	var out bytes.Buffer
	err := once(t, sim.Config{}, func(s *sim.Sim) error {
		s.Trace(&out)
		s.Host("server", echoHost)
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			if _, err := say(ctx, caller(h, "server", echoProcedure), "fail"); err == nil {
				return errors.New("call succeeded")
			}
			return nil
		})
		s.Mark(`quote " and \`)
		s.Partition("client", "server")
		s.RepairAll()
		return s.Run()
	})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	codes := make(map[string]int)
	for line := range strings.Lines(out.String()) {
		var event struct {
			At                             *int64 `json:"at_ns"`
			Kind, Message, Procedure, Code string
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if event.At == nil {
			t.Fatalf("line %q has no time", line)
		}
		kinds = append(kinds, event.Kind)
		codes[event.Code]++
		if event.Kind == "mark" && event.Procedure != `quote " and \` {
			t.Errorf("mark is %q", event.Procedure)
		}
	}
	const want = "start start send mark partition partition repair deliver send"
	if got := strings.Join(kinds[:min(len(kinds), 9)], " "); got != want {
		t.Errorf("trace starts with %q, want %q", got, want)
	}
	if codes["resource_exhausted"] != 1 {
		t.Errorf("codes are %v", codes)
	}
}

func TestVerifyNamesFirstDifference(t *testing.T) {
	var runs atomic.Int64
	_, err := sim.Verify(bubble.In(t), sim.Config{}, func(s *sim.Sim) error {
		n := runs.Add(1)
		s.Host("server", echoHost)
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			client := caller(h, "server", echoProcedure)
			for i := range 5 {
				value := "same"
				if i == 3 && n == 2 {
					value = "other"
				}
				if _, err := say(ctx, client, value); err != nil {
					return err
				}
			}
			return nil
		})
		return s.Run()
	}, 1, 2)
	var d *sim.DivergenceError
	if !errors.As(err, &d) || d.Want == nil || d.Got == nil || d.Want.Kind != sim.EventSend || d.Want.Call != 4 || d.Want.Size == d.Got.Size {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), `"call":4`) || len(d.Before) == 0 {
		t.Errorf("message is %s", err)
	}
}

func TestVerbsFromSoftwarePanic(t *testing.T) {
	err := once(t, sim.Config{}, func(s *sim.Sim) error {
		s.Client("client", func(_ context.Context, h *sim.Host) error {
			time.Sleep(time.Second)
			s.Crash(h.Name())
			return nil
		})
		return s.Run()
	})
	var panicked *sim.PanicError
	if !errors.As(err, &panicked) || !strings.Contains(panicked.Error(), "Host.Do") {
		t.Errorf("got %v, want a hint at Host.Do", err)
	}
}

func TestStepGoesOnByOneMessage(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("server", echoHost)
		answered := false
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			_, err := say(ctx, caller(h, "server", echoProcedure), "x")
			answered = true
			return err
		})
		for step := range 2 {
			if answered || s.InFlight() != 1 {
				t.Fatalf("before step %d: answered %v, %d in flight", step, answered, s.InFlight())
			}
			if err := s.Step(); err != nil {
				t.Fatal(err)
			}
		}
		if !answered || s.InFlight() != 0 {
			t.Errorf("answered %v, %d in flight", answered, s.InFlight())
		}
	})
}

func TestInvalidConfig(t *testing.T) {
	for _, cfg := range []sim.Config{
		{MaxSteps: -1},
		{Quiet: -1},
		{Link: sim.Link{Loss: 2}},
		{Link: sim.Link{Latency: sim.Latency{Min: 2, Mean: 1, Max: 3}}},
	} {
		if cfg.Validate() == nil {
			t.Errorf("%+v is taken for valid", cfg)
		}
	}
}

func TestNewOutsideOfABubble(t *testing.T) {
	defer func() {
		if v := fmt.Sprint(recover()); !strings.Contains(v, "outside of a testing/synctest bubble") || !strings.Contains(v, "sim.Test") {
			t.Errorf("got %s, want what to do", v)
		}
	}()
	sim.New(sim.Config{})
}
