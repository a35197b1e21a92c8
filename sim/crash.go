package sim

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"syscall"

	"github.com/frayrpc/fray/sim/disk"
	"github.com/frayrpc/fray/sim/order"
)

// Crash kills a host's software, as kill -9 does. What it sent and has not arrived is dropped; its
// open calls, in either direction, break off; new ones are refused until Bounce. Its disk is kept.
// Its goroutines end at their next use of the Host or of what it handed out, and its contexts are
// done. A host that is down already stays down; of one whose software has returned, what is left
// ends.
func (s *Sim) Crash(host string) {
	s.control("crash")
	s.end(s.mustNode(host), "killed", false)
}

// Wipe is Crash, and the disk is lost.
func (s *Sim) Wipe(host string) {
	s.control("wipe")
	n := s.mustNode(host)
	s.end(n, "wiped", false)
	s.setDisk(n, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	n.files = nil
}

// PowerOff crashes a host by loss of power: nobody is told, requests to it are lost, and its disk
// keeps what a Crasher says that it keeps.
func (s *Sim) PowerOff(host string) {
	s.control("power off")
	n := s.mustNode(host)
	s.end(n, "power-loss", true)
	n.dark = true
}

// Bounce starts a host's software again as a new incarnation, after a Crash if it is not down
// already. A client whose software had ended is no longer done.
func (s *Sim) Bounce(host string) {
	s.control("bounce")
	n := s.mustNode(host)
	if n.software == nil {
		panic(fmt.Sprintf("sim: bounce: machine %q has no software yet; give it some with Host or Client", host))
	}
	s.end(n, "killed", false)
	if n.isClient && n.done {
		n.done = false
		s.clients++
	}
	s.boot(n)
}

// Stop asks a host's software to end, as SIGTERM does: its context is done, and everything else
// goes on, the calls that it serves too, until it returns.
func (s *Sim) Stop(host string) {
	s.control("stop")
	if i := s.mustNode(host).current; i != nil {
		s.emit(&Event{Kind: EventStop, From: host, Attempt: i.number})
		s.letGo(func() { i.cancel(ErrStopped) })
	}
}

// Supervise says whether a host's software may end with an error, which otherwise ends the run: a
// supervisor would start it again, which is for Bounce to do. A panic ends the run all the same.
func (s *Sim) Supervise(host string, on bool) {
	s.control("supervise")
	s.mustNode(host).supervised = on
}

// Running says whether a host's software runs: it has neither crashed nor ended.
func (s *Sim) Running(host string) bool {
	i := s.mustNode(host).current
	return i != nil && !i.ended
}

// Pause freezes a host as far as the network sees it, like SIGSTOP: nothing that it sends leaves,
// and nothing that arrives reaches it, until Resume. Software that asks the host's own clock, see
// [Host.Monotonic], stands still there. Unlike under SIGSTOP other goroutines go on, and their
// timers fire; what they decide meanwhile leaves with Resume.
func (s *Sim) Pause(host string) {
	s.control("pause")
	s.freeze(s.mustNode(host), false)
}

// Resume undoes Pause and Suspend. What was kept goes on from now, in its order.
func (s *Sim) Resume(host string) {
	s.control("resume")
	n := s.mustNode(host)
	if !n.paused {
		return
	}
	s.resume(n)
}

func (s *Sim) resume(n *node) {
	n.paused = false
	n.clock.melt(s.Elapsed())
	s.note(EventResume, n.name, "")
	leaving, arriving := n.leaving, n.arriving
	n.leaving, n.arriving = nil, nil
	for _, p := range arriving {
		p.at = s.now()
		s.push(p)
	}
	for _, p := range leaving {
		if p.sender == nil || !p.sender.dead.Load() {
			s.send(p)
		}
	}
}

// end ends a host's incarnation, or what is left of one whose software has returned.
func (s *Sim) end(n *node, how string, silent bool) {
	i := n.current
	if i == nil {
		return
	}
	n.current = nil
	if !i.ended { // What has returned does not crash any more.
		s.emit(&Event{Kind: EventCrash, From: n.name, Code: how, Attempt: i.number})
	}
	s.woken = true
	i.dead.Store(true)
	if n.paused {
		s.resume(n) // A stopped process can be killed, and what is started in its place runs.
	}
	if n.isClient && !n.done && !i.ended {
		// It can no longer get anything done; Bounce makes it count again.
		n.done = true
		s.clients--
	}
	s.crashFiles(i, silent)
	if disk, ok := s.disk(n).(Crasher); ok {
		s.setDisk(n, disk.AfterCrash(silent, s.rand(forDisk, n.hash, uint64(i.number)))) //nolint:gosec // Counts from 1.
	}
	// What is stopped hears of nothing any longer, as a process that was killed.
	if s.cfg.Unmodified && order.Stop(i.mark) {
		s.stopped[incarnationKey{n.name, i.number}] = true
	} else {
		i.cancel(ErrCrashed)
		i.close(ErrCrashed)
	}
	s.hangUpSockets(i, silent)
	for _, id := range slices.Sorted(maps.Keys(i.out)) {
		c := i.out[id]
		c.leave()
		if !silent {
			s.admit(&packet{kind: KindCancel, from: c.client.node, to: c.target, call: c, procedure: c.procedure})
		}
		s.retire(c)
	}
	for _, id := range slices.Sorted(maps.Keys(i.in)) {
		c := i.in[id]
		c.up.fail(context.Canceled)
		c.writer.pipe.stop()
		if !silent && !c.gone.Load() {
			s.admit(c.resetBy(n, errHungUp()))
		}
	}
	clear(i.out)
	clear(i.in)
}

// crashFiles leaves the next incarnation what the end of this one leaves of its files.
func (s *Sim) crashFiles(i *incarnation, powerLoss bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := i.node
	if n.files != nil {
		n.files = n.files.AfterCrash(powerLoss, s.rand(forFiles, n.hash, uint64(i.number))).(*disk.Disk) //nolint:errcheck,gosec // It is one; counts from 1.
	}
}

func (s *Sim) disk(n *node) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n.disk
}

func (s *Sim) setDisk(n *node, disk any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n.disk = disk
}

// errHungUp is what net/http makes of a connection that the kernel closes for a process that is
// gone.
func errHungUp() error { return fmt.Errorf("server closed connection: %w", io.ErrUnexpectedEOF) }

// errStreamReset is what net/http makes of a handler that panics, or that has no time left to
// write, over HTTP/2.
func errStreamReset(id uint64) error {
	return fmt.Errorf("stream error: stream ID %d; INTERNAL_ERROR; received from peer", 2*id-1)
}

func errReset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

func errRefused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}
