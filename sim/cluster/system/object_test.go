package system_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

// Once all futures of a task, which are told of its end at one instant, read its object at one, too.
// Which of them had the first answer was up to the machine, and with it when the task counted as ended.
func TestFuturesOfATaskReadItsObjectInTurn(t *testing.T) {
	const tasks, submissions = 6, 3
	for _, waits := range []string{cluster.WaitsEach, cluster.WaitsCompleted, cluster.WaitsSome, cluster.WaitsCall} {
		t.Run(waits, func(t *testing.T) {
			s := parse(t, fmt.Sprintf(`apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: read-again, summary: Each future of a task reads its object.}
topology: {workers: [{name: worker, count: 2, slots: 2}]}
workload:
  clients: [{name: client, tasks: %d, submissions: %d, waits: %s}]
  mix: [{name: put, work: {min: 100ms, max: 1s}, objectSize: 1KiB}]
`, tasks, submissions, waits))
			type read struct {
				at   time.Duration
				what uint64
			}
			reads := map[read]int{}
			r := run(t, s, 1, system.Options{Options: virtual.Options{OnEvent: func(e sim.Event) {
				if e.Kind == sim.EventSend && e.Message == sim.KindRequest && e.From == "client-1" && e.Procedure == "/fray.v1.ControllerService/GetObject" {
					reads[read{e.Time, e.Digest}]++
				}
			}}})
			want(t, r, scenario.VerdictPass, "", "")
			if len(reads) < tasks*2 {
				t.Errorf("objects were read at %d instants, and there are %d tasks with %d futures each", len(reads), tasks, submissions)
			}
			for of, n := range reads {
				if n > 1 {
					t.Errorf("an object was read %d times at %v", n, of.at)
				}
			}
		})
	}
}
