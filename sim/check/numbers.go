package check

import (
	"fmt"
)

// attemptNumbers holds the names of attempts to be good: lease tokens are never given twice, an
// attempt keeps its token when its grant is repeated, and numbers rise: no view or grant that was
// asked for after an attempt was seen shows an earlier one. It keeps every token, which is the one
// thing here that grows with attempts and not with tasks. It is vacuous where no task has a second
// attempt.
type attemptNumbers struct{ tokens map[uint64]struct{} }

type numberTask struct {
	high    *Event // the highest number seen
	granted *Event // the highest granted
}

func newAttemptNumbers(cfg *Config) Oracle {
	return newPerTask(cfg, "attempt-numbers", "Attempt numbers rise, and lease tokens are never given twice.", (&attemptNumbers{make(map[uint64]struct{})}).observe)
}

func (o *attemptNumbers) observe(t *numberTask, e *Event, j *Judge) {
	number := e.Attempt
	switch {
	case e.Kind == GrantReply:
		o.granted(t, e, j)
	case e.Kind == ReadReply && e.View != nil:
		number = e.View.Attempt
	default:
		return
	}
	j.Check()
	if high := t.high; high != nil && number < attemptOf(high) && e.follows(high.Seq) {
		j.Violated(e.Task, fmt.Sprintf("is at attempt %d after attempt %d", number, attemptOf(high)), high, e)
	}
	if t.high == nil || number > attemptOf(t.high) {
		t.high = e
	}
}

func attemptOf(e *Event) uint32 {
	if e.View != nil {
		return e.View.Attempt
	}
	return e.Attempt
}

func (o *attemptNumbers) granted(t *numberTask, e *Event, j *Judge) {
	if e.Attempt == 0 || e.Token == 0 {
		j.Violated(e.Task, "has an attempt without a name", e)
	}
	last := t.granted
	if last != nil && last.Attempt == e.Attempt {
		if last.Token != e.Token {
			j.Violated(e.Task, fmt.Sprintf("has two leases for attempt %d", e.Attempt), last, e)
		}
		return // Granted again, because the answer may have been lost.
	}
	if _, known := o.tokens[e.Token]; known && (last == nil || e.Attempt > last.Attempt) {
		j.Violated(e.Task, fmt.Sprintf("has attempt %d under a lease token that was given before", e.Attempt), last, e)
	}
	o.tokens[e.Token] = struct{}{}
	if last == nil || e.Attempt > last.Attempt {
		t.granted = e
	}
}
