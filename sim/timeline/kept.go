package timeline

import (
	"slices"
	"time"
)

// What a page has of one run at most. Of a run with more it keeps how it began, a quarter of this,
// and how it ended: a violation ends its run, so what led there is kept.
const (
	MaxMessages = 20_000
	MaxAttempts = 10_000
	MaxFirings  = 10_000
	MaxBands    = 2_000
	// maxMentions bounds which tasks messages are known to be about.
	maxMentions = 4 * MaxMessages
)

// kept is the first and the last of what came, in its order.
type kept[T any] struct {
	at    func(T) time.Duration
	bound int
	first []T
	last  []T // a ring once it is full
	next  int // in it
	total int
}

func newKept[T any](bound int, at func(T) time.Duration) *kept[T] {
	return &kept[T]{bound: bound, at: at}
}

// add takes one in.
func (k *kept[T]) add(v T) {
	k.total++
	head := k.bound / 4
	switch {
	case len(k.first) < head:
		k.first = append(k.first, v)
	case len(k.last) < k.bound-head:
		k.last = append(k.last, v)
	default:
		k.last[k.next] = v
		k.next = (k.next + 1) % len(k.last)
	}
}

// A gap is what a page leaves out.
type gap struct {
	What    string        `json:"what"`
	Dropped int           `json:"dropped"`
	Total   int           `json:"total"`
	From    time.Duration `json:"from"`
	Until   time.Duration `json:"until"`
}

// all returns what is kept, and the gap in it, if there is one. What happened at the instants
// around a gap is left out too: it may have come in any order, and pages of one seed are to be
// identical.
func (k *kept[T]) all(what string) ([]T, *gap) {
	last := slices.Concat(k.last[k.next:], k.last[:k.next])
	if k.total == len(k.first)+len(last) {
		return slices.Concat(k.first, last), nil
	}
	from, until := k.at(k.first[len(k.first)-1]), k.at(last[0])
	first := slices.DeleteFunc(slices.Clone(k.first), func(v T) bool { return k.at(v) >= from })
	last = slices.DeleteFunc(last, func(v T) bool { return k.at(v) <= until })
	kept := slices.Concat(first, last)
	return kept, &gap{What: what, Dropped: k.total - len(kept), Total: k.total, From: from, Until: until}
}
