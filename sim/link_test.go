package sim_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/sim"
)

// probing returns software that serves, and calls another host once a second, and notes at which
// seconds it got an answer within half of one.
func probing(s *sim.Sim, to string, answered map[int]bool) sim.Software {
	return func(ctx context.Context, h *sim.Host) error {
		h.Serve(echoService(nil))
		client := caller(h, to, echoProcedure)
		for second := 0; ctx.Err() == nil; second++ {
			attempt, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			_, err := say(attempt, client, fmt.Sprint(second))
			cancel()
			answered[second] = err == nil
			time.Sleep(time.Duration(second+1)*time.Second - s.Elapsed())
		}
		return nil
	}
}

func TestNetworkVerbs(t *testing.T) {
	for name, test := range map[string]struct {
		cut, mend func(s *sim.Sim)
		// Whether calls from a to b, and from b to a, arrive meanwhile.
		ab, ba bool
	}{
		"partition": {
			func(s *sim.Sim) { s.Partition("a", "b") }, func(s *sim.Sim) { s.Repair("a", "b") }, false, false,
		},
		"one way": {
			func(s *sim.Sim) { s.PartitionOneway("a", "b") }, func(s *sim.Sim) { s.RepairAll() }, false, false,
		},
		"other pair": {
			func(s *sim.Sim) { s.Partition("a", "c") }, func(s *sim.Sim) { s.RepairAll() }, true, true,
		},
		"hold": {
			func(s *sim.Sim) { s.Hold("a", "b") }, func(s *sim.Sim) { s.Release("a", "b") }, false, false,
		},
		"pause": {
			func(s *sim.Sim) { s.Pause("a") }, func(s *sim.Sim) { s.RepairAll() }, false, false,
		},
		"loss": {
			func(s *sim.Sim) { s.SetLink("a", "b", sim.Link{Loss: 1}) },
			func(s *sim.Sim) { s.SetLink("a", "b", sim.Link{}) }, false, false,
		},
		"latency": {
			func(s *sim.Sim) {
				s.SetLink("a", "b", sim.Link{Latency: sim.Latency{Min: time.Second, Mean: time.Second, Max: time.Second}})
			},
			func(s *sim.Sim) { s.SetLink("a", "b", sim.Link{}) }, false, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			sim.Test(t, sim.Config{}, func(s *sim.Sim) {
				ab, ba := make(map[int]bool), make(map[int]bool)
				s.Host("a", probing(s, "b", ab))
				s.Host("b", probing(s, "a", ba))
				s.Host("c", echoHost)
				if err := s.RunFor(2500 * time.Millisecond); err != nil {
					t.Fatal(err)
				}
				test.cut(s)
				if err := s.RunFor(3 * time.Second); err != nil {
					t.Fatal(err)
				}
				test.mend(s)
				if err := s.RunFor(5 * time.Second); err != nil {
					t.Fatal(err)
				}
				for second := 1; second < 10; second++ { // At 0, b was not there yet.
					wantAB, wantBA := true, true
					if second >= 3 && second < 6 {
						wantAB, wantBA = test.ab, test.ba
					}
					if ab[second] != wantAB || ba[second] != wantBA {
						t.Errorf("second %d: a to b %v, b to a %v, want %v, %v", second, ab[second], ba[second], wantAB, wantBA)
					}
				}
			})
		})
	}
}

func TestLossIsSilentAndSeeded(t *testing.T) {
	lost := func(seed uint64) (pattern string) {
		sim.Test(t, sim.Config{Seed: seed, Link: sim.Link{Loss: 0.3}}, func(s *sim.Sim) {
			s.Host("server", echoHost)
			s.Client("client", func(ctx context.Context, h *sim.Host) error {
				for range 40 {
					attempt, cancel := context.WithTimeout(ctx, time.Second)
					_, err := say(attempt, caller(h, "server", echoProcedure), "x")
					cancel()
					switch connect.CodeOf(err) {
					case connect.CodeDeadlineExceeded:
						pattern += "-"
					default:
						pattern += "+"
					}
				}
				return nil
			})
			if err := s.Run(); err != nil {
				t.Error(err)
			}
		})
		return pattern
	}
	one, again, other := lost(1), lost(1), lost(2)
	if one != again || one == other {
		t.Errorf("got\n%s\n%s\n%s", one, again, other)
	}
}

// A partition keeps requests from both hosts, and one in one direction those of one host only: the
// other's arrive, though no answer comes back.
func TestPartitionsKeepRequests(t *testing.T) {
	for name, test := range map[string]struct {
		cut                func(s *sim.Sim)
		reachesA, reachesB bool
	}{
		"both ways": {cut: func(s *sim.Sim) { s.Partition("a", "b") }},
		"one way":   {cut: func(s *sim.Sim) { s.PartitionOneway("a", "b") }, reachesA: true},
		"none":      {cut: func(*sim.Sim) {}, reachesA: true, reachesB: true},
	} {
		t.Run(name, func(t *testing.T) {
			sim.Test(t, sim.Config{}, func(s *sim.Sim) {
				ran := map[string]int{}
				for host, other := range map[string]string{"a": "b", "b": "a"} {
					s.Host(host, func(ctx context.Context, h *sim.Host) error {
						h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							h.Do(func() { ran[host]++ })
							echoService(nil).ServeHTTP(w, r)
						}))
						time.Sleep(time.Second)
						attempt, cancel := context.WithTimeout(ctx, time.Second)
						defer cancel()
						_, _ = say(attempt, caller(h, other, echoProcedure), "x") // What is asked is who was reached.
						<-ctx.Done()
						return nil
					})
				}
				test.cut(s)
				if err := s.RunFor(5 * time.Second); err != nil {
					t.Fatal(err)
				}
				if (ran["a"] > 0) != test.reachesA || (ran["b"] > 0) != test.reachesB {
					t.Errorf("the handlers ran %v, want a: %v, b: %v", ran, test.reachesA, test.reachesB)
				}
			})
		})
	}
}
