package scenario

import (
	"time"

	"github.com/frayrpc/fray/faults"
)

// Duplicate delivers requests more than once.
type Duplicate struct {
	Copies int      `yaml:"copies" default:"1" min:"1" max:"16" doc:"How many further times."`
	Later  Duration `yaml:"later" doc:"How long after the first, with nobody to hear the answer. 0: at once." example:"2s"`
}

func (*Duplicate) example() Action { return &Duplicate{Copies: 1} }

func (d *Duplicate) fault(string) faults.Action {
	return faults.Action{Kind: faults.Duplicate, Copies: d.Copies, Wait: time.Duration(d.Later)}
}
