package scenario

import (
	"time"

	"github.com/frayrpc/fray/faults"
)

// Reorder holds a message back until the next match has passed it.
type Reorder struct {
	Within Duration `yaml:"within" required:"true" doc:"The longest that it is held back." example:"100ms"`
}

func (*Reorder) example() Action { return &Reorder{Within: 1} }

func (r *Reorder) fault(string) faults.Action {
	return faults.Action{Kind: faults.Reorder, Wait: time.Duration(r.Within)}
}

func (r *Reorder) check(v *Validator, _ *Fault) {
	v.NeedsTime(&r.Within, "nothing can be reordered in no time", "100ms")
}
