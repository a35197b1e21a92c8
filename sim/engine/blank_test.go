package engine_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type sections struct{ scenario.Plain }

func (*sections) Parts() scenario.Parts { return scenario.Parts{} }

func (*sections) Groups() []scenario.Group {
	server, client := "server", "client"
	return []scenario.Group{{Name: &server, Role: "server", Count: 2}, {Name: &client, Role: scenario.RoleClient}}
}

// A small subject: hosts that do nothing, and a client whose work a test gives it.
type small struct {
	*engine.Blank

	work engine.Work
	host sim.Software
}

func (s *small) Software(scenario.Host) sim.Software { return s.host }

func (s *small) Client(scenario.Host) engine.Work { return s.work }

// Counted is a fact.
type Counted struct {
	N int `cel:"n" json:"n"`
}

type facts struct {
	Counted Counted        `cel:"counted" json:"counted"`
	By      map[string]int `cel:"by" json:"by"`
}

// run runs a scenario with some work, which is given the system.
func run(t *testing.T, file string, host sim.Software, work func(ctx context.Context, s *small, f *facts, m engine.Machine) error) *engine.Result {
	t.Helper()
	format := &scenario.Subject{
		Name: "small", Sections: func() scenario.Sections { return new(sections) }, Facts: new(facts),
		Roles: []string{"server", scenario.RoleClient}, Usual: "server",
		Events: []scenario.Word{{Name: "ping", Meaning: "a client says so"}},
		Invariants: []scenario.Invariant{
			{Name: "even", Claim: "Numbers are even."}, {Name: "small", Claim: "Numbers are small."},
		},
	}
	subject := &engine.Subject{Format: format, Begin: func(r *engine.Run) (engine.System, error) {
		f := &facts{By: map[string]int{}}
		s := &small{Blank: engine.NewBlank(r, f), host: host}
		s.work = func(ctx context.Context, m engine.Machine) error { return work(ctx, s, f, m) }
		return s, nil
	}}
	s, err := scenario.Subjects{format}.Parse("small.yaml", []byte(`
apiVersion: fray.sim/v1
kind: Scenario
subject: small
metadata: {name: small, summary: Next to nothing.}
topology: {}
workload: {}
`+file))
	if err != nil {
		t.Fatal(err)
	}
	r, err := virtual.Run(t.Context(), subject, s, 1, virtual.Options{Bubble: bubble.In(t)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func idle(ctx context.Context, _ *sim.Host) error {
	<-ctx.Done()
	return nil
}

func want(t *testing.T, r *engine.Result, verdict, broken string) {
	t.Helper()
	if r.Verdict != verdict || r.Broken != broken {
		t.Errorf("%s, %s: %s; want %s, %s", r.Verdict, r.Broken, r.Text, verdict, broken)
	}
}

// Facts are what expectations see, faults wait for events, and a run is over when its clients are.
func TestBlank(t *testing.T) {
	r := run(t, `
faults:
  - {id: nap, when: {on: {event: ping, nth: 3}}, action: {pause: {target: server-1, for: 1s}}}
expect:
  sometimes: [{that: counted.n == 2}]
  finally: [{that: "counted.n == 5 && by['client'] == 5 && hosts.paused == 1 && times.now >= duration('5s')"}]
`, idle, func(_ context.Context, s *small, f *facts, m engine.Machine) error {
		for i := range 5 {
			s.Change(func() {
				f.Counted.N++
				f.By[m.Name()]++
			})
			s.Happen(m.Name(), "ping")
			m.Do(func() {}) // Something happens in the simulation, as with a call.
			s.Claim("small", i < 5, "%d is not", i)
			time.Sleep(time.Second)
		}
		return nil
	})
	want(t, r, scenario.VerdictPass, "")
	var f facts
	if err := r.Facts.Read(&f); err != nil || f.Counted.N != 5 {
		t.Errorf("facts %+v, error %v", f, err)
	}
	if c := r.Oracles[1]; c.Oracle != "small" || c.Checks != 5 || c.Violations != 0 {
		t.Errorf("counts %+v", r.Oracles)
	}
}

// A claim that does not hold ends the run at once, and is told with what led to it.
func TestBlankViolation(t *testing.T) {
	r := run(t, "", idle, func(_ context.Context, s *small, _ *facts, m engine.Machine) error {
		s.Note(m.Name(), "count", "one")
		s.Claim("even", false, "%d is odd", 1)
		return nil
	})
	want(t, r, scenario.VerdictInvariant, "even")
	if v := r.Violations; len(v) != 1 || v[0].Text != "1 is odd" || len(v[0].Events) == 0 {
		t.Errorf("violations %+v", v)
	}
	if r := run(t, "expect: {always: {except: [even]}}\n", idle, func(_ context.Context, s *small, _ *facts, _ engine.Machine) error {
		s.Claim("even", false, "1 is odd")
		return nil
	}); !r.Passed() {
		t.Errorf("an invariant that need not hold: %s, %s", r.Verdict, r.Text)
	}
}

// Work that does not come to its end, and hosts that do by themselves, fail a run.
func TestBlankEnds(t *testing.T) {
	r := run(t, "run: {maxVirtualTime: 1m}\n", idle, func(ctx context.Context, _ *small, _ *facts, _ engine.Machine) error {
		<-ctx.Done()
		return nil
	})
	want(t, r, scenario.VerdictLiveness, "liveness")
	r = run(t, "", func(context.Context, *sim.Host) error { return context.Canceled }, func(context.Context, *small, *facts, engine.Machine) error {
		time.Sleep(time.Second)
		return nil
	})
	want(t, r, scenario.VerdictInvariant, "host-ended")
}

// What goroutines of hosts note at one instant is all noted.
func TestBlankIsSafe(t *testing.T) {
	r := run(t, "expect: {finally: [{that: counted.n == 800}]}\n", idle, func(_ context.Context, s *small, f *facts, m engine.Machine) error {
		var owned sync.WaitGroup
		for range 8 {
			owned.Go(func() {
				for range 100 {
					s.Change(func() { f.Counted.N++ })
					s.Note(m.Name(), "note", "")
					s.Claim("small", true, "")
				}
			})
		}
		owned.Wait()
		return nil
	})
	want(t, r, scenario.VerdictPass, "")
}
