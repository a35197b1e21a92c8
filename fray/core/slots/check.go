package slots

import (
	"errors"
	"fmt"

	"github.com/frayrpc/fray/fray/core"
)

// Known returns how many attempts there are.
func (s *Machine) Known() int { return len(s.attempts) }

// Check recounts everything and returns what does not add up. It costs O(attempts): it is for
// tests and simulations.
func (s *Machine) Check() error {
	var c census
	var errs []error
	for a := s.all.head; a != nil; a = a.links[linkAll].next {
		if err := c.count(s, a); err != nil {
			errs = append(errs, fmt.Errorf("attempt %d (%v): %w", a.Lease, a.phase, err))
		}
	}
	expect := func(what string, got, want int) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s: counted as %d, is %d", what, got, want))
		}
	}
	expect("attempts", len(s.attempts), c.all)
	expect("list of attempts", s.all.n, c.all)
	expect("queue", s.queue.n, c.queued)
	expect("waiters", s.waiters.n, c.waiting)
	expect("outbox", s.outbox, c.unacked)
	expect("lenders of resources", s.lenderCount, c.lenders)
	expect("bytes of the outbox", s.bytes, c.bytes)
	expect("due", len(s.due), c.due)
	if s.tally != c.tally {
		errs = append(errs, fmt.Errorf("attempts by phase and place: counted as %v, are %v", s.tally, c.tally))
	}
	if s.free() < 0 {
		errs = append(errs, fmt.Errorf("%d more slots occupied than there are", -s.free()))
	}
	for i, total := range s.cfg.Resources {
		used := amountOf(c.used, total.Name)
		if left := s.resources[i].Amount; left < 0 || left+used != total.Amount {
			errs = append(errs, fmt.Errorf("resource %s: %d left, %d used of %d", total.Name, left, used, total.Amount))
		}
		if wanted := amountOf(c.wanted, total.Name); s.wanted[i].Amount != wanted {
			errs = append(errs, fmt.Errorf("resource %s: %d wanted back, counted as %d", total.Name, wanted, s.wanted[i].Amount))
		}
	}
	if c.backable > 0 && s.free() > 0 {
		errs = append(errs, errors.New("a slot is free and an attempt waits for its own, whose resources are free"))
	}
	if s.connected && !s.full() && s.free() > 0 && c.runnable > 0 {
		errs = append(errs, fmt.Errorf("a slot is free and %d queued attempts could run", c.runnable))
	}
	errs = append(errs, s.queue.check())
	if s.draining && s.queue.n > 0 {
		errs = append(errs, fmt.Errorf("draining with %d attempts queued", s.queue.n))
	}
	if s.connected && s.lostBy != core.Never {
		errs = append(errs, errors.New("there is a session, and attempts are to be given up as lost"))
	}
	if s.receivedPoll+1 != s.pollSeq {
		errs = append(errs, fmt.Errorf("poll %d is next after %d", s.pollSeq, s.receivedPoll))
	}
	return errors.Join(errs...)
}

// census is a count made anew, attempt by attempt.
type census struct {
	all, queued, runnable, waiting, backable, lenders, unacked, bytes, due int

	tally        [phaseCount][placeCount]int
	used, wanted []core.Resource
}

func (c *census) count(s *Machine, a *attempt) error {
	c.all++
	if s.attempts[a.Lease] != a {
		return errors.New("not found by its lease")
	}
	if prev := a.links[linkAll].prev; prev != nil && prev.order >= a.order {
		return errors.New("out of order")
	}
	if a.unacked {
		c.unacked++
		c.bytes += a.bytes
	}
	c.tally[a.phase][a.place]++
	if a.place == placeWaiting {
		if c.waiting++; s.fitsBack(a) {
			c.backable++
		}
	}
	if err := c.countDue(s, a); err != nil {
		return err
	}
	if a.place == placeLent && len(a.lends()) > 0 {
		c.lenders++
	}
	if a.phase == Running || a.phase == Abandoned {
		for _, r := range a.Resources {
			switch {
			case a.place == placeSlot || a.Keeps:
				use(&c.used, r)
			case a.place == placeWaiting:
				use(&c.wanted, r)
			}
		}
	}
	switch a.phase {
	case Queued:
		c.queued++
		if s.fits(a) {
			c.runnable++
		}
		if a.place != placeNone || a.unacked || a.stop != 0 || a.started != 0 {
			return errors.New("queued, but was started, stopped or reported")
		}
	case Running:
		if a.place == placeNone || a.unacked {
			return errors.New("runs without a place, or was reported")
		}
	case Abandoned:
		if a.place == placeNone || a.stop == 0 {
			return errors.New("abandoned without a place, or never stopped")
		}
	case Finished:
		if a.place != placeNone || !a.unacked {
			return errors.New("finished, but has a place or nothing to report")
		}
	default:
		return errors.New("has no phase")
	}
	if a.blocked && a.place == placeWaiting {
		return errors.New("blocked and waiting for its slot")
	}
	return nil
}

func (c *census) countDue(s *Machine, a *attempt) error {
	due := a.dueAt(&s.cfg)
	if due == core.Never {
		if a.dueIndex >= 0 {
			return errors.New("scheduled for nothing")
		}
		return nil
	}
	c.due++
	if a.dueIndex < 0 || a.dueIndex >= len(s.due) || s.due[a.dueIndex] != a || a.due != due {
		return errors.New("not scheduled for what is due")
	}
	if a.dueIndex > 0 && s.due.Less(a.dueIndex, (a.dueIndex-1)/2) {
		return errors.New("scheduled behind one that is due later")
	}
	return nil
}

func use(of *[]core.Resource, r core.Resource) {
	if amount := resource(*of, r.Name); amount != nil {
		*amount += r.Amount
	} else {
		*of = append(*of, r)
	}
}

// check walks the queue, which is to be in the order of priorities, and within one in that of the
// grants.
func (q *queue) check() error {
	n := 0
	var last *attempt
	for a := q.head(); a != nil; a = q.after(a) {
		if last != nil && (last.Priority < a.Priority || last.Priority == a.Priority && last.order > a.order) {
			return fmt.Errorf("attempt %d waits behind attempt %d", a.Lease, last.Lease)
		}
		last = a
		n++
	}
	if n != q.n {
		return fmt.Errorf("%d attempts are in the queue's order, of %d", n, q.n)
	}
	return nil
}
