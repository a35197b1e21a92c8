package timeline_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
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
	"github.com/frayrpc/fray/sim/timeline"
)

func load(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	s, err := cluster.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// draw runs a scenario with seed 1 and returns its page, as text.
func draw(t *testing.T, s *scenario.Scenario, options system.Options) (*engine.Result, string) {
	t.Helper()
	options.Bubble = bubble.In(t)
	collector := timeline.New(s)
	collector.Listen(&options.Options)
	r, err := system.Run(t.Context(), s, 1, options)
	if err != nil {
		t.Fatal(err)
	}
	page, err := collector.Page(r, "fray-sim --scenario "+s.Metadata.Name+" --seed 1", system.Subject(options).Tell(r.Facts))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := page.Write(&text); err != nil {
		t.Fatal(err)
	}
	return r, text.String()
}

// model is what the script of a page is given.
type model struct {
	Healed, Judged    time.Duration
	Hosts             []struct{ Name, Role string }
	Procedures, Tasks []string
	Faults            []struct {
		ID, Kind string
		Tints    bool
	}
	Spans []struct {
		Fault       int
		Hosts       []int
		From, Until time.Duration
	}
	States []struct {
		Host        int
		Kind        string
		From, Until time.Duration
	}
	Firings struct {
		At   []time.Duration
		Host []int
	}
	Messages struct {
		Sent, Took                                      []time.Duration
		Kind, From, To, Procedure, Fate, Fault, Carries []int
		Kinds, Fates                                    []string
	}
	Carried   [][]int
	Attempts  []attempt
	Violation *struct {
		At           time.Duration
		Broken, Text string
		Task         int
		Proof        []struct{ At time.Duration }
	}
	Gaps []struct {
		What           string
		Dropped, Total int
	}
}

type attempt struct {
	Task, Host, Number      int
	Granted, Started, Ended time.Duration
	Outcome, Verdict        string
}

func modelOf(t *testing.T, page string) *model {
	t.Helper()
	_, rest, found := strings.Cut(page, `<script type="application/json" id="data">`)
	raw, _, ended := strings.Cut(rest, "</script>")
	if !found || !ended {
		t.Fatal("the page has no data")
	}
	var m model
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

func (m *model) outcomes() map[string]int {
	counts := map[string]int{}
	for _, a := range m.Attempts {
		counts[a.Outcome]++
	}
	return counts
}

// lost counts messages by kind and by what lost them.
func (m *model) lost() map[string]int {
	counts := map[string]int{}
	for i, fate := range m.Messages.Fate {
		if name := m.Messages.Fates[fate]; name != "delivered" {
			if fault := m.Messages.Fault[i]; fault > 0 {
				name = m.Faults[fault-1].ID
			}
			counts[m.Messages.Kinds[m.Messages.Kind[i]]+" "+name]++
		}
	}
	return counts
}

func TestWorkerCrash(t *testing.T) {
	r, page := draw(t, load(t, "worker-crash"), system.Options{})
	m := modelOf(t, page)
	if got := m.outcomes(); got["succeeded"] != 60 || got["vanished"] != system.FactsOf(r).Attempts.Vanished || len(m.Attempts) != system.FactsOf(r).Attempts.Started {
		t.Errorf("attempts %v of %d, want %+v", got, len(m.Attempts), system.FactsOf(r).Attempts)
	}
	if over := r.Stats.Delivered + r.Stats.Dropped; len(m.Messages.Sent) < over {
		t.Errorf("%d messages, and %d arrived or were lost", len(m.Messages.Sent), over)
	}
	if m.Healed != 40*time.Second || m.Judged < m.Healed {
		t.Errorf("healed at %v, audited at %v", m.Healed, m.Judged)
	}
	span := m.Spans[0]
	if len(m.Spans) != 1 || span.From != time.Second || len(span.Hosts) != 1 {
		t.Fatalf("spans %+v", m.Spans)
	}
	for _, s := range m.States {
		if s.Kind == "down" && (s.Host != span.Hosts[0] || s.From != span.From || s.Until != m.Healed) {
			t.Errorf("state %+v, want the victim down until heal", s)
		}
	}
	for _, a := range m.Attempts {
		if a.Outcome == "vanished" && (a.Host != span.Hosts[0] || a.Ended != span.From) {
			t.Errorf("attempt %+v vanished elsewhere", a)
		}
		if a.Granted < 0 || a.Granted > a.Started || a.Ended < a.Started {
			t.Errorf("attempt %+v: times do not follow each other", a)
		}
	}
	if m.Violation != nil || len(m.Gaps) > 0 {
		t.Errorf("violation %+v, gaps %+v", m.Violation, m.Gaps)
	}
}

// Each task can be followed from its submission through its grant to its report.
func TestMessagesKnowTheirTasks(t *testing.T) {
	_, page := draw(t, load(t, "worker-crash"), system.Options{})
	m := modelOf(t, page)
	procedures := map[string]map[string]bool{}
	for i, group := range m.Messages.Carries {
		if group == 0 {
			continue
		}
		for _, task := range m.Carried[group-1] {
			name := m.Tasks[task]
			if procedures[name] == nil {
				procedures[name] = map[string]bool{}
			}
			procedures[name][m.Procedures[m.Messages.Procedure[i]]] = true
		}
	}
	if len(procedures) != 60 {
		t.Errorf("%d tasks were carried", len(procedures))
	}
	for task, seen := range procedures {
		for _, procedure := range []string{"SubmitTasks", "LeaseTasks", "ReportTasks", "WatchJob"} {
			if !seen[procedure] {
				t.Errorf("no %s is about task %s", procedure, task)
			}
		}
	}
}

func TestPartition(t *testing.T) {
	_, page := draw(t, load(t, "partition-worker"), system.Options{})
	m := modelOf(t, page)
	if s := m.Spans[0]; len(m.Spans) != 1 || s.From != time.Second || s.Until != 31*time.Second || len(s.Hosts) != 1 {
		t.Errorf("spans %+v", m.Spans)
	}
	if !m.Faults[0].Tints {
		t.Error("the partition shows in no lane")
	}
	lost := m.lost()
	if n := lost["request cut"] + lost["response cut"]; n == 0 || n != len(m.Firings.At) {
		t.Errorf("%d injections lost %v", len(m.Firings.At), lost)
	}
	// What the islander reports in the end is stale.
	if !slices.ContainsFunc(m.Attempts, func(a attempt) bool { return a.Outcome == "succeeded" && a.Verdict == "stale" }) {
		t.Error("no stale attempt")
	}
}

func TestLostRequestsAndResponses(t *testing.T) {
	r, page := draw(t, load(t, "flaky-network-30-percent"), system.Options{})
	lost := modelOf(t, page).lost()
	for _, f := range r.Faults {
		kind := map[string]string{"lost-requests": "request", "lost-responses": "response"}[f.ID]
		if f.Fired == 0 || lost[kind+" "+f.ID] != f.Fired {
			t.Errorf("%s fired %d times, and lost %v", f.ID, f.Fired, lost)
		}
	}
}

// What a fault does at the server shows at the server, and cuts no message outside of it.
func TestFaultsAtTheServer(t *testing.T) {
	s, err := cluster.Parse("server.yaml", []byte(`apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: server, summary: Answers are lost before they leave.}
topology: {workers: [{name: worker, count: 1}]}
workload: {clients: [{name: client, tasks: 5}]}
faults:
  - id: silent
    match: {procedure: ReportTasks, phase: after-handler}
    when: {first: 2}
    action: {drop: {}}
`))
	if err != nil {
		t.Fatal(err)
	}
	_, page := draw(t, s, system.Options{})
	m := modelOf(t, page)
	if len(m.Firings.At) != 2 || m.Hosts[m.Firings.Host[0]].Name != cluster.ControllerHost {
		t.Errorf("firings %+v", m.Firings)
	}
	if lost := m.lost(); lost["request silent"]+lost["response silent"] > 0 {
		t.Errorf("lost %v", lost)
	}
}

func TestPauseAndStop(t *testing.T) {
	_, page := draw(t, load(t, "worker-pause"), system.Options{})
	m := modelOf(t, page)
	paused := 0
	for _, s := range m.States {
		if s.Kind == "paused" {
			paused++
			if s.From != time.Second || s.Until.Round(time.Millisecond) != 26*time.Second || m.Hosts[s.Host].Role != "worker" {
				t.Errorf("state %+v", s)
			}
		}
	}
	if paused != 1 {
		t.Errorf("%d pauses", paused)
	}
	_, page = draw(t, load(t, "cancel-storm"), system.Options{})
	if got := modelOf(t, page).outcomes(); got["stopped"] == 0 || got["failed"] > 0 {
		t.Errorf("attempts %v, want stopped ones and no failures", got)
	}
	_, page = draw(t, load(t, "retries-exact-budget"), system.Options{})
	if got := modelOf(t, page).outcomes(); got["failed"] == 0 {
		t.Errorf("attempts %v, want failures", got)
	}
}

// The same seed gives the same page, to the byte, whatever the number of processors.
func TestPagesRepeat(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	processors := []int{1, 4, 2}
	if race.Enabled {
		processors = []int{2, 2, 2} // It shuffles goroutines by itself.
	}
	for _, name := range []string{"worker-crash", "flaky-network-30-percent", "split-fleet"} {
		var first string
		for _, procs := range processors {
			runtime.GOMAXPROCS(procs)
			_, page := draw(t, load(t, name), system.Options{Controller: acceptStale})
			if first == "" {
				first = page
			}
			if page != first {
				t.Errorf("%s: another page with %d processors", name, procs)
			}
		}
	}
}

// acceptStale plants a bug: a controller that calls stale reports accepted.
func acceptStale(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/ReportTasks") {
			next.ServeHTTP(w, r)
			return
		}
		answer := &buffered{header: http.Header{}, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		var m frayv1.ReportTasksResponse
		if answer.status == http.StatusOK && proto.Unmarshal(answer.body, &m) == nil {
			for i, v := range m.GetVerdicts() {
				if v == frayv1.ReportVerdict_REPORT_VERDICT_STALE {
					m.Verdicts[i] = frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED
				}
			}
			answer.body, _ = proto.Marshal(&m)
		}
		maps.Copy(w.Header(), answer.header)
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body)
	})
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

func TestViolation(t *testing.T) {
	r, page := draw(t, load(t, "split-fleet"), system.Options{Controller: acceptStale})
	v := modelOf(t, page).Violation
	if r.Verdict != scenario.VerdictInvariant || v == nil {
		t.Fatalf("verdict %s, violation %+v", r.Verdict, v)
	}
	proof := r.Violations[0].Events
	if v.Broken != r.Broken || v.Text != r.Violations[0].Text || v.At != proof[len(proof)-1].At || len(v.Proof) != len(proof) || v.Task < 0 {
		t.Errorf("violation %+v, want %+v", v, r.Violations[0])
	}
	for _, text := range []string{"FAIL invariant-broken", "The run broke " + r.Broken, "fray-sim --scenario split-fleet --seed 1"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

// A panic has a stack, and what of it changes from run to run is left out.
func TestPanicRepeats(t *testing.T) {
	panics := system.Options{Controller: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/LeaseTasks") {
				panic("boom")
			}
			next.ServeHTTP(w, r)
		})
	}}
	_, first := draw(t, load(t, "worker-crash"), panics)
	_, second := draw(t, load(t, "worker-crash"), panics)
	if v := modelOf(t, first).Violation; v == nil || v.Broken != "no-panic" || !strings.HasSuffix(v.Text, "panic: boom") {
		t.Errorf("violation %+v", v)
	}
	if first != second {
		t.Error("two pages of one panic")
	}
}

// Whatever a scenario says, it does not become a part of the page's own script.
func TestTextsAreText(t *testing.T) {
	const evil = `</script><script>alert('x')</script>`
	s, err := cluster.Parse("evil.yaml", []byte(`apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: evil, summary: "`+evil+`"}
topology: {workers: [{name: worker, count: 1}]}
workload: {clients: [{name: client, tasks: 2}]}
expect: {finally: [{that: tasks.completed == 3, because: "`+evil+`"}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	r, page := draw(t, s, system.Options{})
	if strings.Contains(page, "<script>alert") || strings.Count(page, "</script>") != 2 {
		t.Error("a text of the scenario is in the page as it is")
	}
	if v := modelOf(t, page).Violation; v == nil || !strings.Contains(v.Text, evil) || v.At != r.Virtual {
		t.Errorf("violation %+v", v)
	}
	// It needs nothing but itself.
	for _, word := range []string{"http://", "https://", "src=", "@import", "url(h", "fetch("} {
		if i := strings.Index(strings.ReplaceAll(page, "http://www.w3.org/2000/svg", ""), word); i >= 0 {
			t.Errorf("the page refers to something with %q", word)
		}
	}
}

// A run with more than a page can have is cut, and the page says so; what led to its end is there.
func TestLongRunIsCut(t *testing.T) {
	s := load(t, "worker-crash")
	var options system.Options
	collector := timeline.New(s)
	collector.Listen(&options.Options)
	const n = 2 * timeline.MaxMessages
	for i := range n {
		at := time.Duration(i) * time.Millisecond
		call := sim.Event{
			Time: at, Kind: sim.EventSend, Message: sim.KindRequest, From: "worker-1", To: "controller",
			Procedure: "/fray.v1.ControllerService/ReportTasks", Call: uint64(i + 1),
		}
		options.OnEvent(call)
		call.Kind, call.Time = sim.EventDeliver, at+time.Microsecond
		options.OnEvent(call)
		options.OnEvent(sim.Event{Time: at, Kind: sim.EventFault, Fault: "kill", From: "worker-1", To: "controller"})
		options.Observe(&check.Event{At: at, Kind: check.ExecutionStart, Host: "worker-1", Task: "task", Attempt: uint32(i + 1)})
		options.Observe(&check.Event{At: at + 1, Kind: check.ExecutionEnd, Host: "worker-1", Task: "task", Attempt: uint32(i + 1)})
	}
	page, err := collector.Page(&engine.Result{Scenario: "long", Virtual: n * time.Millisecond}, "replay", nil)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := page.Write(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "This run was cut") || text.Len() > 8<<20 {
		t.Errorf("a page of %d bytes does not say that it was cut", text.Len())
	}
	m := modelOf(t, text.String())
	var sent time.Duration
	for _, d := range m.Messages.Sent {
		sent += d
	}
	if len(m.Messages.Sent) > timeline.MaxMessages || sent != (n-1)*time.Millisecond {
		t.Errorf("%d messages, the last at %v", len(m.Messages.Sent), sent)
	}
	if len(m.Attempts) > timeline.MaxAttempts || len(m.Firings.At) > timeline.MaxFirings || len(m.Gaps) != 3 {
		t.Errorf("%d attempts, %d injections, gaps %+v", len(m.Attempts), len(m.Firings.At), m.Gaps)
	}
	if err := page.Write(failing{}); err == nil || !strings.Contains(err.Error(), "write timeline: ") {
		t.Errorf("error %v", err)
	}
}

// failing is a writer that does not work.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Who listens already still hears everything.
func TestListenAdds(t *testing.T) {
	var events, faults, seen int
	_, page := draw(t, load(t, "worker-crash"), system.Options{Options: virtual.Options{
		OnEvent: func(sim.Event) { events++ },
		Options: engine.Options{OnFault: func(engine.Onset) { faults++ }, Observe: func(any) { seen++ }},
	}})
	if m := modelOf(t, page); events < len(m.Messages.Sent) || faults != len(m.Spans) || seen < len(m.Attempts) {
		t.Errorf("%d events, %d faults, %d observations", events, faults, seen)
	}
}
