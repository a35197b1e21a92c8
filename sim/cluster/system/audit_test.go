package system_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

// What failed once under a random scenario is kept as a file, named for what went wrong, and
// passes.
func TestScenariosThatFailed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/failed/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d scenarios, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			s, err := cluster.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, err := system.Run(t.Context(), s, s.Run.Seeds.First, system.Options{Options: virtual.Options{Bubble: bubble.In(t)}})
			if err != nil || r.Verdict != scenario.VerdictPass {
				t.Errorf("error %v; %s, %s: %s", err, r.Verdict, r.Broken, r.Text)
			}
		})
	}
}

// A task is not lost for a closing audit that did not get as far as asking for it: that the
// controller does not answer is what is wrong.
func TestAuditWithoutAnswer(t *testing.T) {
	t.Parallel()
	asked := 0
	r := run(t, load(t, "nested-tasks"), 1, system.Options{Controller: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sim.Caller(r.Context()) == "auditor" && strings.Contains(r.URL.Path, "GetTaskResult") {
				asked++
				<-r.Context().Done()
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	want(t, r, scenario.VerdictLiveness, "liveness", "audit")
	if asked == 0 {
		t.Error("the audit has nothing to ask for")
	}
}

// The closing audit loses no call of its own on a network that loses others.
func TestAuditOnLossyNetwork(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		asked := map[string]int{}
		r := run(t, parse(t, nestedUnderLoss), seed, system.Options{Controller: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if sim.Caller(r.Context()) == "auditor" {
					asked[r.URL.Path]++
				}
				next.ServeHTTP(w, r)
			})
		}})
		want(t, r, scenario.VerdictPass, "", "")
		for path, times := range asked {
			if times > 1 {
				t.Errorf("seed %d: the audit called %s %d times, once would do", seed, path, times)
			}
		}
		if len(asked) == 0 {
			t.Errorf("seed %d: there was no audit", seed)
		}
	}
}

const nestedUnderLoss = `
apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: nested-under-loss, summary: Messages are lost for ever.}
run: {maxVirtualTime: 1h}
topology:
  workers:
    - {name: worker, count: 2}
  network: {loss: 15%}
workload:
  clients:
    - {name: client, tasks: 5, kinds: [parent]}
  mix:
    - {name: parent, children: 3, childKind: leaf, maxWorkerLosses: 1000}
    - {name: leaf, maxWorkerLosses: 1000}
expect:
  eventually:
    - {that: tasks.open == 0, within: 30m}
`
