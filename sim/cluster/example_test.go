package cluster_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine/virtual"
)

const crashFile = `
apiVersion: fray.sim/v1
kind: Scenario
metadata:
  name: worker-crash
  summary: A worker dies with tasks in its hands, and others finish them.
topology:
  workers:
    - {name: worker, count: 3, slots: 2}
workload:
  clients:
    - {name: client, tasks: 40, arrival: {rate: 20/s}}
  mix:
    - {name: work, work: {min: 50ms, max: 500ms}}
targets:
  - {name: victim, when: running}
faults:
  - id: kill
    when: {at: 1s}
    action: {restart: {target: victim, down: 3s}}
expect:
  finally:
    - {that: tasks.completed == 40}
`

// Parse reads a scenario, and package virtual runs it. The same seed gives the same run.
func Example() {
	s, err := cluster.Parse("crash.yaml", []byte(crashFile))
	if err != nil {
		panic(err)
	}
	// A program leaves Bubble out, and a test gives its own T. An example has none.
	inBubble := bubble.In(new(testing.T))
	result, err := system.Run(context.Background(), s, s.Run.Seeds.First, system.Options{Options: virtual.Options{Bubble: inBubble}})
	if err != nil {
		panic(err)
	}
	fmt.Println(result.Verdict)
	fmt.Println("completed:", system.FactsOf(result).Tasks.Completed, "of", system.FactsOf(result).Tasks.Submitted)
	fmt.Println("workers that died:", system.FactsOf(result).Hosts.Crashed)
	// Output:
	// pass
	// completed: 40 of 40
	// workers that died: 1
}
