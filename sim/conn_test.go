package sim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
)

// echoing accepts connections and sends back what comes, until the other side says that it has
// ended.
func echoing(ctx context.Context, h *sim.Host) error {
	l, err := h.Listen("tcp", ":7")
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		_ = l.Close()
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil //nolint:nilerr // It is the end.
		}
		go func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		}()
	}
}

// pingpong writes a text and reads as many bytes.
func pingpong(conn net.Conn, text string) (string, error) {
	if _, err := conn.Write([]byte(text)); err != nil {
		return "", err
	}
	got := make([]byte, len(text))
	_, err := io.ReadFull(conn, got)
	return string(got), err
}

// connected runs a client that is connected to a server that echoes.
func connected(t *testing.T, cfg sim.Config, f func(s *sim.Sim, h *sim.Host, conn net.Conn) error) {
	t.Helper()
	sim.Test(t, cfg, func(s *sim.Sim) {
		s.Host("server", echoing)
		s.Client("client", func(_ context.Context, h *sim.Host) error {
			conn, err := h.Dial("tcp", "server:7")
			if err != nil {
				return err
			}
			defer conn.Close()
			if got, err := pingpong(conn, "hello"); got != "hello" {
				return fmt.Errorf("got %q, %w", got, err)
			}
			return f(s, h, conn)
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

func TestConnectionCarriesBytesInOrder(t *testing.T) {
	for name, link := range map[string]sim.Link{"sound": {}, "lossy": {Loss: 0.2}} {
		t.Run(name, func(t *testing.T) {
			connected(t, sim.Config{Link: link}, func(s *sim.Sim, _ *sim.Host, conn net.Conn) error {
				sent := make([]byte, 3<<20) // More than the window.
				source := rand.New(rand.NewPCG(1, 2))
				for i := range sent {
					sent[i] = byte(source.Uint32())
				}
				go func() {
					for part := sent; len(part) > 0; {
						n := min(1+source.IntN(100_000), len(part))
						if _, err := conn.Write(part[:n]); err != nil {
							t.Error(err)
						}
						part = part[n:]
						time.Sleep(time.Duration(source.IntN(1000)) * time.Microsecond)
					}
					if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
						t.Error(err)
					}
				}()
				got, err := io.ReadAll(conn)
				if err != nil || !bytes.Equal(got, sent) {
					t.Errorf("got %d bytes, %v; they differ from the %d that were sent", len(got), err, len(sent))
				}
				if dropped := s.Stats().Dropped > 0; dropped != (link.Loss > 0) {
					t.Errorf("something was lost: %t", dropped)
				}
				return nil
			})
		})
	}
}

func TestConnectionAddresses(t *testing.T) {
	connected(t, sim.Config{}, func(_ *sim.Sim, h *sim.Host, conn net.Conn) error {
		for _, addr := range []net.Addr{conn.LocalAddr(), conn.RemoteAddr()} {
			if _, err := netip.ParseAddrPort(addr.String()); err != nil {
				t.Error(err)
			}
		}
		if conn.RemoteAddr().String() != "10.0.0.1:7" || !strings.HasPrefix(conn.LocalAddr().String(), h.IP().String()+":") {
			t.Errorf("from %v to %v", conn.LocalAddr(), conn.RemoteAddr())
		}
		second, err := h.Dial("tcp4", "10.0.0.1:7")
		if err != nil {
			return err
		}
		defer second.Close()
		if second.LocalAddr().String() == conn.LocalAddr().String() {
			t.Error("two connections from one port")
		}
		return nil
	})
}

// What becomes of an open connection, and of what is written then.
func TestConnectionBreaks(t *testing.T) {
	for name, test := range map[string]struct {
		harm  func(s *sim.Sim)
		write bool // before reading
		want  error
		least time.Duration // until it is noticed
		most  time.Duration
	}{
		"killed":               {harm: func(s *sim.Sim) { s.Crash("server") }, want: io.EOF, most: time.Second},
		"killed, then written": {harm: func(s *sim.Sim) { s.Crash("server") }, write: true, want: syscall.ECONNRESET, most: 2 * time.Second},
		"stopped":              {harm: func(s *sim.Sim) { s.Stop("server") }, want: io.EOF, most: time.Second},
		"without power": {
			harm: func(s *sim.Sim) { s.PowerOff("server") }, want: syscall.ETIMEDOUT,
			least: 2 * time.Minute, most: 3 * time.Minute,
		},
		"without power, written": {
			harm: func(s *sim.Sim) { s.PowerOff("server") }, write: true, want: syscall.ETIMEDOUT,
			least: 2 * time.Minute, most: 16 * time.Minute,
		},
		"power back": {
			harm: func(s *sim.Sim) { s.PowerOff("server"); s.Bounce("server") }, want: syscall.ECONNRESET,
			least: 10 * time.Second, most: time.Minute,
		},
		"power back, written": {harm: func(s *sim.Sim) { s.PowerOff("server"); s.Bounce("server") }, write: true, want: syscall.ECONNRESET, most: time.Second},
		"severed":             {harm: func(s *sim.Sim) { s.Sever("client", "server") }, want: syscall.ECONNRESET, most: time.Second},
		"partition":           {harm: func(s *sim.Sim) { s.Partition("client", "server") }, want: syscall.ETIMEDOUT, least: 2 * time.Minute, most: 3 * time.Minute},
		"answers lost":        {harm: func(s *sim.Sim) { s.PartitionOneway("server", "client") }, want: syscall.ETIMEDOUT, least: 2 * time.Minute, most: 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			connected(t, sim.Config{MaxTime: 2 * time.Hour, Quiet: 90 * time.Minute}, func(s *sim.Sim, h *sim.Host, conn net.Conn) error {
				h.Do(func() { test.harm(s) })
				time.Sleep(100 * time.Millisecond)
				start := time.Now()
				if test.write {
					if _, err := conn.Write([]byte("more")); err != nil {
						return err
					}
					time.Sleep(100 * time.Millisecond)
				}
				_ = conn.SetReadDeadline(start.Add(time.Hour))
				_, err := conn.Read(make([]byte, 9))
				if took := time.Since(start); !errors.Is(err, test.want) || took < test.least || took > test.most {
					t.Errorf("got %v after %v, want %v after %v to %v", err, took, test.want, test.least, test.most)
				}
				return nil
			})
		})
	}
}

// A network that heals in time is not noticed but by its slowness.
func TestConnectionOutlivesAPartition(t *testing.T) {
	connected(t, sim.Config{}, func(s *sim.Sim, h *sim.Host, conn net.Conn) error {
		h.Do(func() {
			s.Partition("client", "server")
			s.After(time.Minute, func() { s.Repair("client", "server") })
		})
		start := time.Now()
		go func() {
			for i := range 20 {
				_, _ = fmt.Fprintf(conn, "%02d", i)
				time.Sleep(time.Second)
			}
		}()
		got := make([]byte, 40)
		_, err := io.ReadFull(conn, got)
		if err != nil || string(got) != "0001020304050607080910111213141516171819" {
			t.Errorf("got %q, %v", got, err)
		}
		if took := time.Since(start); took < time.Minute || took > 3*time.Minute {
			t.Errorf("it took %v", took)
		}
		return nil
	})
}

func TestDialFails(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("server", echoing)
		s.Host("off", echoing)
		s.Client("client", func(_ context.Context, h *sim.Host) error {
			h.Do(func() { s.PowerOff("off") })
			for name, test := range map[string]struct {
				network, address string
				timeout          time.Duration
				want             string
				is               error
				after            time.Duration
			}{
				"refused":         {"tcp", "server:8", 0, "dial tcp 10.0.0.1:8: connect: connection refused", syscall.ECONNREFUSED, 0},
				"unknown":         {"tcp", "nobody:7", 0, "dial tcp: lookup nobody: no such host", nil, 0},
				"no such address": {"tcp", "10.0.0.77:7", 0, "dial tcp: lookup 10.0.0.77: no such host", nil, 0},
				"no port":         {"tcp", "server", 0, "missing port in address", nil, 0},
				"odd port":        {"tcp", "server:postgres", 0, "unknown port; write its number", nil, 0},
				"udp":             {"udp", "server:7", 0, `network "udp" is not simulated; use tcp`, nil, 0},
				"no power":        {"tcp", "off:7", 0, "dial tcp 10.0.0.2:7: connect: connection timed out", syscall.ETIMEDOUT, 127 * time.Second},
				"given up":        {"tcp", "off:7", 5 * time.Second, "dial tcp 10.0.0.2:7: i/o timeout", context.DeadlineExceeded, 5 * time.Second},
			} {
				ctx, cancel := context.WithCancel(context.Background())
				if test.timeout > 0 {
					ctx, cancel = context.WithTimeout(context.Background(), test.timeout)
				}
				start := time.Now()
				_, err := h.DialContext(ctx, test.network, test.address)
				cancel()
				if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("%s: got %v, want %s", name, err, test.want)
				}
				if took := time.Since(start).Round(time.Second); took != test.after {
					t.Errorf("%s: it took %v, want %v", name, took, test.after)
				}
			}
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

func TestListen(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("other", echoing)
		s.Client("server", func(_ context.Context, h *sim.Host) error {
			first, err := h.Listen("tcp", "server:80")
			if err != nil {
				return err
			}
			for address, want := range map[string]string{
				":80":         "listen tcp [::]:80: bind: address already in use",
				"1.2.3.4:81":  "no such host",
				"other:81":    "bind: cannot assign requested address",
				"server:many": "unknown port",
			} {
				if _, err := h.Listen("tcp", address); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: got %v, want %s", address, err, want)
				}
			}
			free, err := h.Listen("tcp", "localhost:0")
			if err != nil || free.Addr().(*net.TCPAddr).Port < 1024 {
				t.Errorf("got %v, %v", free.Addr(), err)
			}
			own, err := h.Dial("tcp", free.Addr().String())
			if err != nil {
				t.Error(err)
			}
			accepted, err := free.Accept()
			if err != nil || accepted.RemoteAddr().String() != own.LocalAddr().String() {
				t.Errorf("got %v, %v", accepted, err)
			}
			return errors.Join(first.Close(), free.Close(), own.Close(), accepted.Close())
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	connected(t, sim.Config{}, func(_ *sim.Sim, _ *sim.Host, conn net.Conn) error {
		for range 2 {
			start := time.Now()
			_ = conn.SetReadDeadline(start.Add(3 * time.Second))
			_, err := conn.Read(make([]byte, 1))
			var timeout net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(start) != 3*time.Second {
				t.Errorf("got %v after %v", err, time.Since(start))
			}
		}
		_ = conn.SetDeadline(time.Time{})
		if got, err := pingpong(conn, "again"); got != "again" {
			t.Errorf("got %q, %v", got, err)
		}
		blocked := make(chan error)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			blocked <- err
		}()
		time.Sleep(time.Second)
		_ = conn.SetReadDeadline(time.Now())
		if err := <-blocked; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		return nil
	})
}

// An http.Server of the standard library and an http.Transport of it, unmodified.
func TestNetHTTPOverConnections(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("web", func(ctx context.Context, h *sim.Host) error {
			l, err := h.Listen("tcp", ":80")
			if err != nil {
				return err
			}
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprintf(w, "%s from %s", r.URL.Path, r.RemoteAddr)
			}), ReadHeaderTimeout: time.Minute}
			go func() {
				<-ctx.Done()
				_ = server.Close()
			}()
			_ = server.Serve(l)
			return nil
		})
		s.Client("client", func(_ context.Context, h *sim.Host) error {
			transport := &http.Transport{DialContext: h.DialContext}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			var first string
			for i := range 3 {
				res, err := client.Get("http://web/hello")
				if err != nil {
					return err
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if i == 0 {
					first = string(body)
				}
				if err != nil || !strings.HasPrefix(string(body), "/hello from 10.0.0.2:") || string(body) != first {
					t.Errorf("got %q, %v, not as at first, over one connection", body, err)
				}
			}
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

// A name of several hosts leads to one that answers.
func TestNameOfReplicas(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		for _, name := range []string{"a", "b", "c"} {
			s.Host(name, func(ctx context.Context, h *sim.Host) error {
				h.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, h.Name()) }))
				return echoing(ctx, h)
			})
		}
		s.Name("db", "a", "b", "c")
		s.Client("client", func(_ context.Context, h *sim.Host) error {
			h.Do(func() { s.Crash("b") })
			seen, called := make(map[string]bool), make(map[string]bool)
			for range 30 {
				conn, err := h.Dial("tcp", "db:7")
				if err != nil {
					return err
				}
				seen[conn.RemoteAddr().String()] = true
				_ = conn.Close()
				if res, err := h.HTTPClient().Get("http://db/"); err == nil {
					body, _ := io.ReadAll(res.Body)
					_ = res.Body.Close()
					called[string(body)] = true
				}
			}
			if len(seen) != 2 || seen["10.0.0.2:7"] || len(called) != 2 {
				t.Errorf("got connections to %v, calls to %v, want a and c", seen, called)
			}
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

// An attempt to connect that is not answered ends, also if it is the answer that is lost or held.
func TestDialWithoutAnswer(t *testing.T) {
	for name, harm := range map[string]func(s *sim.Sim){
		"lost":         func(s *sim.Sim) { s.PartitionOneway("server", "client") },
		"held":         func(s *sim.Sim) { s.Hold("server", "client") },
		"refusal lost": func(s *sim.Sim) { s.Crash("server"); s.PartitionOneway("server", "client") },
	} {
		t.Run(name, func(t *testing.T) {
			sim.Test(t, sim.Config{}, func(s *sim.Sim) {
				s.Host("server", echoing)
				s.Client("client", func(_ context.Context, h *sim.Host) error {
					h.Do(func() { harm(s) })
					start := time.Now()
					_, err := h.Dial("tcp", "server:7")
					if took := time.Since(start).Round(time.Second); !errors.Is(err, syscall.ETIMEDOUT) || took != 127*time.Second {
						t.Errorf("got %v after %v", err, took)
					}
					return nil
				})
				if err := s.Run(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Connections replay, their losses and breaks included.
func TestConnectionsReplay(t *testing.T) {
	hashes := make(map[uint64]bool)
	for seed := range uint64(20) {
		run, err := sim.Verify(bubble.In(t), sim.Config{Seed: seed, Link: sim.Link{Loss: 0.1}}, func(s *sim.Sim) error {
			s.Host("server", echoing)
			for i := range 3 {
				s.Client(fmt.Sprint("client", i), func(_ context.Context, h *sim.Host) error {
					for range 5 {
						conn, err := h.Dial("tcp", "server:7")
						if err != nil {
							continue
						}
						for j := range 4 {
							if _, err := pingpong(conn, strings.Repeat(fmt.Sprint(j), 1000)); err != nil {
								break
							}
						}
						_ = conn.Close()
					}
					return nil
				})
			}
			s.At(20*time.Millisecond, func() { s.Crash("server") })
			s.At(time.Second, func() { s.Bounce("server") })
			s.At(2*time.Second, func() { s.Sever("client0", "server") })
			return s.Run()
		}, 1, 2, 8)
		if err != nil {
			t.Error(err)
		}
		hashes[run.Hash] = true
	}
	if len(hashes) != 20 {
		t.Errorf("20 seeds gave %d traces", len(hashes))
	}
}
