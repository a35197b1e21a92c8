package engine

import (
	"maps"
	"slices"
	"time"
)

// superviseAfter is how much longer than faults go on hosts may end of them.
const superviseAfter = 10 * time.Second

// Supervise implements scenario.Stage.
func (s stage) Supervise(host string, down time.Duration) {
	s.run.supervised[host] = down
	s.run.backend.Supervise(host, true)
}

// Failed tells the run that a host's software has ended with an error, and was supervised.
func (e *Run) Failed(host string) {
	if l := e.leaving[host]; l != nil {
		e.Left(host)
		return
	}
	if e.over {
		return
	}
	e.common.Hosts.Failed++
	e.changes++
	e.system.Ended(host, true)
	e.StartAgain(host, e.supervised[host])
}

// unsupervise has it count again how hosts end. Nothing is wrong any longer.
func (e *Run) unsupervise() {
	for _, host := range slices.Sorted(maps.Keys(e.supervised)) {
		e.backend.Supervise(host, false)
	}
}
