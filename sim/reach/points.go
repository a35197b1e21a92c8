package reach

import (
	"maps"
	"slices"
)

// Bounds of what a run tells.
const (
	// MaxPoints is how many points of a kind a run comes to at most: the first ones.
	MaxPoints = 4096
	// maxText is how long a point is, in bytes.
	maxText = 160
)

// Points are what runs have come to: points, sorted, by their kind.
type Points map[string][]string

// A set is points that are still collected.
type set map[string]map[string]bool

// add adds a point of a kind.
func (s set) add(kind, point string) {
	of := s[kind]
	if of == nil {
		of = map[string]bool{}
		s[kind] = of
	}
	if len(of) < MaxPoints {
		of[point[:min(len(point), maxText)]] = true
	}
}

func (s set) clone() set {
	c := set{}
	for kind, of := range s { // order-free: each is copied
		c[kind] = maps.Clone(of)
	}
	return c
}

func (s set) sorted() Points {
	all := Points{}
	for kind, of := range s { // order-free: each is sorted
		all[kind] = slices.Sorted(maps.Keys(of))
	}
	return all
}
