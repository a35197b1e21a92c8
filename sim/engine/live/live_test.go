package live_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/examples/counter"
	"github.com/frayrpc/fray/faults"
	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
	"github.com/frayrpc/fray/gen/faults/v1/faultsv1connect"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/live"
	"github.com/frayrpc/fray/sim/scenario"
)

// With this variable, which is an address and a directory, the test is a counter that runs.
const asServer = "COUNTER_AT"

func TestMain(m *testing.M) {
	if address, dir, ok := strings.Cut(os.Getenv(asServer), " "); ok {
		listener, err := net.Listen("tcp", address)
		if err == nil {
			err = counter.Serve(context.Background(), listener, dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// parse reads a scenario about a counter that can run anywhere.
func parse(t *testing.T, faults string) *scenario.Scenario {
	t.Helper()
	text := `
apiVersion: fray.sim/v1
kind: Scenario
subject: counter
metadata: {name: small, summary: A little work.}
run: {backends: [sim, live], maxVirtualTime: 1m}
topology: {}
workload: {clients: {count: 2, additions: 30, every: 100ms}}
heal: {at: 6s}
` + faults
	s, err := scenario.Subjects{subject.Format}.Parse("small.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var subject = counter.Subject()

// serve starts a counter of its own process, which commands kill and start again.
func serve(t *testing.T) live.Config {
	t.Helper()
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // Whose port is free then.
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pid := filepath.Join(dir, "pid")
	config := live.Config{
		Hosts: map[string]string{"server": "http://" + address},
		Crash: "kill -KILL $(cat " + pid + ")",
		Start: fmt.Sprintf("%s='%s %s' %s >%s 2>&1 </dev/null & echo $! >%s", asServer, address, dir, self, filepath.Join(dir, "log"), pid),
		Stop:  "kill -TERM $(cat " + pid + ") && sleep 0.3",
		Pause: "kill -STOP $(cat " + pid + ")", Resume: "kill -CONT $(cat " + pid + ")",
		Environ: os.Environ(), MaxWall: time.Minute,
	}
	shell(t, config.Start)
	t.Cleanup(func() { shell(t, config.Crash) })
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) { // It is another process.
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return config
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal(err)
		}
	}
}

func TestFaultsOfARunningCluster(t *testing.T) {
	t.Parallel()
	config := serve(t)
	s := parse(t, `
faults:
  - {id: slow, match: {to: server, phase: response-in-flight}, when: {window: {until: 5s}}, action: {delay: {for: 5ms}}}
  - {id: lost, match: {from: client-1, to: server, phase: response-in-flight}, when: {window: {until: 5s}, nth: 2}, action: {drop: {}}}
  - {id: late, match: {to: server, phase: request-in-flight}, when: {on: {event: added, nth: 3}, window: {until: 5s}, first: 2}, action: {delay: {for: 1ms}}}
  - {id: kill, when: {on: {event: added, nth: 8}}, action: {restart: {target: server, down: 100ms}}}
  - {id: leave, when: {at: 2s}, action: {stop: {target: server, grace: 2s, down: 100ms}}}
  - {id: nap, when: {at: 5s}, action: {pause: {target: server, for: 100ms}}}
expect:
  faultsFired: all
  finally: [{that: additions.asked == 60 && hosts.crashed == 1 && hosts.stopped == 1 && hosts.paused == 1}]
`)
	r, err := live.Run(t.Context(), subject, s, 1, engine.Options{}, config)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != scenario.VerdictPass || r.Backend != scenario.BackendLive || r.Hash != 0 {
		t.Errorf("%s on %s: %s: %s; %s", r.Verdict, r.Backend, r.Broken, r.Text, r.Facts)
	}
	var facts counter.Facts
	if err := r.Facts.Read(&facts); err != nil || facts.Additions.Counted < facts.Additions.Acknowledged || facts.Additions.Acknowledged == 0 {
		t.Errorf("facts %+v, error %v", facts, err)
	}
	// Nothing is left behind.
	service := faultsv1connect.NewFaultServiceClient(http.DefaultClient, config.Hosts["server"])
	defer http.DefaultClient.CloseIdleConnections()
	plan, err := service.GetPlan(t.Context(), &faultsv1.GetPlanRequest{})
	if err != nil || len(plan.GetRules()) > 0 {
		t.Errorf("the plan %v is left, error %v", plan.GetRules(), err)
	}
}

// Violations are found as in virtual time.
func TestViolationIsFound(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	injector := faults.New(faults.Config{})
	defer injector.Close()
	server := httptest.NewServer(faults.WithService(injector)(injector.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, n.Add(1)%7) // It forgets.
	}), "server")))
	defer server.Close()
	r, err := live.Run(t.Context(), subject, parse(t, "expect: {faultsFired: none}\n"), 1, engine.Options{}, live.Config{
		Hosts: map[string]string{"server": server.URL},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != scenario.VerdictInvariant || r.Broken != "never-back" || len(r.Last) == 0 {
		t.Errorf("%s: %s: %s", r.Verdict, r.Broken, r.Text)
	}
}

func TestUnsuitable(t *testing.T) {
	t.Parallel()
	at := map[string]string{"server": "http://127.0.0.1:1"}
	for want, c := range map[string]struct {
		faults string
		config live.Config
	}{
		"nobody says where the host server":   {"", live.Config{}},
		"is no base URL":                      {"", live.Config{Hosts: map[string]string{"server": "127.0.0.1:1"}}},
		"the scenario has no host \"severs\"": {"", live.Config{Hosts: map[string]string{"server": at["server"], "severs": "http://x"}}},
		"sets the clock":                      {"faults: [{id: a, when: {at: 1s}, action: {clockStep: {target: server, by: 1s}}}]", live.Config{Hosts: at}},
		"no commands to crash":                {"faults: [{id: a, when: {at: 1s}, action: {restart: {target: server}}}]", live.Config{Hosts: at}},
		"no commands to pause":                {"faults: [{id: a, when: {at: 1s}, action: {pause: {target: server, for: 1s}}}]", live.Config{Hosts: at}},
		"no command to stop": {
			"faults: [{id: a, when: {at: 1s}, action: {stop: {target: server}}}]", live.Config{Hosts: at, Crash: "true", Start: "true"},
		},
		"takes something from a host's disk": {
			"faults: [{id: a, when: {at: 1s}, action: {crash: {target: server, disk: lost}}}]", live.Config{Hosts: at, Crash: "true", Start: "true"},
		},
		"in the middle of a call": {
			"faults: [{id: a, match: {to: server}, action: {restart: {}}}]", live.Config{Hosts: at, Crash: "true", Start: "true"},
		},
		"servers do not know their callers": {
			"faults: [{id: a, match: {from: client-1, phase: before-handler}, action: {drop: {}}}]", live.Config{Hosts: at},
		},
		"it heals at 6s, and a run may take 1s": {"", live.Config{Hosts: at, MaxWall: time.Second}},
	} {
		if c.faults != "" && !strings.HasSuffix(c.faults, "\n") {
			c.faults += "\n"
		}
		if err := live.Suitable(subject, parse(t, c.faults), c.config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	mute := httptest.NewServer(http.NotFoundHandler())
	defer mute.Close()
	_, err := live.Run(t.Context(), subject, parse(t, ""), 1, engine.Options{}, live.Config{Hosts: map[string]string{"server": mute.URL}})
	var unsuitable *scenario.UnsuitableError
	if err != nil || errors.As(err, &unsuitable) {
		t.Fatal(err)
	}
}
