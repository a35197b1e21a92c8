package check

import (
	"fmt"
)

// noStartAfterEnd holds a task that has ended to start no more.
//
// The view of an end names the task's last attempt: no worker is ever granted, or starts, a later
// one. And a task whose cancellation was answered with CANCELLED was waiting at the controller: no
// attempt of it was leased then, as far as leaseBook can tell, and none is granted to a poll that
// was sent later. (An attempt whose lease was over may start all the same, on a worker that has
// not heard of it; STOPPING promises nothing yet.) It is vacuous where no task has ended or was
// cancelled by the end of the run.
type noStartAfterEnd struct{ book *leaseBook }

type endedTask struct {
	cancelled *Event
	ended     *Event // a view of it
	started   *Event // the highest attempt granted or started
}

func newNoStartAfterEnd(cfg *Config, book *leaseBook) Oracle {
	return newPerTask(cfg, "no-start-after-end", "No attempt starts after its task was acknowledged as cancelled, or has ended.", (&noStartAfterEnd{book}).observe)
}

func (o *noStartAfterEnd) observe(t *endedTask, e *Event, j *Judge) {
	switch {
	case e.Kind == CancelReply && e.Answer == Cancelled && t.cancelled == nil:
		t.cancelled = e
		o.held(t, o.book.last[e.Task], j)
	case e.Kind == ReadReply && showsEnd(e) && t.ended == nil:
		t.ended = e
		o.compare(t, j)
	case e.Kind == GrantReply || e.Kind == ExecutionStart:
		if t.started == nil || e.Attempt > t.started.Attempt {
			t.started = e
			o.compare(t, j)
		}
		if e.Kind == GrantReply && t.cancelled != nil {
			o.held(t, o.book.last[e.Task], j)
		}
	}
}

// held checks that a lease was over when its task was cancelled.
func (o *noStartAfterEnd) held(t *endedTask, l *lease, j *Judge) {
	j.Check()
	switch {
	case l == nil:
	case l.grant.follows(t.cancelled.Seq):
		j.Violated(l.grant.Task, fmt.Sprintf("was granted as attempt %d after its cancellation was acknowledged", l.grant.Attempt), t.cancelled, l.grant)
	case !o.book.over(l, t.cancelled.Seq, t.cancelled.At):
		j.Violated(l.grant.Task, fmt.Sprintf("was acknowledged as cancelled while worker %s held attempt %d", l.grant.Worker, l.grant.Attempt),
			l.grant, t.cancelled)
	}
}

// compare checks that the last attempt that anybody saw is the last there was.
func (*noStartAfterEnd) compare(t *endedTask, j *Judge) {
	if t.ended == nil || t.started == nil {
		return
	}
	j.Check()
	if t.started.Attempt > t.ended.View.Attempt {
		j.Violated(t.ended.Task, fmt.Sprintf("ended with attempt %d, and attempt %d was given out", t.ended.View.Attempt, t.started.Attempt),
			t.ended, t.started)
	}
}
