package check_test

import (
	"testing"
	"time"

	"github.com/frayrpc/fray/sim/check"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

const (
	pending   = frayv1.TaskStatus_TASK_STATUS_PENDING
	running   = frayv1.TaskStatus_TASK_STATUS_RUNNING
	completed = frayv1.TaskStatus_TASK_STATUS_COMPLETED
	failed    = frayv1.TaskStatus_TASK_STATUS_FAILED
	cancelled = frayv1.TaskStatus_TASK_STATUS_CANCELLED

	succeeded = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED
	broke     = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED
	returned  = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_RETURNED
	stopped   = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STOPPED

	application = frayv1.FailureReason_FAILURE_REASON_APPLICATION
	workerLost  = frayv1.FailureReason_FAILURE_REASON_WORKER_LOST
)

// script is a history made by hand. Its calls take no time, unless begin is used to make them
// earlier than they are answered.
type script struct {
	*check.Oracles
	*check.History

	now   time.Duration
	calls uint64
	// Lease tokens and sessions by what they are for, so that a history names attempts by task and
	// number only.
	tokens map[string]uint64
	last   uint64
	// The last attempt of each task that lost and its like have granted.
	attempts map[string]uint32
	slots    int // of workers
	// Runs of the schedule, and that it has ended.
	listed  []string
	planned bool
}

func newScript(cfg check.Config) *script {
	s := &script{Oracles: check.New(cfg), tokens: make(map[string]uint64), attempts: make(map[string]uint32), slots: 1}
	s.History = check.NewHistory(check.HistoryConfig{
		Clock: func() time.Duration { return s.now }, Observe: s.Observe,
	})
	return s
}

func (s *script) finish() []check.Violation { return s.Oracles.Finish(s.now) }

// Add tells of the incarnation, too, which the tokens of a script have above their 40 lower bits.
func (s *script) Add(events ...check.Event) {
	for i := range events {
		e := &events[i]
		if e.Incarnation = e.Token >> 40; e.Token == 0 {
			e.Incarnation = e.Session >> 40
		}
	}
	s.History.Add(events...)
}

func (s *script) wait(d time.Duration) { s.now += d }

// sent is a call that was made.
type sent struct {
	seq uint64
	at  time.Duration
	id  uint64
}

func (s *script) begin() sent {
	s.calls++
	return sent{s.Len(), s.now, s.calls}
}

func (c sent) reply(k check.EventKind) check.Event {
	return check.Event{Kind: k, Call: c.id, Invoked: c.seq, InvokedAt: c.at}
}

func (s *script) token(key string, incarnation uint64) uint64 {
	if s.tokens[key] == 0 {
		s.last++
		s.tokens[key] = incarnation<<40 | s.last
	}
	return s.tokens[key]
}

type edit func(*check.Event)

func digest(value string) edit {
	return func(e *check.Event) { e.Digest = check.DigestValue("json", []byte(value)) }
}

func spec(change func(*frayv1.TaskSpec)) *check.Spec {
	t := &frayv1.TaskSpec{TaskId: "t", Function: "f", RetryPolicy: &frayv1.RetryPolicy{MaxRetries: 1, BackoffBaseMs: 1000}}
	if change != nil {
		change(t)
	}
	return check.NewSpec(t)
}

func (s *script) add(e check.Event, edits []edit) {
	for _, f := range edits {
		f(&e)
	}
	s.Add(e)
}

// offer is a submission without an answer.
func (s *script) offer(task string, edits ...edit) sent {
	c := s.begin()
	s.add(check.Event{Kind: check.SubmitCall, Call: c.id, Task: task, Job: "j", Spec: spec(nil)}, edits)
	return c
}

func (s *script) answer(c sent, task string, v check.Answer) {
	e := c.reply(check.SubmitReply)
	e.Task, e.Job, e.Answer = task, "j", v
	s.Add(e)
}

func (s *script) submit(task string, edits ...edit) {
	s.answer(s.offer(task, edits...), task, check.Created)
}

// register opens a session, with the lease tokens that it keeps.
func (s *script) register(worker string, kept ...uint64) {
	c := s.begin()
	s.Add(check.Event{
		Kind: check.RegisterCall, Call: c.id, Worker: worker, Host: worker,
		Capacity: &check.Capacity{
			Slots: s.slots, Resources: map[string]int64{"cpu": 1000}, Labels: map[string]string{"zone": "a"}, Functions: []string{"f"},
		},
	})
	e := c.reply(check.RegisterReply)
	delete(s.tokens, "session of "+worker)
	e.Worker, e.Session, e.TTL, e.Kept = worker, s.token("session of "+worker, 1)+c.id<<20, 15*time.Second, kept
	s.tokens["session of "+worker] = e.Session
	s.Add(e)
}

func (s *script) beat(worker string, edits ...edit) {
	e := s.begin().reply(check.HeartbeatReply)
	e.Worker, e.Session = worker, s.tokens["session of "+worker]
	s.add(e, edits)
}

// order is the answer to a heartbeat that says to stop an attempt.
func (s *script) order(worker, task string, attempt uint32) {
	c := s.begin()
	e := c.reply(check.HeartbeatReply)
	e.Worker, e.Session = worker, s.tokens["session of "+worker]
	o := s.attempt(c.reply(check.StopOrder), worker, task, attempt)
	o.Task, o.Attempt, o.Function, o.Session = "", 0, "", e.Session
	s.Add(e, o)
}

func (s *script) leave(worker string, grace time.Duration) {
	s.Add(check.Event{Kind: check.LeaveOrder, Worker: worker, TTL: grace})
}

// stop ends an execution whose context was done.
func (s *script) stop(worker, task string, attempt uint32, cause check.Cause, after time.Duration) {
	e := s.attempt(check.Event{Kind: check.ExecutionEnd, Outcome: broke}, worker, task, attempt)
	e.Cause, e.StoppedAfter = cause, after
	s.Add(e)
}

func (s *script) fence(worker string) {
	e := s.begin().reply(check.SessionStale)
	e.Worker, e.Session = worker, s.tokens["session of "+worker]
	s.Add(e)
}

func (s *script) grant(worker, task string, attempt uint32, edits ...edit) {
	s.granted(s.begin(), worker, task, attempt, edits...)
}

func (s *script) granted(c sent, worker, task string, attempt uint32, edits ...edit) {
	e := s.attempt(c.reply(check.GrantReply), worker, task, attempt)
	e.Session, e.Job, e.Spec = s.tokens["session of "+worker], "j", spec(nil)
	s.add(e, edits)
}

func (s *script) attempt(e check.Event, worker, task string, attempt uint32) check.Event {
	e.Worker, e.Task, e.Attempt, e.Function = worker, task, attempt, "f"
	e.Token = s.token(task+string(rune('0'+attempt)), 1)
	return e
}

// start and end enclose an execution; end has it return its value.
func (s *script) start(worker, task string, attempt uint32, edits ...edit) {
	s.add(s.attempt(check.Event{Kind: check.ExecutionStart}, worker, task, attempt), edits)
}

func (s *script) end(worker, task string, attempt uint32, value string, edits ...edit) {
	e := s.attempt(check.Event{Kind: check.ExecutionEnd, Outcome: succeeded}, worker, task, attempt)
	s.add(e, append([]edit{digest(value)}, edits...))
}

func (s *script) tell(worker, task string, attempt uint32, outcome frayv1.AttemptOutcome, edits ...edit) sent {
	c := s.begin()
	s.add(s.attempt(check.Event{Kind: check.ReportCall, Call: c.id, Outcome: outcome}, worker, task, attempt), edits)
	return c
}

func (s *script) judge(c sent, worker, task string, attempt uint32, outcome frayv1.AttemptOutcome, v check.Answer, edits ...edit) {
	e := s.attempt(c.reply(check.ReportReply), worker, task, attempt)
	e.Outcome, e.Answer = outcome, v
	s.add(e, edits)
}

func (s *script) report(worker, task string, attempt uint32, outcome frayv1.AttemptOutcome, v check.Answer, edits ...edit) {
	s.judge(s.tell(worker, task, attempt, outcome, edits...), worker, task, attempt, outcome, v, edits...)
}

// run is an attempt from its grant to the acceptance of its value.
func (s *script) run(worker, task string, attempt uint32, value string) {
	s.grant(worker, task, attempt)
	s.start(worker, task, attempt)
	s.end(worker, task, attempt, value)
	s.report(worker, task, attempt, succeeded, check.Accepted, digest(value))
}

// lost has the next attempts of tasks run beside each other on a new worker, which crashes.
func (s *script) lost(tasks ...string) {
	s.slots = 2
	s.register("w")
	s.lostToo(tasks...)
}

// lostToo is lost on the worker that is there.
func (s *script) lostToo(tasks ...string) {
	s.begins(tasks...)
	s.Add(check.Event{Kind: check.WorkerCrash, Worker: "w"})
}

// begins has the next attempts of tasks run on w.
func (s *script) begins(tasks ...string) {
	losses := with(func(t *frayv1.TaskSpec) { t.MaxWorkerLosses = new(uint32(1)) })
	for _, task := range tasks {
		if s.attempts[task]++; s.attempts[task] == 1 {
			s.offer(task, losses)
		}
		s.grant("w", task, s.attempts[task], losses)
		s.start("w", task, s.attempts[task])
	}
}

func (s *script) view(task string, status frayv1.TaskStatus, attempt uint32, edits ...edit) {
	s.viewed(s.begin(), task, status, attempt, edits...)
}

func (s *script) viewed(c sent, task string, status frayv1.TaskStatus, attempt uint32, edits ...edit) {
	e := c.reply(check.ReadReply)
	e.Task, e.Job, e.Function, e.Answer, e.View = task, "j", "f", check.Found, &check.View{Status: status, Attempt: attempt}
	s.add(e, edits)
}

func (s *script) told(task, value string) {
	s.add(check.Event{Kind: check.FutureEnd, Task: task}, []edit{digest(value)})
}

func (s *script) unknown(task string) {
	e := s.begin().reply(check.ReadReply)
	e.Task, e.Answer = task, check.NotFound
	s.Add(e)
}

func (s *script) cancel(task string, v check.Answer) {
	c := s.begin()
	s.Add(check.Event{Kind: check.CancelCall, Call: c.id, Task: task})
	e := c.reply(check.CancelReply)
	e.Task, e.Answer = task, v
	s.Add(e)
}

func (s *script) counts(n map[string]uint64) {
	e := s.begin().reply(check.ClusterInfo)
	e.Counts = n
	s.Add(e)
}

func charged(reason frayv1.FailureReason, failures, losses uint32) edit {
	return func(e *check.Event) { e.View.Reason, e.View.Failures, e.View.Losses = reason, failures, losses }
}

func of(job string) edit { return func(e *check.Event) { e.Job = job } }

func with(change func(*frayv1.TaskSpec)) edit { return func(e *check.Event) { e.Spec = spec(change) } }

func function(name string) edit { return func(e *check.Event) { e.Function = name } }

func needs(cpu int64) edit {
	return with(func(t *frayv1.TaskSpec) { t.Resources = map[string]int64{"cpu": cpu} })
}

func checks(t *testing.T, o *check.Oracles, name string) uint64 {
	t.Helper()
	for _, c := range o.Counts() {
		if c.Oracle == name {
			return c.Checks
		}
	}
	t.Fatalf("no oracle is named %q", name)
	return 0
}
