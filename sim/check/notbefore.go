package check

import (
	"fmt"
	"time"
)

// notBefore holds the controller to grant no attempt of a task before the time that its specification names,
// by the controller's clock. It is vacuous where no task has such a time, and where the clock may be set.
type notBefore struct {
	oracle

	wall  func() time.Time
	began time.Time // of the history; zero: it is not known
}

func newNotBefore(cfg *Config) *notBefore {
	return &notBefore{oracle: oracle{"not-before-kept", "A task that has a time is granted no earlier."}, wall: cfg.Wall}
}

// Observe implements Oracle.
func (o *notBefore) Observe(e *Event, j *Judge) {
	if o.wall == nil {
		return
	}
	if o.began.IsZero() {
		o.began = o.wall().Add(-e.At)
	}
	if e.Kind != GrantReply || e.Spec.NotBefore == 0 {
		return
	}
	j.Check()
	if early := time.UnixMilli(e.Spec.NotBefore).Sub(o.began.Add(e.At)); early > 0 {
		j.Violated(e.Task, fmt.Sprintf("is granted %v before its time", early), e)
	}
}
