package check

import "time"

// An oracle is what all oracles are: a name and a claim. It looks at nothing.
type oracle struct{ name, claim string }

// Name implements Oracle.
func (o *oracle) Name() string { return o.name }

// Claim implements Oracle.
func (o *oracle) Claim() string { return o.claim }

// Observe implements Oracle.
func (*oracle) Observe(*Event, *Judge) {}

// Finish implements Oracle.
func (*oracle) Finish(time.Duration, *Judge) {}
