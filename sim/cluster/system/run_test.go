package system_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/race"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

func run(t *testing.T, s *scenario.Scenario, seed uint64, options system.Options) *engine.Result {
	t.Helper()
	options.Bubble = bubble.In(t)
	r, err := system.Run(t.Context(), s, seed, options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// want fails the test if a run did not end as it should.
func want(t *testing.T, r *engine.Result, verdict, broken, text string) {
	t.Helper()
	if r.Verdict == verdict && r.Broken == broken && strings.Contains(r.Text, text) {
		return
	}
	t.Errorf("%s, seed %d: %s %s: %s; want %s %s: %s", r.Scenario, r.Seed, r.Verdict, r.Broken, r.Text, verdict, broken, text)
	for _, e := range r.Last {
		t.Log(e.String())
	}
}

func TestWorkerCrash(t *testing.T) {
	s := load(t, "worker-crash")
	for seed := s.Run.Seeds.First; seed <= s.Run.Seeds.Last; seed++ {
		r := run(t, s, seed, system.Options{})
		want(t, r, scenario.VerdictPass, "", "")
		if system.FactsOf(r).Times.Recovered < 5*time.Second || system.FactsOf(r).Times.Recovered > 20*time.Second {
			t.Errorf("seed %d: recovery took %v, and a session lasts 15s", seed, system.FactsOf(r).Times.Recovered)
		}
		if again := run(t, s, seed, system.Options{}); again.Hash != r.Hash {
			t.Errorf("seed %d: hash %x, and then %x", seed, r.Hash, again.Hash)
		}
	}
}

// withRoles has the library run with callers that have roles. What they show takes room, so that its
// traces are others.
var withRoles = flag.Bool("roles", false, "run the library with callers that have roles")

// raceShare is which share of the library runs under the race detector, where a run takes ten times as
// long.
const raceShare = 10

// Every scenario passes, and its trace is the same with one processor and with more, and as it was;
// that of every tenth is so with the race detector, too.
func TestLibraryPassesAndRepeats(t *testing.T) {
	pinned := readHashes(t)
	hashes := map[traceOf]string{}
	judged, ran := map[string][]string{}, 0
	for i, name := range cluster.List() {
		if name == "long-soak" || race.Enabled && i%raceShare != 0 {
			continue // For the first see TestLongSoak.
		}
		t.Run(name, func(t *testing.T) {
			s := load(t, name)
			if *withRoles {
				var err error
				if s, err = cluster.WithRoles(s); err != nil {
					t.Fatal(err)
				}
			}
			_, known := pinned[traceOf{name, 1}]
			r := runOrVerify(t, s, i, known && !*withRoles && !*update)
			want(t, r, scenario.VerdictPass, "", "")
			hash := fmt.Sprintf("%016x", r.Hash)
			if r.Hash == 0 || slices.Contains(slices.Collect(maps.Values(hashes)), hash) {
				t.Errorf("hash %s is nothing, or that of another scenario", hash)
			}
			of := traceOf{name, 1}
			hashes[of] = hash
			if !*withRoles {
				checkHash(t, pinned, of, hash)
			}
			for _, f := range r.Faults {
				if f.Fired == 0 {
					t.Errorf("fault %s never acted", f.ID)
				}
			}
			if len(r.Oracles) == 0 || r.Oracles[0].Checks == 0 {
				t.Errorf("oracles checked nothing: %+v", r.Oracles)
			}
			ran++
			for _, c := range r.Oracles {
				if c.Judged() {
					judged[c.Oracle] = append(judged[c.Oracle], name)
				}
			}
		})
	}
	if ran == len(cluster.List())-1 && !t.Failed() { // All of them, and not those that -run names.
		checkJudged(t, judged)
	}
	if !*withRoles {
		updateHashes(t, pinned, hashes)
	}
}

// leastJudged is in how many scenarios of the library each oracle is to find something to look at,
// lest a claim holds because nothing ever puts it to the test.
const leastJudged = 3

func checkJudged(t *testing.T, judged map[string][]string) {
	t.Helper()
	for _, i := range cluster.Format().Invariants {
		if in := judged[i.Name]; len(in) < leastJudged {
			t.Errorf("oracle %s judged something in %d scenarios of the library, want %d at least: %v", i.Name, len(in), leastJudged, in)
		}
	}
}

// runOrVerify runs the i-th scenario with one processor and with more. Where its hash is pinned it runs with
// one of these numbers only: the others were tried when it was pinned, and a hash that differs shows. Under
// the race detector, which breaks when processors come and go, and shuffles goroutines by itself, it runs as
// it is.
func runOrVerify(t *testing.T, s *scenario.Scenario, i int, pinned bool) *engine.Result {
	t.Helper()
	if race.Enabled {
		return run(t, s, 1, system.Options{})
	}
	processors := []int{1, 2, 8}
	if pinned && runtime.GOARCH == "amd64" { // See checkHash.
		processors = processors[i%len(processors):][:1]
	}
	r, err := system.Verify(t.Context(), s, 1, system.Options{Options: virtual.Options{Bubble: bubble.In(t)}}, processors...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLongSoak(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("takes long")
	}
	r := run(t, load(t, "long-soak"), 1, system.Options{})
	want(t, r, scenario.VerdictPass, "", "")
	if r.Virtual < 24*time.Hour {
		t.Errorf("it took %v of virtual time", r.Virtual)
	}
}

// reports is a controller that breaks something in the answers to ReportTasks.
func reports(change func(*frayv1.ReportTasksResponse)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/ReportTasks") {
				next.ServeHTTP(w, r)
				return
			}
			r.Header.Del("Accept-Encoding") // So that it can be read here.
			answer := &buffered{header: http.Header{}, status: http.StatusOK}
			next.ServeHTTP(answer, r)
			var m frayv1.ReportTasksResponse
			if answer.status == http.StatusOK && proto.Unmarshal(answer.body, &m) == nil {
				change(&m)
				answer.body, _ = proto.Marshal(&m)
			}
			maps.Copy(w.Header(), answer.header)
			w.Header().Del("Content-Length")
			w.WriteHeader(answer.status)
			_, _ = w.Write(answer.body)
		})
	}
}

// acceptStale says of stale reports that they were accepted.
func acceptStale(m *frayv1.ReportTasksResponse) {
	for i, v := range m.GetVerdicts() {
		if v == frayv1.ReportVerdict_REPORT_VERDICT_STALE {
			m.Verdicts[i] = frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED
		}
	}
}

// buffered is an answer that is not sent yet.
type buffered struct {
	header http.Header
	status int
	body   []byte
}

func (b *buffered) Header() http.Header         { return b.header }
func (b *buffered) WriteHeader(status int)      { b.status = status }
func (b *buffered) Write(p []byte) (int, error) { b.body = append(b.body, p...); return len(p), nil }

func TestPlantedViolationIsCaught(t *testing.T) {
	s := load(t, "worker-crash")
	r := run(t, s, 3, system.Options{Controller: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/SubmitTasks") && r.ContentLength > 0 {
				// Acknowledged, and forgotten.
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "application/proto")
				body, err := proto.Marshal(&frayv1.SubmitTasksResponse{CreatedCount: 1})
				if err == nil {
					_, _ = w.Write(body)
				}
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	if r.Verdict != scenario.VerdictInvariant || r.Broken != "never-lost" {
		t.Errorf("verdict %s, broken %s: %s; want never-lost broken", r.Verdict, r.Broken, r.Text)
	}
	if r.ExitCode() != 1 || len(r.Violations) == 0 || len(r.Last) == 0 {
		t.Errorf("exit code %d, %d violations, %d events", r.ExitCode(), len(r.Violations), len(r.Last))
	}
	// A stale report is called accepted: two attempts of one task have counted.
	r = run(t, load(t, "split-fleet"), 1, system.Options{Controller: reports(acceptStale)})
	if r.Verdict != scenario.VerdictInvariant {
		t.Errorf("verdict %s, want an invariant broken", r.Verdict)
	}
}

// A forger that is told to be believed tells of it.
func TestForgeriesAreTold(t *testing.T) {
	r := run(t, load(t, "forged-reports"), 1, system.Options{Controller: reports(acceptStale)})
	want(t, r, scenario.VerdictInvariant, "forgeries-refused", "and was not refused")
}

// small is a scenario that is over soon.
const small = `apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: small, summary: A little work and nothing wrong.}
run: {maxVirtualTime: 2m}
topology: {workers: [{name: worker, count: 2, slots: 2}]}
workload: {clients: [{name: client, tasks: 5}]}
`

func TestVerdicts(t *testing.T) {
	forget := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/LeaseTasks") {
				<-r.Context().Done() // A dispatch path that is dead, with a live heartbeat.
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	panics := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/LeaseTasks") {
				panic("boom")
			}
			next.ServeHTTP(w, r)
		})
	}
	for name, test := range map[string]struct {
		text           string
		controller     func(http.Handler) http.Handler
		verdict        string
		broken, reason string
		code           int
	}{
		"pass":    {text: small, verdict: scenario.VerdictPass},
		"finally": {text: small + "expect: {finally: [{that: tasks.completed == 4, because: one is too many}]}\n", verdict: scenario.VerdictInvariant, broken: "finally", reason: "one is too many", code: 1},
		"vacuous, never true": {
			text:    small + "expect: {sometimes: [{that: attempts.vanished > 0}]}\n",
			verdict: scenario.VerdictInvariant, broken: "sometimes", reason: "vacuous: never true: attempts.vanished > 0", code: 1,
		},
		"vacuous, never fired": {
			text:    small + "faults: [{id: late, match: {procedure: ReportTasks}, when: {nth: 1000}, action: {drop: {}}}]\n",
			verdict: scenario.VerdictInvariant, broken: "faults-fired", reason: "fault late never acted", code: 1,
		},
		"need not fire": {
			text: small + "faults: [{id: late, match: {procedure: ReportTasks}, when: {nth: 1000}, action: {drop: {}}}]\n" +
				"expect: {faultsFired: none}\n",
			verdict: scenario.VerdictPass,
		},
		"too late": {
			text: small, controller: forget,
			verdict: scenario.VerdictLiveness, broken: "eventually", reason: "every task must end", code: 2,
		},
		"too late, as expected": {
			text: small + "expect: {outcome: {verdict: liveness-broken}}\n", controller: forget, verdict: scenario.VerdictPass,
			broken: "eventually", reason: "every task must end",
		},
		"passes, unexpectedly": {
			text:    small + "expect: {outcome: {verdict: liveness-broken}}\n",
			verdict: scenario.VerdictInvariant, broken: "outcome", reason: "the run passed", code: 1,
		},
		"panic": {text: small, controller: panics, verdict: scenario.VerdictInvariant, broken: "no-panic", reason: "boom", code: 1},
		"expression fails": {
			text:    small + "expect: {finally: [{that: 1 / (tasks.completed - 5) > 0}]}\n",
			verdict: scenario.VerdictHarness, reason: "divi", code: 5,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, parse(t, test.text), 1, system.Options{Controller: test.controller})
			want(t, r, test.verdict, test.broken, test.reason)
			if r.ExitCode() != test.code {
				t.Errorf("exit code %d, want %d", r.ExitCode(), test.code)
			}
		})
	}
}

// never is an oracle that nothing satisfies.
type never struct{}

func (never) Name() string  { return "never" }
func (never) Claim() string { return "Nothing is ever reported." }

func (never) Observe(e *check.Event, j *check.Judge) {
	j.Check()
	if e.Kind == check.ReportCall {
		j.Violated(e.Task, "is reported", e)
	}
}

func (never) Finish(time.Duration, *check.Judge) {}

func TestOwnOracleEndsTheRun(t *testing.T) {
	r := run(t, parse(t, small), 1, system.Options{Oracles: []check.Oracle{never{}}})
	want(t, r, scenario.VerdictInvariant, "never", "is reported")
	if last := r.Last[len(r.Last)-1]; last.Kind != check.ReportCall.String() {
		t.Errorf("the last event is %v", last.String())
	}
}

func TestNondeterminismIsFound(t *testing.T) {
	calls := 0
	s := parse(t, small)
	r, err := system.Verify(t.Context(), s, 1, system.Options{
		Options: virtual.Options{Bubble: bubble.In(t)},
		Controller: func(next http.Handler) http.Handler {
			calls++ // What one run leaves to the next.
			n := calls
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Duration(n) * time.Millisecond)
				next.ServeHTTP(w, r)
			})
		},
	}, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, scenario.VerdictNondeterminism, "determinism", "seed 1 is not deterministic")
	if r.ExitCode() != 3 {
		t.Errorf("exit code %d", r.ExitCode())
	}
}

func TestCancelledRun(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	steps := 0
	_, err := system.Run(ctx, load(t, "worker-crash"), 1, system.Options{Options: virtual.Options{Bubble: bubble.In(t), OnEvent: func(sim.Event) {
		if steps++; steps == 100 {
			cancel(cause)
		}
	}}})
	if !errors.Is(err, cause) {
		t.Errorf("error %v, want %v", err, cause)
	}
}

func TestTrace(t *testing.T) {
	var trace strings.Builder
	r := run(t, load(t, "worker-crash"), 1, system.Options{Options: virtual.Options{Trace: &trace}})
	if n := strings.Count(trace.String(), "\n"); n < r.Stats.Steps {
		t.Errorf("the trace has %d lines of %d steps", n, r.Stats.Steps)
	}
	if !strings.Contains(trace.String(), "fault kill strikes worker-") {
		t.Error("the trace does not show the fault")
	}
}

func TestOnlySimulated(t *testing.T) {
	s := parse(t, strings.Replace(small, "run: {", "run: {backends: [process], ", 1))
	if _, err := system.Run(t.Context(), s, 1, system.Options{Options: virtual.Options{Bubble: bubble.In(t)}}); err == nil || !strings.Contains(err.Error(), "process") {
		t.Errorf("error %v", err)
	}
	if _, err := system.Run(t.Context(), &scenario.Scenario{}, 1, system.Options{}); err == nil {
		t.Error("a scenario that nobody read was run")
	}
}

// Faults of every kind on a worker's own side, and on targets that are chosen late.
func TestTargetsAndEvents(t *testing.T) {
	s := parse(t, small+`
targets:
  - {name: idler, when: idle}
  - {name: both, pick: all, again: true}
faults:
  - id: slow
    match: {procedure: LeaseTasks, from: idler, phase: request-before-send}
    when: {on: {event: task-submitted, nth: 2}, window: {from: 100ms}}
    action: {delay: {for: 20ms}}
  - id: nap
    when: {on: {event: task-finished, nth: 5}, at: 50ms}
    action: {pause: {target: both, for: 1s}}
  - id: again
    when: {at: 10s, every: 5s, window: {until: 31s}}
    action: {restart: {target: both}}
  - id: die
    match: {procedure: Heartbeat, phase: before-handler}
    when: {skip: 20, nth: 1}
    action: {restart: {target: worker-1}}
heal: {at: 1m}
expect:
  finally:
    - {that: faults.again == 5 && faults.slow >= 1 && faults.nap == 1}
`)
	r := run(t, s, 1, system.Options{})
	want(t, r, scenario.VerdictPass, "", "")
	if f := system.FactsOf(r).Hosts; f.Crashed < 9 || f.Paused != 2 {
		t.Errorf("hosts %+v", f)
	}
}

// Bounds on fairness are held to: nobody takes turns that exactly.
func TestFairnessBound(t *testing.T) {
	text, err := cluster.Library().Text("fair-share")
	if err != nil {
		t.Fatal(err)
	}
	s := parse(t, strings.Replace(string(text), "fairness: 4", "fairness: 1", 1))
	want(t, run(t, s, 1, system.Options{}), scenario.VerdictInvariant, "fairness", "a job had tasks waiting")
}

// Once a worker's poll and its report, both woken by the same answer, went on at the same instant,
// and the report had news of the poll or not.
func TestLoopsOfAWorkerKeepTheirOrder(t *testing.T) {
	if race.Enabled {
		t.Skip("takes long")
	}
	r, err := system.Verify(t.Context(), load(t, "thundering-herd-after-outage"), 22, system.Options{Options: virtual.Options{Bubble: bubble.In(t)}}, 1, 2, 8)
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, scenario.VerdictPass, "", "")
}

// Once a handler that had read what it answered with told the controller's loop at that instant, while a commit woke it:
// how many steps it made of both, and what the next commit had in it, was up to who was faster. It takes a controller
// that has much to do at each instant to show.
func TestBusyControllerKeepsItsOrder(t *testing.T) {
	if race.Enabled {
		t.Skip("takes long")
	}
	s, err := cluster.ParseFile("../scale/busy-actors.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := system.Verify(t.Context(), s, 1, system.Options{Options: virtual.Options{Bubble: bubble.In(t)}}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, scenario.VerdictPass, "", "")
}

// A run that fails says which tasks are not at their end and why, or what became of the one that the
// claim is about.
func TestFailureNamesItsTasks(t *testing.T) {
	broken := run(t, load(t, "split-fleet"), 1, system.Options{Controller: reports(acceptStale)})
	last := broken.Violations[0].Events[len(broken.Violations[0].Events)-1]
	if broken.Task == "" || broken.Task != broken.Violations[0].Task || broken.Open != nil {
		t.Errorf("it is about %q, and has open tasks %v", broken.Task, broken.Open)
	}
	if len(broken.About) == 0 || broken.About[0].Kind != "submit-call" || !broken.About[0].About(broken.Task) {
		t.Errorf("the life of the task begins with %v", broken.About)
	}
	if !slices.ContainsFunc(broken.Around, func(e engine.Event) bool { return e.Seq == last.Seq }) {
		t.Errorf("%v is not among %d events around it", &last, len(broken.Around))
	}
	late := parse(t, strings.Replace(small, "kind: Scenario\n", "kind: Scenario\nexpect: {eventually: [{that: tasks.completed > 1000, within: 1ms}]}\n", 1))
	r := run(t, late, 1, system.Options{})
	want(t, r, scenario.VerdictLiveness, "eventually", "")
	if r.Open == nil || r.Open.Total == 0 || len(r.Open.Tasks) != min(r.Open.Total, 20) || r.Task != r.Open.Tasks[0].Task {
		t.Fatalf("open tasks %v, about %q", r.Open, r.Task)
	}
	for _, task := range r.Open.Tasks {
		if task.State == "" || task.Last == nil || task.Since > r.Virtual {
			t.Errorf("it does not say how %+v stands", task)
		}
	}
}

// What a process of a sweep writes is all that its parent knows.
func TestResultAsJSON(t *testing.T) {
	r := run(t, load(t, "split-fleet"), 1, system.Options{Controller: reports(acceptStale)})
	if r.Verdict == scenario.VerdictPass || len(r.Last) == 0 || len(r.Violations) == 0 {
		t.Fatalf("the run is %s, with %d events and %d violations", r.Verdict, len(r.Last), len(r.Violations))
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again engine.Result
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, &again) {
		t.Errorf("%+v reads back as\n%+v", r, again)
	}
}
