package check

import (
	"maps"
	"slices"
	"time"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/reason"
)

func (c *call) registerWorker(req *frayv1.RegisterWorkerRequest) func(any, error) {
	c.mu.Lock()
	c.worker = req.GetWorkerId()
	c.mu.Unlock()
	c.add(Event{
		Kind: RegisterCall, Call: c.id, Worker: req.GetWorkerId(), Detail: req.GetRegistrationId(),
		Capacity: &Capacity{Slots: int(req.GetSlots()), Resources: maps.Clone(req.GetResources()), Labels: maps.Clone(req.GetLabels()), Functions: slices.Clone(req.GetFunctions())},
	})
	return func(res any, err error) {
		m, ok := res.(*frayv1.RegisterWorkerResponse)
		if err != nil || !ok {
			return
		}
		e := c.reply(RegisterReply)
		e.Session, e.Incarnation = m.GetSessionToken(), m.GetControllerIncarnation()
		e.TTL, e.Kept = millis(m.GetSessionTtlMs()), slices.Clone(m.GetKeptLeaseTokens())
		c.add(e)
	}
}

func (c *call) unregisterWorker(req *frayv1.UnregisterWorkerRequest) func(any, error) {
	c.add(Event{Kind: UnregisterCall, Call: c.id, Session: req.GetSessionToken()})
	return func(_ any, err error) {
		if err == nil {
			e := c.reply(UnregisterReply)
			e.Session = req.GetSessionToken()
			c.add(e)
		}
	}
}

func (c *call) leaseTasks(req *frayv1.LeaseTasksRequest) func(any, error) {
	judged := c.reports(req.GetSessionToken(), req.GetReports(), true)
	c.mu.Lock()
	if p := (poll{req.GetSessionToken(), req.GetPollSeq(), c.begun}); p.session != c.poll.session || p.seq != c.poll.seq {
		c.poll = p
	}
	// The controller may have granted what it says now to an earlier send. This one may wait as long as
	// that was before it, too.
	c.waits += c.begun.at - c.poll.first.at
	c.begun = c.poll.first
	c.mu.Unlock()
	return func(res any, err error) {
		m, ok := res.(*frayv1.LeaseTasksResponse)
		events := judged(m.GetVerdicts(), err)
		if err != nil || !ok {
			c.add(events...)
			c.stale(req.GetSessionToken(), err)
			return
		}
		for _, t := range m.GetTasks() {
			spec := NewSpec(t.GetSpec())
			e := c.reply(GrantReply)
			e.Session, e.Job, e.Function, e.Spec = req.GetSessionToken(), t.GetJobId(), spec.Function, spec
			e.Life = t.GetLifeLeaseToken()
			c.name(&e, t.GetAttempt())
			c.hold(t.GetAttempt(), req.GetSessionToken(), spec)
			events = append(events, e)
		}
		c.add(events...)
	}
}

// name says which attempt an event is about.
func (*Recorder) name(e *Event, a *frayv1.Attempt) {
	e.Task, e.Attempt, e.Token = a.GetTaskId(), a.GetNumber(), a.GetLeaseToken()
}

func (r *Recorder) hold(a *frayv1.Attempt, session uint64, spec *Spec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[attemptID{a.GetTaskId(), a.GetNumber()}] = grant{a.GetLeaseToken(), session, spec}
}

// release forgets an attempt whose end was judged.
func (r *Recorder) release(a *frayv1.Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := attemptID{a.GetTaskId(), a.GetNumber()}
	if r.held[id].token == a.GetLeaseToken() {
		delete(r.held, id)
	}
}

func (c *call) reportTasks(req *frayv1.ReportTasksRequest) func(any, error) {
	judged := c.reports(req.GetSessionToken(), req.GetReports(), false)
	return func(res any, err error) {
		m, _ := res.(*frayv1.ReportTasksResponse) // Without one there are no verdicts.
		c.add(judged(m.GetVerdicts(), err)...)
		c.stale(req.GetSessionToken(), err)
	}
}

// reports notes that a call, which is a poll or that of reports alone, tells what became of attempts,
// and returns what makes the events of its answer.
func (c *call) reports(session uint64, reports []*frayv1.TaskReport, poll bool) func([]frayv1.ReportVerdict, error) []Event {
	events := make([]Event, 0, len(reports))
	for _, t := range reports {
		e := Event{Kind: ReportCall, Call: c.id, Session: session, Carried: poll}
		c.describe(&e, t)
		events = append(events, e)
	}
	c.add(events...)
	of := c.reply(ReportReply)
	return func(verdicts []frayv1.ReportVerdict, err error) []Event {
		answered := err == nil && len(verdicts) == len(reports)
		events := make([]Event, 0, len(reports))
		for i, t := range reports {
			e := of
			e.Session, e.Answer, e.Carried = session, Unanswered, poll
			c.describe(&e, t)
			if answered {
				e.Answer = reportVerdict(verdicts[i])
				if endsAttempt(t.GetOutcome()) {
					c.release(t.GetAttempt())
				}
			}
			if err != nil {
				e.Code = connect.CodeOf(err)
			}
			events = append(events, e)
		}
		return events
	}
}

func (r *Recorder) describe(e *Event, t *frayv1.TaskReport) {
	r.name(e, t.GetAttempt())
	e.Outcome = t.GetOutcome()
	switch e.Outcome {
	case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:
		if most := r.MaxPayload; most > 0 && len(t.GetValue().GetData()) > most {
			e.Outcome = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_UNDECODABLE // With an error that the controller words.
			break
		}
		e.Digest = DigestValue(t.GetValue().GetEncoding(), t.GetValue().GetData())
	case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_UNDECODABLE:
		if most := r.MaxPayload; most == 0 || len(t.GetError().GetDetails().GetData()) <= most { // Else the controller words it.
			e.Digest = digestError(t.GetError())
		}
		e.RetryAfter = millis(t.GetError().GetRetryAfterMs())
	default:
	}
	if e.Ran = time.Duration(t.GetRunDurationUs()) * time.Microsecond; e.Ran > 0 {
		e.Detail = "ran " + e.Ran.String()
	}
}

func reportVerdict(v frayv1.ReportVerdict) Answer {
	switch v {
	case frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED:
		return Accepted
	case frayv1.ReportVerdict_REPORT_VERDICT_DUPLICATE:
		return Duplicate
	case frayv1.ReportVerdict_REPORT_VERDICT_STALE:
		return Stale
	default:
		return Unanswered
	}
}

func (c *call) heartbeat(req *frayv1.HeartbeatRequest) func(any, error) {
	holds := c.holds(req.GetSessionToken())
	c.add(Event{Kind: HeartbeatCall, Call: c.id, Session: req.GetSessionToken(), Holds: holds, Listed: c.listed(req)})
	return func(res any, err error) {
		m, ok := res.(*frayv1.HeartbeatResponse)
		if err != nil || !ok {
			// One that the worker itself gives up is followed by another.
			if !c.stale(req.GetSessionToken(), err) && connect.CodeOf(err) != connect.CodeCanceled {
				e := c.reply(HeartbeatLost)
				e.Session, e.Holds, e.Code = req.GetSessionToken(), holds, connect.CodeOf(err)
				c.add(e)
			}
			return
		}
		e := c.reply(HeartbeatReply)
		e.Session, e.Holds, e.Draining = req.GetSessionToken(), holds, req.GetDraining()
		events := []Event{e}
		for _, token := range m.GetStopLeaseTokens() {
			e := c.reply(StopOrder)
			e.Session, e.Token, e.Holds = req.GetSessionToken(), token, c.tasksOf(token)
			events = append(events, e)
		}
		if m.GetDrain() {
			events = append(events, Event{Kind: LeaveOrder, TTL: millis(m.GetDrainGraceMs())})
		}
		c.add(events...)
	}
}

// stale notes that the controller has ended a session, if that is what it said, and says whether it
// is.
func (c *call) stale(session uint64, err error) bool {
	if err == nil || reason.Of(err).GetReason() != reasonSessionStale {
		return false
	}
	e := c.reply(SessionStale)
	e.Session, e.Holds = session, c.holds(session)
	c.add(e)
	return true
}
