package slots

import (
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// meanWeight is the share, 1 in so many, of the latest run in the average of run times. It is large
// enough for a batch of long tasks to end the prefetching before much of it is fetched in vain.
const meanWeight = 8

// meanRounds runs and more at one instant outweigh all before.
const meanRounds = 64

// Poll is what a poll for work says.
type Poll struct {
	// Seq counts the polls of a session from 1. A poll without an answer keeps its number.
	Seq uint64
	// Received is the last poll that was answered.
	Received uint64
	// Free is how many slots are free.
	Free int
	// Max is how many attempts to lease at most, at least 1.
	Max int
	// Held is how many attempts have not ended.
	Held int
	// Lent are those that wait for other tasks and have lent resources. It is valid until the next poll.
	Lent []core.Token
}

// NextPoll returns the poll to send now, if any. A poll that was sent and not answered is returned
// again, whatever room there is, because the controller may have granted attempts to it.
func (s *Machine) NextPoll(now core.Time) (poll Poll, ok bool) {
	s.fold(now)
	if !s.connected || s.draining {
		return Poll{}, false
	}
	free := s.free()
	room := s.room(free)
	if room < 1 && !s.pollSent {
		return Poll{}, false
	}
	s.pollSent = true
	room = max(room, 1)
	s.pollFree = min(free, room)
	s.pollLent = s.lenders(s.pollLent[:0])
	return Poll{Seq: s.pollSeq, Received: s.receivedPoll, Free: s.pollFree, Max: room, Held: s.live(), Lent: s.pollLent}, true
}

// Understated says whether the poll that waits for its answer tells of fewer free slots, or of less that is lent,
// than there is, in a way that the controller cannot see. It counts a slot as free once it is told that an attempt
// which the poll counts has ended, but never more than what it has granted leaves; of slots that are lent it knows
// nothing. What may not wait here for a slot would then stay where it is, until the poll is answered empty. So the
// poll is to be sent again, under its number, with what NextPoll returns now.
func (s *Machine) Understated() bool {
	if !s.pollSent || s.lent() == 0 {
		return false
	}
	free := s.free()
	if min(free, s.room(free)) > s.pollFree {
		return true
	}
	return free > 0 && s.lenderCount > len(s.pollLent)
}

// lenders appends the leases of those that have lent resources.
func (s *Machine) lenders(leases []core.Token) []core.Token {
	for a := s.all.head; a != nil && len(leases) < s.lenderCount; a = a.links[linkAll].next {
		if a.place == placeLent && len(a.lends()) > 0 {
			leases = append(leases, a.Lease)
		}
	}
	return leases
}

// Polls says whether NextPoll would return a poll, as far as that does not depend on runs that
// ended at this instant.
func (s *Machine) Polls() bool {
	return s.connected && !s.draining && (s.pollSent || s.room(s.free()) > 0)
}

// room returns how many attempts can be taken.
func (s *Machine) room(free int) int {
	if s.full() {
		return 0
	}
	ahead := s.prefetch()
	room := free
	// With every slot busy, half of what waits must be used up first, so that polls come in
	// batches.
	if free > 0 || s.queue.n <= ahead/2 {
		room += max(0, ahead-s.queue.n)
	}
	return min(room, s.cfg.MaxOutbox-s.all.n, MaxSlots)
}

// prefetch returns how many attempts should wait beyond the free slots: as many as the slots get
// through in PrefetchFor and PrefetchBytes hold, and none before anything is known of run times.
func (s *Machine) prefetch() int {
	if s.meanRun == 0 {
		return 0
	}
	n := int64(s.cfg.PrefetchFor) * int64(s.cfg.Slots) / int64(s.meanRun)
	if s.cfg.PrefetchBytes > 0 && s.meanBytes > 0 {
		n = min(n, int64(s.cfg.PrefetchBytes/s.meanBytes))
	}
	return int(min(n, int64(s.cfg.MaxPrefetch)))
}

// weigh notes how large the inputs of a poll's answer are.
func (s *Machine) weigh(grants []Grant) {
	if len(grants) == 0 {
		return
	}
	sum := 0
	for i := range grants {
		sum += grants[i].Bytes
	}
	s.meanBytes = max(sum/len(grants), s.meanBytes-s.meanBytes/meanWeight)
}

// observe notes a run. The runs that end at one instant enter the average together, so that their
// order there does not matter.
func (s *Machine) observe(now core.Time, ran time.Duration) {
	s.fold(now)
	s.runs.at = now
	s.runs.n++
	s.runs.sum += ran
}

// fold brings the average up to all instants before now.
func (s *Machine) fold(now core.Time) {
	if s.runs.n == 0 || s.runs.at == now {
		return
	}
	mean := s.runs.sum / time.Duration(s.runs.n)
	if s.meanRun == 0 {
		s.meanRun = mean
	}
	for range min(s.runs.n, meanRounds) {
		s.meanRun += (mean - s.meanRun) / meanWeight
	}
	s.meanRun = max(s.meanRun, 1)
	s.runs.n, s.runs.sum = 0, 0
}

// Held is what a heartbeat says of a worker. The tokens are in the order of their grants.
type Held struct {
	Queued, Running, Finished []core.Token
	// ReceivedPoll is the last poll whose answer is part of this.
	ReceivedPoll uint64
	Draining     bool
}

// Held returns the complete set of attempts that the worker owes the controller something about. An
// abandoned one counts as finished until its report is acknowledged, and not at all after that.
func (s *Machine) Held() Held {
	held := Held{ReceivedPoll: s.receivedPoll, Draining: s.draining}
	for a := s.all.head; a != nil; a = a.links[linkAll].next {
		switch {
		case a.phase == Queued:
			held.Queued = append(held.Queued, a.Lease)
		case a.phase == Running:
			held.Running = append(held.Running, a.Lease)
		case a.unacked:
			held.Finished = append(held.Finished, a.Lease)
		}
	}
	return held
}

// View is one attempt as [Machine.Attempts] shows it.
type View struct {
	Lease core.Token
	Value any
	Phase Phase
	// Started is when its function started; 0: not yet, or never.
	Started core.Time
	// Unacked says that its terminal report waits for a verdict.
	Unacked bool
}

// Attempts returns every attempt, in the order of their grants.
func (s *Machine) Attempts() []View {
	views := make([]View, 0, s.all.n)
	for a := s.all.head; a != nil; a = a.links[linkAll].next {
		views = append(views, View{Lease: a.Lease, Value: a.Value, Phase: a.phase, Started: a.started, Unacked: a.unacked})
	}
	return views
}
