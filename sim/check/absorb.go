package check

// absorbTask holds an end to be final.
//
// A task has ended once a client was shown a terminal state, or was told that its cancellation was
// done or too late, or a worker that its value was accepted. A call that is made after that must
// not show the task open, cancel or stop it, grant it, or accept the end of an attempt; that of a
// stopped attempt alone is still acknowledged. It is vacuous where nobody calls about a task after
// its end.
type absorbTask struct{ ended *Event }

func newTerminalAbsorbs(cfg *Config) Oracle {
	return newPerTask(cfg, "terminal-absorbs", "A task that has ended never does anything again.", (*absorbTask).observe)
}

func (t *absorbTask) observe(e *Event, j *Judge) {
	if t.ended != nil && e.follows(t.ended.Seq) {
		bad := ""
		switch {
		case e.Kind == ReadReply && e.View != nil && !e.View.Terminal():
			bad = "is open after its end"
		case e.Kind == CancelReply && (e.Answer == Cancelled || e.Answer == Stopping):
			bad = "is cancelled after its end"
		case e.Kind == GrantReply:
			bad = "is granted after its end"
		case e.Kind == ReportReply && e.Answer == Accepted && needsCurrent(e.Outcome):
			bad = "has a report accepted after its end"
		}
		if e.Kind.Reply() {
			j.Check()
		}
		if bad != "" {
			j.Violated(e.Task, bad, t.ended, e)
		}
	}
	if t.ended == nil && (showsEnd(e) || e.Kind == CancelReply && (e.Answer == Cancelled || e.Answer == AlreadyTerminal)) {
		t.ended = e
	}
}
