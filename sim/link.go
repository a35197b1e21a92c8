package sim

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// DefaultLatency is that of a busy local network.
var DefaultLatency = Latency{Min: 100 * time.Microsecond, Mean: 500 * time.Microsecond, Max: 10 * time.Millisecond}

// A Link is how messages travel from one host to another.
type Link struct {
	// Latency is how long they take. Messages of different calls overtake each other; those of one
	// call and direction do not.
	Latency Latency
	// Loss is the probability that a message is lost, from 0 to 1. As with a connection that went
	// silent, its sender is told nothing, and what follows it in the same direction of the same
	// stream is lost too.
	Loss float64
}

// Latency is a distribution: Min, and on top of it an exponentially distributed time that brings
// the mean to Mean, cut at Max. With Mean equal to Min, and with Max equal to it, it is constant.
type Latency struct {
	Min, Mean, Max time.Duration
}

func (l Link) validate() error {
	var errs []error
	if l.Loss < 0 || l.Loss > 1 || math.IsNaN(l.Loss) {
		errs = append(errs, fmt.Errorf("sim: loss must be from 0 to 1, is %v", l.Loss))
	}
	if d := l.Latency; d.Min < 0 || d.Mean < d.Min || d.Max < d.Mean {
		errs = append(errs, fmt.Errorf("sim: latency needs 0 <= Min <= Mean <= Max, is %v, %v, %v", d.Min, d.Mean, d.Max))
	}
	return errors.Join(errs...)
}

// sample turns 64 random bits into a latency.
func (l Latency) sample(bits uint64) time.Duration {
	spread := float64(l.Mean - l.Min)
	if spread <= 0 {
		return l.Min
	}
	return min(l.Min+time.Duration(-spread*math.Log(1-unit(bits))), l.Max)
}

// link is the state of one direction between two hosts.
type link struct {
	Link
	cut  bool
	held bool
	// What waits for Release, in the order in which it was to travel.
	waiting []*packet
}

func linkKey(from, to *node) uint64 { return uint64(from.index)<<32 | uint64(to.index) } //nolint:gosec // Counts from 0.

// route returns the link that a message takes, or nil for one that nothing was ever said about.
func (s *Sim) route(from, to *node) *link { return s.links[linkKey(from, to)] }

// between returns the link from one host to another for a change.
func (s *Sim) between(from, to string) *link {
	a, b := s.mustNode(from), s.mustNode(to)
	l := s.links[linkKey(a, b)]
	if l == nil {
		l = &link{Link: s.cfg.Link}
		s.links[linkKey(a, b)] = l
	}
	return l
}

// SetLink sets how messages travel between a and b from now on, both ways. A zero Latency is that
// of Config.Link. It panics if the link is not valid.
func (s *Sim) SetLink(a, b string, l Link) {
	s.control("set link")
	if l.Latency == (Latency{}) {
		l.Latency = s.cfg.Link.Latency
	}
	if err := l.validate(); err != nil {
		panic(err)
	}
	s.between(a, b).Link = l
	s.between(b, a).Link = l
}

// Partition cuts the network between a and b. What is under way between them is lost too.
func (s *Sim) Partition(a, b string) {
	s.PartitionOneway(a, b)
	s.PartitionOneway(b, a)
}

// PartitionOneway cuts the network from one host to another, so that only what travels the other
// way arrives.
func (s *Sim) PartitionOneway(from, to string) {
	s.control("partition")
	s.between(from, to).cut = true
	s.note(EventPartition, from, to)
}

// Repair undoes Partition and PartitionOneway between a and b.
func (s *Sim) Repair(a, b string) {
	s.control("repair")
	s.between(a, b).cut = false
	s.between(b, a).cut = false
	s.note(EventRepair, a, b)
}

// Hold keeps all messages between a and b, also those that are under way, until Release.
func (s *Sim) Hold(a, b string) {
	s.control("hold")
	s.between(a, b).held = true
	s.between(b, a).held = true
	s.note(EventHold, a, b)
}

// Release lets go of what Hold kept: it travels from now on, in an order of its own.
func (s *Sim) Release(a, b string) {
	s.control("release")
	s.note(EventRelease, a, b)
	for _, l := range []*link{s.between(a, b), s.between(b, a)} {
		l.held = false
		waiting := l.waiting
		l.waiting = nil
		for _, p := range waiting {
			s.schedule(p)
		}
	}
}

// RepairAll undoes every Partition, and releases and resumes everything: the healed network of a
// liveness phase. It leaves SetLink, Config.Link and crashed hosts as they are.
func (s *Sim) RepairAll() {
	s.control("repair")
	for _, n := range s.nodes {
		if n.paused {
			s.Resume(n.name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.links)) {
		l, a, b := s.links[key], s.nodes[key>>32], s.nodes[uint32(key)] //nolint:gosec // Its lower half, see linkKey.
		if l.cut {
			s.Repair(a.name, b.name)
		}
		if l.held {
			s.Release(a.name, b.name)
		}
	}
}
