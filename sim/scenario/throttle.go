package scenario

import (
	"github.com/frayrpc/fray/faults"
)

// Throttle passes a body slowly.
type Throttle struct {
	Rate Throughput `yaml:"rate" required:"true" doc:"How fast." example:"10KiB/s"`
}

func (*Throttle) example() Action { return &Throttle{Rate: 1} }

func (t *Throttle) fault(string) faults.Action {
	return faults.Action{Kind: faults.Throttle, Rate: int64(t.Rate)}
}
