package sim

import (
	"fmt"
	"math"
	"strings"
	"testing/synctest"
	"time"
)

// Run steps until the software of all clients has ended. It returns the first error of any
// software, or ErrDeadlock, ErrMaxSteps or ErrMaxTime.
func (s *Sim) Run() error {
	return s.RunUntil(func() bool { return s.clients == 0 })
}

// RunUntil steps until done, which is asked between steps, and may look at whatever the software
// shares with it. It returns errors as Run does.
func (s *Sim) RunUntil(done func() bool) error {
	s.control("run")
	s.settle()
	for !done() {
		if _, err := s.step(math.MaxInt64); err != nil {
			return err
		}
	}
	return s.failure()
}

// RunFor steps for that much virtual time. It returns errors as Run does, except that to be quiet
// for that long is none.
func (s *Sim) RunFor(d time.Duration) error {
	s.control("run")
	limit := s.now() + int64(d)
	for {
		reached, err := s.step(limit)
		if reached || err != nil {
			return err
		}
	}
}

// Step goes on by one event: it releases the next message, or calls the next function of At, once
// virtual time has come to it; unless software sends something or ends before, at which it returns.
// It returns errors as Run does.
func (s *Sim) Step() error {
	s.control("step")
	_, err := s.step(math.MaxInt64)
	return err
}

// step is Step up to a time limit. It says whether that was reached.
func (s *Sim) step(limit int64) (bool, error) {
	s.settle()
	for {
		if err := s.failure(); err != nil {
			return false, err
		}
		if s.stats.Steps >= s.cfg.MaxSteps {
			return false, s.fail(fmt.Errorf("%w: %d, at %v", ErrMaxSteps, s.cfg.MaxSteps, s.Elapsed()))
		}
		now := s.now()
		next := int64(math.MaxInt64)
		if len(s.queue) > 0 {
			// Distinct arrivals: what is due at the instant of the last one comes later.
			next = max(s.queue[0].at, even(s.lastAt+1))
		}
		if next <= now && next <= limit {
			s.release(s.queue.pop(), now)
			return false, nil
		}
		quiet := s.activity + int64(s.cfg.Quiet)
		until := min(next, quiet, limit, int64(s.cfg.MaxTime))
		if until <= now {
			switch {
			case now >= int64(s.cfg.MaxTime):
				return false, s.fail(fmt.Errorf("%w: %v, after %d steps", ErrMaxTime, s.cfg.MaxTime, s.stats.Steps))
			case now >= limit:
				return true, nil
			case next > quiet && limit == math.MaxInt64:
				return false, s.fail(fmt.Errorf("%w under seed %d: %s", ErrDeadlock, s.cfg.Seed, s.blocked()))
			default:
				s.activity = now // RunFor may be as quiet as it likes.
				continue
			}
		}
		s.sleep(time.Duration(until - now))
		if s.settle() > 0 {
			return false, nil
		}
	}
}

// sleep lets virtual time pass, until something is parked at the latest.
func (s *Sim) sleep(d time.Duration) {
	s.released.Store(true)
	s.mu.Lock()
	s.asleep = true
	s.mu.Unlock()
	if s.timer == nil {
		s.timer = time.NewTimer(d)
	} else {
		s.timer.Reset(d)
	}
	select {
	case <-s.wake:
		// To reset a timer that has not fired has the runtime look through all timers of the
		// bubble, a host's heartbeats and deadlines among them, when its new time comes.
		s.timer.Stop()
		s.timer = nil
		return
	case <-s.timer.C:
	}
	s.mu.Lock()
	missed := !s.asleep
	s.asleep = false
	s.mu.Unlock()
	if missed {
		<-s.wake // At the same instant; it was sent or is about to be.
	}
}

// settle waits until all other goroutines of the bubble are durably blocked and what they parked is
// taken in. It returns how many packets that were.
func (s *Sim) settle() int {
	total := 0
	for {
		s.released.Store(true)
		for _, letGo := range s.later {
			letGo()
		}
		clear(s.later)
		s.later = s.later[:0]
		synctest.Wait()
		s.released.Store(false)
		s.cfg.Watchdog.alive(s.now(), s.stats.Steps)
		s.mu.Lock()
		batch := s.inbox
		s.inbox, s.spare = s.spare[:0], nil
		s.mu.Unlock()
		s.woken = false
		if len(batch) > 0 {
			total += len(batch)
			s.activity = s.now()
			arrange(batch)
			for _, p := range batch {
				s.admit(p)
			}
			clear(batch)
		}
		s.mu.Lock()
		s.spare = batch[:0]
		s.mu.Unlock()
		if !s.woken {
			return total
		}
	}
}

// release lets one message arrive, or one function run, and waits for all that follows from it at
// this instant.
func (s *Sim) release(p *packet, now int64) {
	if p.kind == kindProbe {
		p.fn() // That nothing happens is found out in spite of it.
		s.settle()
		return
	}
	s.lastAt, s.activity = now, now
	s.stats.Steps++
	if p.kind == kindTimer {
		p.fn()
	} else {
		s.arrive(p)
	}
	s.settle()
}

func (s *Sim) failure() error {
	if len(s.failures) > 0 {
		return s.failures[0]
	}
	if err := s.errSpins(); err != nil {
		return s.fail(err)
	}
	if s.closed {
		return ErrClosed
	}
	return nil
}

// fail records why the run is over.
func (s *Sim) fail(err error) error {
	s.failures = append(s.failures, err)
	return err
}

// maxBlocked is how many stacks are told of in a deadlock.
const maxBlocked = 20

// blocked tells who is still there in a deadlock, and where.
func (s *Sim) blocked() string {
	var b strings.Builder
	fmt.Fprintf(&b, "nothing sent or under way for %v at %v;", s.cfg.Quiet, s.Elapsed())
	for _, n := range s.nodes {
		if i := n.current; i != nil && !i.ended {
			fmt.Fprintf(&b, " %s waits (%d calls out, %d calls in)", n.name, len(i.out), len(i.in))
			if n.paused {
				b.WriteString(" paused")
			}
			b.WriteByte(';')
		}
	}
	waiting := 0
	for _, l := range s.links {
		waiting += len(l.waiting)
	}
	fmt.Fprintf(&b, " %d messages held", waiting)
	leaks := s.goroutines()
	for i, l := range leaks {
		if i == maxBlocked {
			fmt.Fprintf(&b, "\nand %d other stacks", len(leaks)-i)
			break
		}
		fmt.Fprintf(&b, "\n%d of %s (incarnation %d):\n%s", l.Count, l.Host, l.Incarnation, l.Stack)
	}
	return b.String()
}
