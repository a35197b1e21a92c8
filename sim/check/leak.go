package check

import "time"

// noLeak holds processes to leave nothing running: it calls the function that Oracles.Leaks was
// given, once, at the end. It is vacuous where no function is given.
type noLeak struct {
	oracle

	find func() error
}

func newNoLeak() *noLeak {
	return &noLeak{oracle: oracle{"no-leak", "When everything has stopped, no goroutine is left."}}
}

// Finish implements Oracle.
func (o *noLeak) Finish(_ time.Duration, j *Judge) {
	if o.find == nil {
		return
	}
	j.Check()
	if err := o.find(); err != nil {
		j.Violated("", err.Error())
	}
}
