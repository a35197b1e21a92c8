package scenario

import (
	"github.com/frayrpc/fray/faults"
)

// Truncate cuts a body after some bytes.
type Truncate struct {
	After Bytes `yaml:"after" default:"0B" doc:"How much of the body passes." example:"16B"`
}

func (*Truncate) example() Action { return &Truncate{} }

func (t *Truncate) fault(string) faults.Action {
	return faults.Action{Kind: faults.Truncate, Bytes: int64(t.After)}
}
