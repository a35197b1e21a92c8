package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/frayrpc/fray/sim/scenario"
)

// A leave is a host on its way out.
type leave struct {
	// told: the run told it to end, and kills it if it takes too long. Otherwise an operator drains
	// it, which it may never hear of.
	told bool
	// telling: it is told just now. Software that takes no notice is dead of that at once, and has
	// not crashed.
	telling bool
	// It starts again once it has been gone for so long.
	down    time.Duration
	returns bool
}

// Leave implements scenario.Stage.
func (s stage) Leave(host string, grace, down time.Duration) { s.run.leave(host, grace, down) }

// Drain implements scenario.Stage.
func (s stage) Drain(host string, grace, down time.Duration) { s.run.drain(host, grace, down) }

// leave tells a host to end, and kills it after the grace. One that has been told already is not
// told again; of two graces, the one that ends first counts.
func (e *Run) leave(host string, grace, down time.Duration) {
	if !e.backend.Running(host) {
		return
	}
	l := e.leaving[host]
	if l == nil || !l.told {
		l = &leave{told: true, telling: true, down: down, returns: down > 0}
		e.leaving[host] = l
		e.system.Leaving(host)
		e.backend.Leave(host, grace)
		l.telling = false
	}
	kill := func() {
		if e.leaving[host] == l && e.backend.Running(host) {
			e.backend.Crash(host, scenario.DiskKept)
		}
	}
	if grace == 0 {
		kill()
		return
	}
	e.backend.After(grace, kill)
}

// drain has an operator drain a host. One that leaves already is in no need of that.
func (e *Run) drain(host string, grace, down time.Duration) {
	if !e.backend.Running(host) || e.leaving[host] != nil {
		return
	}
	e.leaving[host] = &leave{down: down, returns: down > 0}
	e.drained[host] = e.leaving[host]
	e.backend.Excuse(host)
	e.system.Drain(host, grace)
}

// Left tells the run that a host's software has ended by itself and without an error, whether it was
// to or not. Backends say so of no software that crashed.
func (e *Run) Left(host string) {
	l := e.leaving[host]
	if l == nil {
		l = e.drained[host] // Its operator may have got through only after a crash.
	}
	if l == nil {
		return
	}
	if !e.over {
		e.common.Hosts.Stopped++
		e.changes++
		e.system.Ended(host, false)
	}
	e.gone(host, l)
}

// gone takes in that a host has ended that was on its way out.
func (e *Run) gone(host string, l *leave) {
	delete(e.leaving, host)
	if l.returns {
		e.StartAgain(host, l.down)
	}
}

// recall has the hosts that are on their way out return as soon as they are gone.
func (e *Run) recall() {
	for _, all := range []map[string]*leave{e.leaving, e.drained} {
		for _, l := range all { // order-free: each by itself
			l.down, l.returns = 0, true
		}
	}
}

// awaitLeaving waits for the hosts that were told to end, which the end of their grace bounds.
func (e *Run) awaitLeaving() error {
	told := func(host string) bool { return e.leaving[host].told }
	return e.backend.RunUntil(func() bool { return !slices.ContainsFunc(slices.Sorted(maps.Keys(e.leaving)), told) })
}
