package sim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
)

// apply puts rules in force in a simulation, under its seed.
func apply(s *sim.Sim, rules string) error {
	plan, err := faults.ParsePlan(rules)
	if err != nil {
		return err
	}
	plan.Seed = s.Seed()
	return s.Injector().Apply(plan)
}

// fired returns how often the rules of a simulation have matched and acted, by their ids.
func fired(s *sim.Sim) map[string][2]uint64 {
	counts := make(map[string][2]uint64)
	for _, rule := range s.Injector().Status().Rules {
		counts[rule.Rule.ID] = [2]uint64{rule.Matched, rule.Fired}
	}
	return counts
}

// faulty runs a client and a server that echoes, at whose connections rules act.
func faulty(t *testing.T, rules string, f func(s *sim.Sim, h *sim.Host) error) {
	t.Helper()
	cfg := sim.Config{Seed: 1, MaxTime: 2 * time.Hour, Quiet: 90 * time.Minute}
	cfg.Link.Latency = sim.Latency{Min: time.Millisecond, Mean: time.Millisecond, Max: time.Millisecond}
	acted := make(map[string]uint64)
	cfg.OnEvent = func(e sim.Event) {
		if e.Kind == sim.EventFault {
			acted[e.Fault]++
		}
	}
	sim.Test(t, cfg, func(s *sim.Sim) {
		if err := apply(s, rules); err != nil {
			t.Fatal(err)
		}
		s.Host("server", echoing)
		s.Client("client", func(_ context.Context, h *sim.Host) error { return f(s, h) })
		if err := s.Run(); err != nil {
			t.Error(err)
		}
		for id, counts := range fired(s) {
			if acted[id] != counts[1] {
				t.Errorf("%s is in the trace %d times, and has acted %d times", id, acted[id], counts[1])
			}
		}
	})
}

// took is how long something takes, and what it says.
func took(f func() error) (time.Duration, error) {
	start := time.Now()
	err := f()
	return time.Since(start), err
}

// between says whether a duration is within limits.
func between(t *testing.T, what string, d, least, most time.Duration) {
	t.Helper()
	if d < least || d > most {
		t.Errorf("%s takes %v, want %v to %v", what, d, least, most)
	}
}

// What rules do to a dial, and to a text that goes to the server and comes back.
func TestRulesActOnConnections(t *testing.T) {
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		rules    string
		dial     [2]time.Duration // least and most
		refused  error
		text     int              // bytes; 0: 5
		echo     [2]time.Duration // after the dial
		broken   error
		received int    // bytes before that
		fired    uint64 // of rule a
	}{
		"nothing":              {rules: "a: drop procedure=/acme.v1.Ping/Ping", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}},
		"delay":                {rules: "a: delay(100ms) procedure=tcp:7", dial: [2]time.Duration{100 * ms, 110 * ms}, echo: [2]time.Duration{100 * ms, 110 * ms}, fired: 2},
		"delay of answers":     {rules: "a: delay(100ms) phase=response-in-flight", dial: [2]time.Duration{100 * ms, 110 * ms}, echo: [2]time.Duration{100 * ms, 110 * ms}, fired: 2},
		"delay of another":     {rules: "a: delay(100ms) procedure=tcp:8", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}},
		"delay from another":   {rules: "a: delay(100ms) from=server to=client", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}},
		"side client":          {rules: "a: delay(100ms) side=client\nb: delay(100ms) side=server", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}},
		"header":               {rules: "a: delay(100ms) header=A:b", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}},
		"lost once":            {rules: "a: drop procedure=tcp:* first=1", dial: [2]time.Duration{time.Second, 1010 * ms}, echo: [2]time.Duration{ms, 4 * ms}, fired: 1},
		"lost thrice":          {rules: "a: drop procedure=tcp:* first=3", dial: [2]time.Duration{7 * time.Second, 7010 * ms}, echo: [2]time.Duration{ms, 4 * ms}, fired: 3},
		"bytes lost twice":     {rules: "a: drop procedure=tcp:* after=1 first=2", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{600 * ms, 610 * ms}, fired: 2},
		"answer lost":          {rules: "a: drop phase=response-in-flight nth=2", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{200 * ms, 210 * ms}, fired: 1},
		"nothing gets through": {rules: "a: drop to=server", dial: [2]time.Duration{127 * time.Second, 128 * time.Second}, refused: syscall.ETIMEDOUT, fired: 7},
		"no answer": {
			rules: "a: drop phase=response-in-flight to=server", dial: [2]time.Duration{127 * time.Second, 128 * time.Second}, refused: syscall.ETIMEDOUT, fired: 7,
		},
		"gone silent": {
			rules: "a: drop window=1s..", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{2 * time.Minute, 3 * time.Minute}, broken: syscall.ETIMEDOUT, fired: 10,
		},
		"partition":         {rules: "a: partition window=..10s from=server to=client", dial: [2]time.Duration{15 * time.Second, 15010 * ms}, echo: [2]time.Duration{ms, 4 * ms}, fired: 4},
		"partition one-way": {rules: "a: partition(one-way) window=..10s from=server to=client", dial: [2]time.Duration{15 * time.Second, 15010 * ms}, echo: [2]time.Duration{ms, 4 * ms}, fired: 4},
		"partition for long": {
			rules: "a: partition window=1s.. from=c* to=s*", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{2 * time.Minute, 3 * time.Minute}, broken: syscall.ETIMEDOUT, fired: 10,
		},
		"hold":     {rules: "a: hold window=1s..31s", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{29 * time.Second, 29010 * ms}, fired: 1},
		"hold all": {rules: "a: hold window=..10s", dial: [2]time.Duration{10 * time.Second, 10010 * ms}, echo: [2]time.Duration{ms, 4 * ms}, fired: 1},
		"hold for too long": {
			rules: "a: hold window=..10m", dial: [2]time.Duration{127 * time.Second, 128 * time.Second}, refused: syscall.ETIMEDOUT, fired: 1,
		},
		"throttle":   {rules: "a: throttle(1KiB/s) procedure=tcp:7", text: 10 << 10, dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{10 * time.Second, 10010 * ms}, fired: 2},
		"refused":    {rules: "a: error(unavailable) procedure=tcp:7", dial: [2]time.Duration{2 * ms, 4 * ms}, refused: syscall.ECONNREFUSED, fired: 1},
		"code":       {rules: "a: error(aborted)", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}},
		"reset":      {rules: "a: reset procedure=tcp:7", dial: [2]time.Duration{2 * ms, 4 * ms}, refused: syscall.ECONNREFUSED, fired: 1},
		"reset late": {rules: "a: reset nth=2", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}, broken: syscall.ECONNRESET, fired: 1},
		"accept reset": {
			rules: "a: reset phase=response-in-flight", dial: [2]time.Duration{2 * ms, 4 * ms}, refused: syscall.ECONNREFUSED, fired: 1,
		},
		"reset after bytes": {
			rules: "a: reset(1000B) phase=response-in-flight", text: 3000, dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 5 * ms}, broken: syscall.ECONNRESET, received: 1000, fired: 1,
		},
		"reset after all":   {rules: "a: reset(5000B)", text: 3000, dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 5 * ms}, fired: 1},
		"truncate":          {rules: "a: truncate(1000B) phase=response-in-flight", text: 3000, dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 5 * ms}, broken: io.ErrUnexpectedEOF, received: 1000, fired: 1},
		"truncate requests": {rules: "a: truncate", text: 3000, dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 5 * ms}, broken: syscall.ECONNRESET, fired: 1},
		"crash":             {rules: "a: crash nth=2", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}, broken: io.EOF, fired: 1},
		"crash at once":     {rules: "a: crash(host=server)", dial: [2]time.Duration{ms, 4 * ms}, refused: syscall.ECONNREFUSED, fired: 1},
		"restart":           {rules: "a: restart(1s) nth=2", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}, broken: io.EOF, fired: 1},
		"pause":             {rules: "a: pause(5s, host=server) nth=2", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{5 * time.Second, 5010 * ms}, fired: 1},
		"duplicate":         {rules: "a: duplicate", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}},
		"reorder":           {rules: "a: reorder(1s)", dial: [2]time.Duration{ms, 4 * ms}, echo: [2]time.Duration{ms, 4 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			faulty(t, test.rules, func(s *sim.Sim, h *sim.Host) error {
				defer func() {
					if counts := fired(s)["a"]; counts[1] != test.fired {
						t.Errorf("the rule has matched %d times and acted %d times, want %d", counts[0], counts[1], test.fired)
					}
				}()
				var conn net.Conn
				d, err := took(func() (err error) {
					conn, err = h.Dial("tcp", "server:7")
					return err
				})
				between(t, "dial", d, test.dial[0], test.dial[1])
				if !errors.Is(err, test.refused) {
					t.Errorf("dial: got %v, want %v", err, test.refused)
				}
				if err != nil {
					return nil
				}
				defer conn.Close()
				time.Sleep(2*time.Second - s.Elapsed())
				text := bytes.Repeat([]byte("hello"), max(1, test.text/5))
				got := make([]byte, len(text))
				var n int
				d, err = took(func() error {
					if _, err := conn.Write(text); err != nil {
						return err
					}
					var err error
					n, err = io.ReadFull(conn, got)
					return err
				})
				between(t, "echo", d, test.echo[0], test.echo[1])
				if test.broken == nil {
					test.received = len(text)
				}
				if !errors.Is(err, test.broken) || n != test.received || !bytes.Equal(got[:n], text[:n]) {
					t.Errorf("got %d bytes and %v, want %d and %v", n, err, test.received, test.broken)
				}
				return nil
			})
		})
	}
}

// What one message waits for, those after it wait for too.
func TestDelayedBytesStayInOrder(t *testing.T) {
	faulty(t, "a: delay(500ms) nth=3\nb: throttle(10B/s) nth=5", func(_ *sim.Sim, h *sim.Host) error {
		conn, err := h.Dial("tcp", "server:7")
		if err != nil {
			return err
		}
		defer conn.Close()
		start := time.Now()
		go func() {
			for i := range 8 {
				_, _ = fmt.Fprint(conn, i)
				time.Sleep(10 * time.Millisecond)
			}
		}()
		var at []time.Duration
		for i := range 8 {
			var b [1]byte
			if _, err := conn.Read(b[:]); err != nil || b[0] != byte('0'+i) {
				t.Errorf("got %q, %v, want %d", b, err, i)
			}
			at = append(at, time.Since(start))
		}
		// The fourth is held up for 100 ms while it waits for the second.
		if at[0] > 20*time.Millisecond || at[1] < 510*time.Millisecond || at[7] > 530*time.Millisecond {
			t.Errorf("they came back at %v", at)
		}
		return nil
	})
}

// What is kept goes on when it is let go: by the injector, by a rule, at the end of a plan, or when
// that ends by itself.
func TestHeldBytesAreLetGo(t *testing.T) {
	for name, test := range map[string]struct {
		rules string
		ttl   time.Duration
		free  func(s *sim.Sim, h *sim.Host) error
	}{
		"by hand":       {rules: "a: hold after=1", free: func(s *sim.Sim, _ *sim.Host) error { s.Injector().Release("a"); return nil }},
		"by the driver": {rules: "a: hold after=1", free: func(s *sim.Sim, h *sim.Host) error { h.Do(func() { s.Injector().Release("a") }); return nil }},
		"cleared":       {rules: "a: hold after=1", free: func(s *sim.Sim, _ *sim.Host) error { s.Injector().Clear(); return nil }},
		"delay cleared": {rules: "a: delay(1h) after=1", free: func(s *sim.Sim, _ *sim.Host) error { s.Injector().Clear(); return nil }},
		"slow cleared":  {rules: "a: throttle(1B/s) after=1", free: func(s *sim.Sim, _ *sim.Host) error { s.Injector().Clear(); return nil }},
		"for some time": {rules: "a: hold after=1", ttl: 10 * time.Second, free: func(*sim.Sim, *sim.Host) error { return nil }},
		"by a rule":     {rules: "a: hold from=client after=1\nb: release(a) procedure=tcp:8", free: func(_ *sim.Sim, h *sim.Host) error { _, _ = h.Dial("tcp", "server:8"); return nil }},
		"with the event": {rules: "a: hold after=1\nb: release(a) procedure=tcp:8 event=go", free: func(s *sim.Sim, h *sim.Host) error {
			s.Injector().Signal("go")
			_, _ = h.Dial("tcp", "server:8")
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			faulty(t, "z: delay(1ms) procedure=/none", func(s *sim.Sim, h *sim.Host) error {
				plan, err := faults.ParsePlan(strings.ReplaceAll(test.rules, "after=1", "after=1 procedure=tcp:7"))
				if err != nil {
					return err
				}
				if test.ttl > 0 {
					err = s.Injector().ApplyFor(plan, test.ttl)
				} else {
					err = s.Injector().Apply(plan)
				}
				if err != nil {
					return err
				}
				conn, err := h.Dial("tcp", "server:7")
				if err != nil {
					return err
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, strings.Repeat("hello", 2000))
				_ = conn.SetReadDeadline(time.Now().Add(9 * time.Second))
				if _, err := conn.Read(make([]byte, 5)); err == nil {
					t.Error("it was not kept")
				}
				if err := test.free(s, h); err != nil {
					return err
				}
				_ = conn.SetReadDeadline(time.Time{})
				d, err := took(func() error {
					_, err := io.ReadFull(conn, make([]byte, 10000))
					return err
				})
				if most := 10 * time.Millisecond; err != nil || d > most && test.ttl == 0 || d > 1010*time.Millisecond {
					t.Errorf("after it was let go: %v after %v", err, d)
				}
				return nil
			})
		})
	}
}

// The end that is cut off hears of it, whichever end that is.
func TestBothEndsOfACutConnection(t *testing.T) {
	for rules, want := range map[string][2]string{
		"a: reset(10B) phase=response-in-flight":    {"read 10, connection reset by peer", "read 0, connection reset by peer"},
		"a: reset(10B)":                             {"read 0, connection reset by peer", "read 10, connection reset by peer"},
		"a: truncate(10B) phase=response-in-flight": {"read 10, EOF", "read 0, connection reset by peer"},
		"a: truncate(10B)":                          {"read 0, connection reset by peer", "read 10, EOF"},
	} {
		t.Run(rules, func(t *testing.T) {
			cfg := sim.Config{Seed: 3}
			sim.Test(t, cfg, func(s *sim.Sim) {
				if err := apply(s, rules); err != nil {
					t.Fatal(err)
				}
				var got [2]string
				// Each end writes, waits, and reads.
				talk := func(which int, conn net.Conn) error {
					writes := (which == 0) != strings.Contains(rules, "response")
					if writes {
						_, _ = io.WriteString(conn, "hello, world")
					}
					time.Sleep(time.Minute) // A truncated end is an end, however late it is read.
					b := make([]byte, 100)
					n, err := conn.Read(b)
					if err == nil {
						_, err = conn.Read(b)
					}
					var number syscall.Errno
					if errors.As(err, &number) {
						err = number
					}
					got[which] = fmt.Sprintf("read %d, %v", n, err)
					return conn.Close()
				}
				s.Host("server", func(ctx context.Context, h *sim.Host) error {
					l, err := h.Listen("tcp", ":7")
					if err != nil {
						return err
					}
					conn, err := l.Accept()
					if err != nil {
						return err
					}
					if err := talk(1, conn); err != nil {
						return err
					}
					<-ctx.Done()
					return nil
				})
				s.Client("client", func(_ context.Context, h *sim.Host) error {
					conn, err := h.Dial("tcp", "server:7")
					if err != nil {
						return err
					}
					return talk(0, conn)
				})
				if err := s.Run(); err != nil {
					t.Error(err)
				}
				if got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
}

// A cut message that is lost, and is sent again when its rule is no longer in force, leaves no hole.
func TestCutStaysCut(t *testing.T) {
	faulty(t, "a: truncate(2B) procedure=tcp:7 phase=response-in-flight", func(s *sim.Sim, h *sim.Host) error {
		conn, err := h.Dial("tcp", "server:7")
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "hello"); err != nil {
			return err
		}
		time.Sleep(1500 * time.Microsecond) // The echo is under way.
		h.Do(func() { s.Partition("client", "server") })
		s.Injector().Clear()
		time.Sleep(time.Second)
		h.Do(func() { s.Repair("client", "server") })
		got, err := io.ReadAll(conn)
		if err != nil || string(got) != "he" {
			t.Errorf("got %q, %v", got, err)
		}
		return nil
	})
}

// What is sent after the byte at which a connection ends does not arrive, whatever becomes of the rule.
func TestNothingFollowsACut(t *testing.T) {
	faulty(t, "a: truncate(2B) procedure=tcp:7", func(s *sim.Sim, h *sim.Host) error {
		conn, err := h.Dial("tcp", "server:7")
		if err != nil {
			return err
		}
		defer conn.Close()
		for range 3 {
			_, _ = io.WriteString(conn, "hello")
			time.Sleep(10 * time.Microsecond)
			s.Injector().Clear()
		}
		if got, err := io.ReadAll(conn); len(got) > 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %q, %v", got, err)
		}
		time.Sleep(time.Second)
		h.Do(func() {
			if n := s.Stats().Delivered; n != 5 { // What opens it, two bytes, their echo, a reset.
				t.Errorf("%d messages arrived", n)
			}
		})
		return nil
	})
}

// A rule without a procedure concerns calls and connections, and counts both.
func TestRulesForCallsAndConnections(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		if err := apply(s, "all: delay(1ms)\ncalls: delay(1ms) procedure=/*\nconnections: delay(1ms) procedure=tcp:*"); err != nil {
			t.Fatal(err)
		}
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(http.NotFoundHandler())
			return echoing(ctx, h)
		})
		s.Client("client", func(_ context.Context, h *sim.Host) error {
			res, err := h.HTTPClient().Get("http://server/a/b")
			if err != nil {
				return err
			}
			_ = res.Body.Close()
			conn, err := h.Dial("tcp", "server:7")
			if err != nil {
				return err
			}
			return conn.Close()
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
		// A request; what asks for a connection, and its end.
		if got, want := fmt.Sprint(fired(s)), "map[all:[3 3] calls:[1 1] connections:[2 2]]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// The numbers of a rule count what matches it, over all connections.
func TestNumbersAtConnections(t *testing.T) {
	for rules, want := range map[string]string{
		"a: error(unavailable) nth=3":                              "..x.....",
		"a: error(unavailable) every=3":                            "..x..x..",
		"a: error(unavailable) after=2 first=2":                    "..xx....",
		"a: error(unavailable) window=2500ms..4500ms":              "...xx...",
		"a: error(unavailable) event=now first=2":                  ".....xx.",
		"a: error(unavailable) from=other":                         "........",
		"a: error(unavailable) procedure=tcp:7* to=s*|x":           "xxxxxxxx",
		"a: error(unavailable) procedure=tcp:70":                   "........",
		"a: error(unavailable) procedure=/tcp/7":                   "........",
		"a: error(unavailable) nth=2\nb: error(unavailable) nth=4": ".x.x....",
	} {
		t.Run(rules, func(t *testing.T) {
			faulty(t, rules, func(s *sim.Sim, h *sim.Host) error {
				var got string
				for i := range 8 {
					if i == 5 {
						s.Injector().Signal("now")
					}
					conn, err := h.Dial("tcp", "server:7")
					if err != nil {
						got += "x"
					} else {
						got += "."
						_, _ = pingpong(conn, "hello")
						_ = conn.Close()
					}
					time.Sleep(time.Duration(i+1)*time.Second - s.Elapsed())
				}
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				return nil
			})
		})
	}
}

// A host's connections to itself are not on the network.
func TestLoopbackIsLeftAlone(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		if err := apply(s, "a: drop"); err != nil {
			t.Fatal(err)
		}
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			go func() { _ = echoing(ctx, h) }()
			time.Sleep(time.Millisecond)
			conn, err := h.Dial("tcp", "localhost:7")
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = pingpong(conn, "hello")
			return err
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
		if got := fired(s)["a"]; got[0] != 0 {
			t.Errorf("the rule has matched %d times", got[0])
		}
	})
}

// A web server and its clients as people write them, with the connections of the host.
func TestUnmodifiedHTTPOverFaultyConnections(t *testing.T) {
	for _, rules := range []string{
		"a: delay(uniform, 1ms, 80ms) procedure=tcp:80",
		"a: drop probability=0.1\nb: drop phase=response-in-flight probability=0.1",
		"a: reset(200B) every=5\nb: truncate(2000B) phase=response-in-flight every=7",
		"a: error(unavailable) every=3\nb: throttle(64KiB/s) phase=response-in-flight",
		"a: partition from=client-* to=server window=20ms..3s",
		"a: hold window=20ms..1s\nb: delay(exponential, 5ms) phase=response-in-flight",
		"a: restart(300ms) nth=15",
		"a: pause(700ms, host=server) nth=15\nb: crash(host=client-1) phase=response-in-flight nth=15",
	} {
		t.Run(rules, func(t *testing.T) {
			var acted []string
			cfg := sim.Config{Seed: 7, OnEvent: func(e sim.Event) {
				if e.Kind == sim.EventFault {
					acted = append(acted, e.Fault)
				}
			}}
			ok := 0
			run, err := sim.Verify(bubble.In(t), cfg, func(s *sim.Sim) error {
				acted, ok = nil, 0
				return browse(s, rules, &ok)
			}, 1, 2, 8)
			if err != nil {
				t.Error(err)
			}
			if run.Err != nil {
				t.Error(run.Err)
			}
			for _, id := range []string{"a", "b"} {
				if strings.Contains(rules, id+": ") && !slices.Contains(acted, id) {
					t.Errorf("only %v acted", acted)
				}
			}
			if ok == 0 || ok > 24 {
				t.Errorf("%d of 24 requests were answered", ok)
			}
		})
	}
}

// browse has clients make requests of a server one after the other.
func browse(s *sim.Sim, rules string, ok *int) error {
	if err := apply(s, rules); err != nil {
		return err
	}
	page := strings.Repeat("All work and no play makes Jack a dull boy. ", 200)
	s.Host("server", func(ctx context.Context, h *sim.Host) error {
		l, err := h.Listen("tcp", ":80")
		if err != nil {
			return err
		}
		server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })}
		go func() {
			<-ctx.Done()
			_ = server.Close()
		}()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
			return err
		}
		return nil
	})
	answers := make([]int, 3)
	for i := range answers {
		s.Client(fmt.Sprint("client-", i), func(ctx context.Context, h *sim.Host) error {
			transport := &http.Transport{DialContext: h.DialContext}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
			chance := h.Rand("pauses")
			for range 8 {
				time.Sleep(10*time.Millisecond + time.Duration(chance.Int64N(int64(5*time.Millisecond))))
				res, err := client.Get("http://server/")
				if err != nil {
					continue
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err == nil && string(body) != page {
					return fmt.Errorf("a page of %d bytes", len(body))
				}
				if err == nil {
					answers[i]++
				}
			}
			return ctx.Err()
		})
	}
	err := s.Run()
	for _, n := range answers {
		*ok += n
	}
	return err
}

// Faults at connections repeat, whoever comes at the same instant.
func TestConnectionFaultsRepeat(t *testing.T) {
	for _, rules := range []string{
		"a: drop every=7\nb: delay(uniform, 1ms, 50ms) probability=0.5 phase=response-in-flight",
		"a: hold window=2ms..2s\nb: reset(3000B) every=11",
		"a: throttle(20KiB/s)\nb: truncate(500B) phase=response-in-flight every=6",
		"a: restart(200ms, host=server) nth=31\nb: error(unavailable) every=4",
		"a: pause(300ms, host=server) nth=11\nb: crash(host=client1) nth=21",
		"a: hold after=9\nb: release(a) nth=14",
		"a: partition(one-way) from=server to=client0 window=1ms..5s\nb: drop probability=0.2",
	} {
		t.Run(rules, func(t *testing.T) {
			hashes := make(map[uint64]bool)
			for seed := range uint64(4) {
				var acted []string
				cfg := sim.Config{Seed: seed, Link: sim.Link{Loss: 0.02}, OnEvent: func(e sim.Event) {
					if e.Kind == sim.EventFault {
						acted = append(acted, e.Fault)
					}
				}}
				run, err := sim.Verify(bubble.In(t), cfg, func(s *sim.Sim) error {
					acted = nil
					if err := apply(s, rules); err != nil {
						return err
					}
					s.Host("server", echoing)
					for i := range 3 {
						s.Client(fmt.Sprint("client", i), func(_ context.Context, h *sim.Host) error {
							for range 5 {
								conn, err := h.Dial("tcp", "server:7")
								if err != nil {
									time.Sleep(100 * time.Millisecond)
									continue
								}
								_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
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
					return s.Run()
				}, 1, 2, 8)
				if err != nil {
					t.Error(err)
				}
				if run.Err != nil {
					t.Error(run.Err)
				}
				if !slices.Contains(acted, "a") || !slices.Contains(acted, "b") {
					t.Errorf("only %v acted", acted)
				}
				hashes[run.Hash] = true
			}
			if len(hashes) != 4 {
				t.Errorf("4 seeds gave %d traces", len(hashes))
			}
		})
	}
}
