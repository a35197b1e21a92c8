package faults

import (
	"cmp"
	"slices"
	"sync"
)

// A Count is how often something was injected.
type Count struct {
	Kind      Kind
	Procedure string // OtherProcedure for those past the first MaxCounts
	Phase     Phase
	Total     uint64
}

const (
	// MaxCounts bounds how many kinds, procedures and phases are told apart.
	MaxCounts = 4096
	// OtherProcedure stands for all procedures past that.
	OtherProcedure = "other"
)

// Counts returns what was injected since the injector was made, whatever the plan, sorted by kind,
// procedure and phase. It has what a counter faults_injected_total{kind,procedure,phase} shows.
func (i *Injector) Counts() []Count { return i.counts.snapshot() }

type counts struct {
	mu     sync.Mutex
	totals map[Count]uint64 // by Count without Total
}

func (c *counts) add(key Count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.totals == nil {
		c.totals = map[Count]uint64{}
	}
	if _, known := c.totals[key]; !known && len(c.totals) >= MaxCounts {
		key.Procedure = OtherProcedure
	}
	c.totals[key]++
}

func (c *counts) snapshot() []Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Count, 0, len(c.totals))
	for key, total := range c.totals {
		key.Total = total
		all = append(all, key)
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Procedure, b.Procedure), cmp.Compare(a.Phase, b.Phase))
	})
	return all
}
