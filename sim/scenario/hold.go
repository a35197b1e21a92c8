package scenario

import (
	"github.com/frayrpc/fray/faults"
)

// Hold holds messages back until the window ends.
type Hold struct{}

func (*Hold) example() Action { return &Hold{} }

func (*Hold) fault(string) faults.Action { return faults.Action{Kind: faults.Hold} }

func (*Hold) check(v *Validator, f *Fault) {
	if v.Heal == nil && (f.When.Window == nil || f.When.Window.Until == 0) {
		v.Report(Complain("what is held back is never let go").Suggest("give the fault a window that ends, or add heal"), &f.Action.Hold)
	}
}
