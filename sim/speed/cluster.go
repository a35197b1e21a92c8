package speed

import (
	"context"
	"fmt"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

// idle is a cluster of which nothing is asked but one task: its workers poll, and send a heartbeat
// each second, which is six while a session lives.
const idle = `apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: idle, summary: Nothing happens for a long time.}
run: {maxVirtualTime: %[3]v}
topology:
  controller: {sessionTTL: 6s}
  workers:
    - {name: worker, count: %[1]d, slots: 2}
workload:
  clients:
    - {name: client, tasks: 1}
heal: {at: %[2]v}
`

// Idle runs a Fray cluster of idle workers for that much virtual time.
func Idle(ctx context.Context, bubble sim.Bubble, workers int, virtual time.Duration) (Sample, error) {
	return run(ctx, bubble, fmt.Sprintf(idle, workers, virtual, virtual+time.Hour), 1)
}

// crash is the library's worker-crash with any number of workers: each has as much work, and one in
// ten dies.
const crash = `apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: worker-crash-of-%[1]d, summary: "Workers die with tasks in their hands, and others finish them."}
topology:
  workers:
    - {name: worker, count: %[1]d, slots: 2}
workload:
  clients:
    - {name: client, count: %[2]d, tasks: %[3]d, arrival: {rate: %.2[4]f/s}}
  mix:
    - {name: work, work: {min: 50ms, max: 500ms}}
targets:
  - {name: victim, when: running, pick: %[2]d}
faults:
  - id: kill
    when: {at: 1s}
    action: {crash: {target: victim}}
heal: {at: 40s}
expect:
  eventually:
    - {that: tasks.open == 0 && tasks.unsent == 0, within: 30s}
  sometimes:
    - {that: attempts.vanished > 0}
  finally:
    - {that: tasks.completed == %[5]d}
    - {that: attempts.repeated > 0}
`

// Of each worker in a Crash.
const (
	tasksEach = 20
	rateEach  = 20.0 / 3 // a second
)

// crashOf returns crash for a number of workers.
func crashOf(workers int) string {
	clients := max(1, workers/10)
	tasks := tasksEach * workers / clients
	return fmt.Sprintf(crash, workers, clients, tasks, rateEach*float64(workers)/float64(clients), clients*tasks)
}

// Crash runs a Fray cluster in which one worker in ten dies, with seeds 1 to seeds. All oracles
// watch.
func Crash(ctx context.Context, bubble sim.Bubble, workers, seeds int) (Sample, error) {
	return run(ctx, bubble, crashOf(workers), seeds)
}

// heapAt is when CrashHeap looks: all work is done, and what is left of the dead has been
// collected.
const heapAt = 35 * time.Second

// CrashHeap is Crash with one seed, and measures the heap. Its Wall counts for nothing, since it
// has to stop for that.
func CrashHeap(ctx context.Context, bubble sim.Bubble, workers int) (Sample, error) {
	s, err := cluster.Parse("crash.yaml", []byte(crashOf(workers)))
	if err != nil {
		return Sample{}, err
	}
	before, during := heapInUse(), int64(0)
	sample, err := add(ctx, Sample{}, s, 1, system.Options{Options: virtual.Options{Bubble: bubble, OnEvent: func(e sim.Event) {
		if during == 0 && e.Time >= heapAt {
			during = heapInUse()
		}
	}}})
	sample.Heap = during - before
	return sample, err
}

func run(ctx context.Context, bubble sim.Bubble, text string, seeds int) (Sample, error) {
	s, err := cluster.Parse("speed.yaml", []byte(text))
	if err != nil {
		return Sample{}, err
	}
	var sample Sample
	for seed := range seeds {
		if sample, err = add(ctx, sample, s, uint64(seed)+1, system.Options{Options: virtual.Options{Bubble: bubble}}); err != nil { // Counts from 0.
			return Sample{}, err
		}
	}
	return sample, nil
}

// add runs one seed and adds what it took. A run that fails is no measure.
func add(ctx context.Context, to Sample, s *scenario.Scenario, seed uint64, options system.Options) (Sample, error) {
	r, err := system.Run(ctx, s, seed, options)
	if err != nil {
		return Sample{}, err
	}
	if r.Verdict != scenario.VerdictPass {
		return Sample{}, fmt.Errorf("%s, seed %d: %s: %s", s.Metadata.Name, seed, r.Verdict, r.Text)
	}
	to.Messages += r.Stats.Delivered
	to.Hosts = len(s.Hosts())
	to.Virtual += r.Virtual
	to.Wall += r.Wall
	return to, nil
}
