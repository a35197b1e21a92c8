package check

// noBugTold holds the controller to have no faults of its own, whatever befalls its machine: what it
// cannot tell now, it says that it cannot tell now, and its callers come again. It is vacuous where
// nobody calls.
type noBugTold struct {
	oracle

	last uint64 // the call that was counted last: its events come together
}

func newNoBugTold() *noBugTold {
	return &noBugTold{oracle: oracle{"no-bug-told", "Nobody is answered with an internal error."}}
}

// Observe implements Oracle.
func (o *noBugTold) Observe(e *Event, j *Judge) {
	if e.Kind.Reply() && e.Call != o.last {
		o.last = e.Call
		j.Check()
	}
	if e.Kind == BugTold {
		j.Violated(e.Task, "the controller had an error of its own for "+e.Host+": "+e.Detail, e)
	}
}
