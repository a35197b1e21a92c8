package scenario

import (
	"github.com/frayrpc/fray/faults"
)

// Partition drops all that passes between two sets of hosts.
type Partition struct {
	OneWay bool `yaml:"oneWay" default:"false" doc:"Only what travels from the hosts of from to those of to."`
}

func (*Partition) example() Action { return &Partition{} }

func (p *Partition) fault(string) faults.Action {
	return faults.Action{Kind: faults.Partition, OneWay: p.OneWay}
}

func (*Partition) check(v *Validator, f *Fault) {
	if f.Match == nil || len(f.Match.From) == 0 && len(f.Match.To) == 0 {
		v.Report(Complain("a partition needs to know whom it parts").Suggest("add match: {from: ..., to: ...}"), &f.Action.Partition)
	}
}
