package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/scenario"
)

// A Backend is where a run takes place: what there is of time, of hosts, and of a network with
// faults. Package virtual has one in virtual time, and package process one of real processes.
// Workload, faults in time, oracles, expectations and the result are the same on all.
//
// Its methods are called by the goroutine of RunUntil, and by functions that it calls, except for
// Elapsed, which is safe for concurrent use.
type Backend interface {
	scenario.Verbs
	// Elapsed returns the time since Start, or 0 before it.
	Elapsed() time.Duration
	// At has f called by RunUntil once that much time has passed since Start.
	At(elapsed time.Duration, f func())
	// RunUntil lets the run go on until done says so, which it asks between any two things that
	// happen. An error is a run that cannot go on.
	RunUntil(done func() bool) error
	// Rand returns the source of randomness of that name, which depends on the seed alone.
	Rand(name string) *rand.Rand
	// Mark notes something for the reader of a trace of the run.
	Mark(text string)

	// Start starts all hosts of the scenario.
	Start() error
	// Client runs software on a host besides those of the scenario, to which there are no faults.
	Client(name string, software Work)
	// Running says whether a host's software runs, if only it were let: a host that pauses does.
	Running(host string) bool
	// Bounce starts a host anew that has crashed or ended, and Stop asks one to end, as an operator
	// would when the run is over. Leave does so in the middle of the run, which kills the host after
	// the grace. Excuse says that a host may end by itself from now on: another has asked it to. Of
	// either end Run.Left is told.
	Bounce(host string)
	Stop(host string)
	Leave(host string, grace time.Duration)
	Excuse(host string)
	// Supervise says whether a host may end with an error, of which Run.Failed is told.
	Supervise(host string, on bool)
	// RepairAll resumes all hosts, and undoes what else it is that the verbs did to the network.
	RepairAll()

	// Hash stands for the whole trace of the run so far, and Stats for what was counted of it; both
	// are zero where nothing would repeat it.
	Hash() uint64
	Stats() sim.Stats

	// Injector returns what injects faults into messages.
	Injector() Injector
}

// An Injector injects faults into the messages of a run. That of package faults is one.
type Injector interface {
	Apply(plan faults.Plan) error
	Signal(event string)
	Status() faults.Status
	Clear()
	// Interceptor injects the faults of a host's own side.
	Interceptor(host string) connect.Interceptor
}

// A Machine is what a client of a run works on.
type Machine interface {
	// Name is the host's.
	Name() string
	// Client carries calls to URLs with names of hosts, and Dial connects to one of them.
	Client() connect.HTTPClient
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	// Interceptor injects the faults of the machine's own side.
	Interceptor() connect.Interceptor
	// Rand is Backend.Rand for this host.
	Rand(name string) *rand.Rand
	// Do has f called by the goroutine of RunUntil, and waits for it.
	Do(f func())
}

// A HostError ends a run: software of a host has ended by itself.
type HostError struct {
	Host string
	Err  error
	// Panicked is set when it panicked. Output is the end of what it wrote, if anything.
	Panicked bool
	Output   string
}

// Error implements error.
func (e *HostError) Error() string {
	text := fmt.Sprintf("%s has ended by itself: %v", e.Host, e.Err)
	if e.Output != "" {
		text += "\n" + e.Output
	}
	return text
}

// Unwrap returns how it ended.
func (e *HostError) Unwrap() error { return e.Err }

// A LeftoverError says that software of a host did not end when it was asked to.
type LeftoverError struct{ Hosts []string }

// Error implements error.
func (e *LeftoverError) Error() string {
	return fmt.Sprintf("%d hosts did not end when they were asked to: %v", len(e.Hosts), e.Hosts)
}

// leftBehind returns what says that something outlived the run, if an error does.
func leftBehind(err error) error {
	var leak *sim.LeakError
	var left *LeftoverError
	switch {
	case errors.As(err, &leak):
		return leak
	case errors.As(err, &left):
		return left
	}
	return nil
}
