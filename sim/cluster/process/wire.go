package process

import (
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/sim/check"
)

// A worker's process asks, and the process of the run answers, one after the other, over a socket
// that the worker inherits. Both are encoded with gob: the two are the same program.

// A request is what a worker asks or tells. Just one of its fields is set, or it asks for a place
// in the history.
type request struct {
	// Hello is the first: it asks for the setup.
	Hello bool
	// Ready says where the worker's fault service is. The answer comes when the worker is to begin.
	Ready string
	// Events are for the history.
	Events []check.Event
	// Injected is a rule that acts.
	Injected string
	// Strike is a fault of this worker that strikes a host; there is no answer if it ends this
	// process.
	Strike *strike
	// Poisoned asks for the end of this process. There is no answer.
	Poisoned bool
	// Metrics are the worker's at its end.
	Metrics map[string]float64
}

// A strike is an action of a rule upon a host.
type strike struct {
	Rule string
	Kind faults.Kind
	Host string
	Wait time.Duration
}

// An answer is what a request gets.
type answer struct {
	Setup *setup
	// Faults is the plan in force from the beginning.
	Faults string
	// A place in the history, its time, and the number of a call.
	Seq  uint64
	At   time.Duration
	Call uint64
}

// setup is all that a worker's process needs to know.
type setup struct {
	// The scenario's file, and the worker in it.
	File  string
	Text  []byte
	Group string
	Host  string
	Seed  uint64
	// Start counts the starts of this host.
	Start int
	// Address is the worker's own, without a port, and Controller that of the controller.
	Address, Controller string
	// Token is what it shows, and Access who may call it; empty: nobody is asked. TLS is what it
	// shows and trusts besides.
	Token, Access string
	TLS           certs.Files
	// ClockFile is what sets its wall clock.
	ClockFile string
}

// errGone is the end of the process that the run belongs to.
var errGone = errors.New("the process of the run is gone")

// A parent is the process of the run, as a worker's process sees it. It is safe for concurrent use.
type parent struct {
	mu      sync.Mutex
	encoder *gob.Encoder
	answers chan answer
	// gone is closed when the parent is.
	gone chan struct{}
}

func newParent(conn net.Conn) *parent {
	p := &parent{encoder: gob.NewEncoder(conn), answers: make(chan answer), gone: make(chan struct{})}
	go func() { // Ends with the connection.
		defer close(p.gone)
		for decoder := gob.NewDecoder(conn); ; {
			var a answer
			if decoder.Decode(&a) != nil {
				return
			}
			p.answers <- a
		}
	}()
	return p
}

// ask sends a request and waits for the answer. Where there is none, because the parent is gone or
// ends this process, it does not return: nothing may happen in this process that the history does
// not have.
func (p *parent) ask(r request) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.encoder.Encode(r) != nil {
		select {} // The end of this process is under way.
	}
	return <-p.answers
}

// Begin implements check.Log.
func (p *parent) Begin() (seq uint64, at time.Duration, call uint64) {
	a := p.ask(request{})
	return a.Seq, a.At, a.Call
}

// Add implements check.Log.
func (p *parent) Add(events ...check.Event) {
	if len(events) > 0 {
		p.ask(request{Events: events})
	}
}

// hello returns what the worker is to do.
func (p *parent) hello() (*setup, error) {
	a := p.ask(request{Hello: true})
	if a.Setup == nil {
		return nil, fmt.Errorf("set up worker: the answer has no setup")
	}
	return a.Setup, nil
}
