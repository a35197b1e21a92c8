//go:build frayoverlay

package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
)

// website is a program that knows nothing of simulations.
func website() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		_, _ = fmt.Fprintf(w, "%s says %s to %s", name, r.URL.Path, r.RemoteAddr)
	})
	return http.ListenAndServe(":8080", mux) //nolint:gosec // As people write it.
}

// visitor is another one.
func visitor() (out []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			text := func() string {
				res, err := http.Get(fmt.Sprintf("http://web:8080/%d", i)) //nolint:noctx // As people write it.
				if err != nil {
					return err.Error()
				}
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				return fmt.Sprint(string(body), err)
			}()
			mu.Lock()
			defer mu.Unlock()
			out = append(out, text)
		})
	}
	wg.Wait()
	return out
}

func TestUnmodifiedHTTP(t *testing.T) {
	for seed := range uint64(60) {
		_, err := sim.Verify(bubble.In(t), sim.Config{Seed: seed, Unmodified: true}, func(s *sim.Sim) error {
			s.Host("web", func(context.Context, *sim.Host) error { return website() })
			s.Client("visitor", func(context.Context, *sim.Host) error {
				for _, line := range visitor() {
					if !strings.HasPrefix(line, "web says /") || !strings.Contains(line, "to 10.0.0.2:") {
						return fmt.Errorf("got %q", line)
					}
				}
				return nil
			})
			return s.Run()
		}, 1, 2, 8)
		if err != nil {
			t.Error(err)
		}
	}
}

// Rules act at the connections of programs that know of neither.
func TestRulesActOnUnmodifiedPrograms(t *testing.T) {
	for _, rules := range []string{
		"a: delay(uniform, 1ms, 80ms) procedure=tcp:8080",
		"a: drop every=3",
		"a: reset(50B) every=4 phase=response-in-flight",
		"a: error(unavailable) every=2",
		"a: hold window=..1s\nb: throttle(100B/s) phase=response-in-flight",
		"a: restart(300ms) nth=5",
	} {
		for seed := range uint64(10) {
			acted, answered := 0, 0
			cfg := sim.Config{Seed: seed, Unmodified: true, OnEvent: func(e sim.Event) {
				if e.Kind == sim.EventFault {
					acted++
				}
			}}
			run, err := sim.Verify(bubble.In(t), cfg, func(s *sim.Sim) error {
				acted, answered = 0, 0
				if err := apply(s, rules); err != nil {
					return err
				}
				s.Host("web", func(context.Context, *sim.Host) error { return website() })
				s.Client("visitor", func(context.Context, *sim.Host) error {
					for _, line := range visitor() {
						if strings.HasPrefix(line, "web says /") {
							answered++
						}
					}
					return nil
				})
				return s.Run()
			}, 1, 2, 8)
			if err != nil || run.Err != nil {
				t.Errorf("%s: %v, %v", rules, err, run.Err)
			}
			breaks := strings.Contains(rules, "reset") || strings.Contains(rules, "error") || strings.Contains(rules, "restart")
			if acted == 0 || breaks == (answered == 8) {
				t.Errorf("%s: %d faults, %d answers", rules, acted, answered)
			}
		}
	}
}

// A process that is killed does nothing more: no deferred function, no line after a wait, whatever it
// waited for.
func TestKilledProcessDoesNothingMore(t *testing.T) {
	sim.Test(t, sim.Config{Unmodified: true}, func(s *sim.Sim) {
		var did []string
		s.Host("victim", func(context.Context, *sim.Host) error {
			var mu sync.Mutex
			mu.Lock()
			for name, wait := range map[string]func(){
				"sleep":   func() { time.Sleep(time.Minute) },
				"channel": func() { <-make(chan int) },
				"mutex":   mu.Lock,
				"accept": func() {
					l, err := net.Listen("tcp", ":1")
					if err == nil {
						_, _ = l.Accept()
					}
				},
			} {
				go func() {
					defer func() { did = append(did, name+" deferred") }()
					wait()
					did = append(did, name)
				}()
			}
			time.AfterFunc(time.Minute, func() { did = append(did, "timer") })
			ticker := time.NewTicker(time.Second)
			for range ticker.C {
				_, _ = net.Dial("tcp", "other:1")
			}
			return nil
		})
		s.At(10*time.Second, func() { s.Crash("victim") })
		s.Client("other", func(context.Context, *sim.Host) error {
			time.Sleep(5 * time.Minute)
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
		if len(did) > 0 {
			t.Errorf("the killed process went on: %q", did)
		}
		if n := s.Stats().Connections; n > 11 {
			t.Errorf("it made %d connections", n)
		}
	})
}

// What of the network is not simulated is refused, and nothing leaves the machine.
func TestNoOtherNetwork(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Client("host", func(ctx context.Context, h *sim.Host) error {
			refused := func(name string, err error) {
				if err == nil {
					t.Errorf("%s: it was let through", name)
				}
			}
			_, err := net.ListenPacket("udp", ":0")
			refused("udp", err)
			_, err = net.ListenTCP("tcp", nil)
			refused("tcp", err)
			_, err = net.Dial("unix", "/run/socket")
			refused("unix", err)
			_, err = net.LookupTXT("example.org")
			refused("txt", err)
			_, err = net.LookupHost("example.org")
			refused("host", err)
			if addrs, err := net.LookupHost("host"); err != nil || len(addrs) != 1 || addrs[0] != h.IP().String() {
				t.Errorf("got %v, %v", addrs, err)
			}
			if addrs, err := net.InterfaceAddrs(); err != nil || len(addrs) != 1 || !strings.HasPrefix(addrs[0].String(), h.IP().String()) {
				t.Errorf("got %v, %v", addrs, err)
			}
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

// save is how people replace files.
func save(dir, name, text string) error {
	f, err := os.CreateTemp(dir, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// A program that knows os alone keeps its files over its crashes, on a disk of its own.
func TestUnmodifiedFiles(t *testing.T) {
	for seed := range uint64(20) {
		var counts []string
		run, err := sim.Verify(bubble.In(t), sim.Config{Seed: seed, Unmodified: true}, func(s *sim.Sim) error {
			counts = nil
			s.Host("counter", func(context.Context, *sim.Host) error {
				if err := os.MkdirAll("/var/lib/counter", 0o700); err != nil {
					return err
				}
				old, err := os.ReadFile("/var/lib/counter/count")
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				counts = append(counts, string(old))
				entries, err := os.ReadDir("/var/lib/counter")
				if err != nil {
					return err
				}
				for _, e := range entries {
					if e.Name() != "count" {
						_ = os.Remove(filepath.Join("/var/lib/counter", e.Name()))
					}
				}
				for i := len(old) + 1; ; i++ {
					if err := save("/var/lib/counter", "count", strings.Repeat("x", i)); err != nil {
						return err
					}
					time.Sleep(time.Second)
				}
			})
			s.At(5500*time.Millisecond, func() { s.Crash("counter") })
			s.At(7*time.Second, func() { s.Bounce("counter") })
			s.At(9500*time.Millisecond, func() { s.PowerOff("counter") })
			s.At(11*time.Second, func() { s.Bounce("counter") })
			return s.RunFor(12 * time.Second)
		}, 1, 8)
		if err != nil || run.Err != nil {
			t.Error(err, run.Err)
		}
		if len(counts) != 3 || counts[1] != "xxxxxx" || counts[2] != "xxxxxxxxx" {
			t.Errorf("seed %d: the program found %q", seed, counts)
		}
	}
	if _, err := os.Stat("/var/lib/counter"); err == nil {
		t.Error("it wrote to this machine's disk")
	}
}

// lockBoth locks one mutex and then another.
func lockBoth(a, b *sync.Mutex) {
	a.Lock()
	defer a.Unlock()
	time.Sleep(time.Millisecond)
	b.Lock()
	defer b.Unlock()
}

// A deadlock of mutexes ends the run with its seed, time, host and stacks.
func TestDeadlockOfMutexes(t *testing.T) {
	run, err := sim.Verify(bubble.In(t), sim.Config{Seed: 7, Unmodified: true}, func(s *sim.Sim) error {
		s.Client("stuck", func(context.Context, *sim.Host) error {
			var a, b sync.Mutex
			var group sync.WaitGroup
			group.Go(func() { lockBoth(&a, &b) })
			group.Go(func() { lockBoth(&b, &a) })
			group.Wait()
			return nil
		})
		return s.Run()
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(run.Err, sim.ErrDeadlock) {
		t.Fatalf("got %v, want a deadlock", run.Err)
	}
	for _, want := range []string{"under seed 7", "at 10m0", "of stuck (incarnation 1):", "sim_test.lockBoth"} {
		if !strings.Contains(run.Err.Error(), want) {
			t.Errorf("got %v, want it to have %q", run.Err, want)
		}
	}
}
