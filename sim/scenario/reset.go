package scenario

import (
	"github.com/frayrpc/fray/faults"
)

// Reset breaks the connection after some bytes of a body.
type Reset struct {
	After Bytes `yaml:"after" default:"0B" doc:"How much of the body passes." example:"16B"`
}

func (*Reset) example() Action { return &Reset{} }

func (r *Reset) fault(string) faults.Action {
	return faults.Action{Kind: faults.Reset, Bytes: int64(r.After)}
}
