package chaos

import (
	"time"

	"github.com/frayrpc/fray/sim/cluster"
)

// drawKeys draws the keys of a kind's tasks: few, so that tasks share some.
func (c *random) drawKeys(d *drawer) *cluster.Unique {
	u := &cluster.Unique{Keys: oneOf(d, 1, 2, 3, 10)}
	if d.chance(0.6) {
		u.For = d.between(10*time.Millisecond, c.span/2)
	}
	return u
}
