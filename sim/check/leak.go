package check

import "time"

// NoLeak holds processes to leave nothing running: it calls the function that Oracles.Leaks was given, once, at the end.
type NoLeak struct{ find func() error }

// Name implements Oracle.
func (*NoLeak) Name() string { return "no-leak" }

// Claim implements Oracle.
func (*NoLeak) Claim() string { return "When everything has stopped, no goroutine is left." }

// Observe implements Oracle.
func (*NoLeak) Observe(*Event, *Judge) {}

// Finish implements Oracle.
func (o *NoLeak) Finish(_ time.Duration, j *Judge) {
	if o.find == nil {
		return
	}
	j.Check()
	if err := o.find(); err != nil {
		j.Violated("", err.Error())
	}
}
