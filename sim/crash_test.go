package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
)

func TestCrashResetsOpenCallsAndRefusesNewOnes(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("server", echoHost)
		s.At(5*time.Second, func() { s.Crash("server") })
		s.At(10*time.Second, func() { s.Bounce("server") })
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			start := time.Now()
			_, err := say(ctx, caller(h, "server", waitProcedure), "x")
			if after := time.Since(start); connect.CodeOf(err) != connect.CodeUnavailable || after < 5*time.Second || after > 6*time.Second {
				return fmt.Errorf("open call: got %w after %v", err, after)
			}
			_, err = say(ctx, caller(h, "server", echoProcedure), "x")
			if connect.CodeOf(err) != connect.CodeUnavailable {
				return fmt.Errorf("new call: got %w", err)
			}
			time.Sleep(6 * time.Second)
			if got, err := say(ctx, caller(h, "server", echoProcedure), "x"); err != nil || got != "x" {
				return fmt.Errorf("after bounce: got %q, %w", got, err)
			}
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

func TestPowerOffTellsNobody(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("server", echoHost)
		s.At(time.Second, func() { s.PowerOff("server") })
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			for _, procedure := range []string{waitProcedure, echoProcedure} {
				ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
				_, err := say(ctx, caller(h, "server", procedure), "x")
				cancel()
				if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
					return fmt.Errorf("%s: got %w, want its deadline", procedure, err)
				}
			}
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

func TestDeadCallerIsHeardOfByServer(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		var told time.Duration
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(echoService(func(error) { told = s.Elapsed() }))
			<-ctx.Done()
			return nil
		})
		s.Host("caller", func(ctx context.Context, h *sim.Host) error {
			_, err := say(context.WithoutCancel(ctx), caller(h, "server", waitProcedure), "x")
			t.Errorf("a dead caller's call returned: %v", err)
			return err
		})
		s.At(time.Second, func() { s.Crash("caller") })
		if err := s.RunFor(10 * time.Second); err != nil {
			t.Error(err)
		}
		if told < time.Second || told > 2*time.Second {
			t.Errorf("server was told at %v", told)
		}
	})
}

func TestDeadIncarnationHasNoEffects(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		var mu sync.Mutex
		var effects []string
		s.Host("server", echoHost)
		s.Host("worker", func(ctx context.Context, h *sim.Host) error {
			var group sync.WaitGroup
			defer group.Wait()
			for i, effect := range []func() error{
				func() error { h.Fence(); return nil },
				func() error { h.SetDisk("written by the dead"); return nil },
				func() error {
					_, err := say(context.WithoutCancel(ctx), caller(h, "server", echoProcedure), "x")
					return err
				},
				func() error { h.Do(func() { t.Error("controlled by the dead") }); return nil },
			} {
				group.Go(func() {
					time.Sleep(time.Duration(2+i) * time.Second)
					_ = effect()
					mu.Lock()
					defer mu.Unlock()
					effects = append(effects, fmt.Sprint(i))
				})
			}
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), sim.ErrCrashed) {
				t.Errorf("cause is %v", context.Cause(ctx))
			}
			return errors.New("error of the dead")
		})
		s.At(time.Second, func() { s.Crash("worker") })
		if err := s.RunFor(time.Minute); err != nil {
			t.Error(err)
		}
		if len(effects) > 0 {
			t.Errorf("the dead had effects %v", effects)
		}
	})
}

// A log is a disk whose last entries are lost with the power.
type log struct {
	synced, written []string
}

func (l *log) AfterCrash(powerLoss bool, chance *rand.Rand) any {
	kept := l.written
	if powerLoss {
		kept = kept[:len(l.synced)+chance.IntN(len(kept)-len(l.synced)+1)]
	}
	return &log{synced: append([]string(nil), kept...), written: append([]string(nil), kept...)}
}

func TestDiskAfterCrash(t *testing.T) {
	for name, test := range map[string]struct {
		crash func(*sim.Sim, string)
		valid func(disk any) bool
	}{
		"kept": {(*sim.Sim).Crash, func(d any) bool { l, ok := d.(*log); return ok && len(l.synced) == 3 }},
		"lost": {(*sim.Sim).Wipe, func(d any) bool { return d == nil }},
		"power loss": {(*sim.Sim).PowerOff, func(d any) bool {
			l, ok := d.(*log)
			return ok && len(l.synced) >= 1 && len(l.synced) <= 3
		}},
	} {
		t.Run(name, func(t *testing.T) {
			sim.Test(t, sim.Config{Seed: 3}, func(s *sim.Sim) {
				s.Host("store", func(ctx context.Context, h *sim.Host) error {
					switch h.Incarnation() {
					case 1:
						if h.Disk() != nil {
							return errors.New("disk is not empty")
						}
						h.SetDisk(&log{synced: []string{"a"}, written: []string{"a", "b", "c"}})
					case 2:
						if !test.valid(h.Disk()) {
							return fmt.Errorf("disk is %+v", h.Disk())
						}
					}
					<-ctx.Done()
					return nil
				})
				test.crash(s, "store")
				s.Bounce("store")
				if err := s.RunFor(time.Second); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestPauseKeepsWhatIsSent(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("server", echoHost)
		s.Pause("server")
		s.At(time.Minute, func() { s.Resume("server") })
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			_, err := say(ctx, caller(h, "server", echoProcedure), "x")
			if err != nil || s.Elapsed() < time.Minute {
				return fmt.Errorf("answered at %v: %w", s.Elapsed(), err)
			}
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

func TestCrashEndsPause(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("server", echoHost)
		s.Pause("server")
		s.At(time.Minute, func() { s.Bounce("server") })
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			time.Sleep(2 * time.Minute)
			_, err := say(ctx, caller(h, "server", echoProcedure), "x")
			return err
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

func TestStopLetsSoftwareFinish(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("server", echoHost)
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), sim.ErrStopped) {
				return context.Cause(ctx)
			}
			_, err := say(context.WithoutCancel(ctx), caller(h, "server", echoProcedure), "last words")
			return err
		})
		s.At(time.Second, func() { s.Stop("client") })
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

// A server that is asked to end answers whom it serves, and no longer than that.
func TestStopLetsHandlersGoOn(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		var cause error
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/long" {
					<-r.Context().Done()
					cause = context.Cause(r.Context())
					return
				}
				time.Sleep(3 * time.Second)
				if r.Context().Err() == nil {
					fmt.Fprint(w, "answer")
				}
			}))
			<-ctx.Done()
			time.Sleep(5 * time.Second)
			return nil
		})
		s.At(time.Second, func() { s.Stop("server") })
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			go func() {
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://server/long", http.NoBody)
				if res, err := h.Client().Do(req); err == nil {
					_ = res.Body.Close()
				}
			}()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://server/", http.NoBody)
			if err != nil {
				return err
			}
			res, err := h.Client().Do(req)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if text, err := io.ReadAll(res.Body); err != nil || string(text) != "answer" {
				return fmt.Errorf("got %q, %w", text, err)
			}
			time.Sleep(10 * time.Second)
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
		if !errors.Is(cause, sim.ErrStopped) {
			t.Errorf("what was served when the software ended: %v", cause)
		}
	})
}

// Software that has ended does not crash, and starts again.
func TestBounceAfterExit(t *testing.T) {
	var kinds []sim.EventKind
	sim.Test(t, sim.Config{OnEvent: func(e sim.Event) {
		if e.From == "server" {
			kinds = append(kinds, e.Kind)
		}
	}}, func(s *sim.Sim) {
		s.Host("server", func(ctx context.Context, _ *sim.Host) error {
			<-ctx.Done()
			return nil
		})
		s.At(time.Second, func() { s.Stop("server") })
		s.At(2*time.Second, func() { s.Crash("server") })
		s.At(3*time.Second, func() { s.Bounce("server") })
		if err := s.RunFor(4 * time.Second); err != nil {
			t.Error(err)
		}
		if want := []sim.EventKind{sim.EventStart, sim.EventStop, sim.EventExit, sim.EventStart}; !slices.Equal(kinds, want) {
			t.Errorf("the host's events are %v, want %v", kinds, want)
		}
	})
}

// Supervised software may end with an error, and not with a panic.
func TestSupervise(t *testing.T) {
	for name, test := range map[string]struct {
		supervised bool
		end        func() error
		fails      bool
	}{
		"error": {true, func() error { return errors.New("disk") }, false},
		"panic": {true, func() error { panic("bug") }, true},
		"alone": {false, func() error { return errors.New("disk") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := bubble.In(t)(func() {
				s, starts := sim.New(sim.Config{}), 0
				defer s.Close()
				s.Host("server", func(ctx context.Context, _ *sim.Host) error {
					if starts++; starts > 1 {
						<-ctx.Done()
						return nil
					}
					time.Sleep(time.Second)
					return test.end()
				})
				s.Supervise("server", test.supervised)
				s.At(2*time.Second, func() { s.Bounce("server") })
				if err := s.RunFor(3 * time.Second); (err != nil) != test.fails || starts != 2 && !test.fails {
					t.Errorf("after %d starts: %v", starts, err)
				}
			}); err != nil {
				t.Error(err)
			}
		})
	}
}
