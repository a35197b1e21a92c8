package scenario

import (
	"github.com/frayrpc/fray/faults"
)

// Drop loses messages.
type Drop struct{}

func (*Drop) example() Action { return &Drop{} }

func (*Drop) fault(string) faults.Action { return faults.Action{Kind: faults.Drop} }
