package core_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
)

// TestOnlyWhatIsDurableIsTold runs two schedulers through the same life. One is told with a delay
// which of its steps are durable, and must at any moment describe its tasks as the other one did
// after the last step that is.
func TestOnlyWhatIsDurableIsTold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := &twins{t: rt, now: epoch, plain: core.NewScheduler(twinConfig(false)), told: core.NewScheduler(twinConfig(true))}
		w.session = w.both(&core.Register{WorkerID: "w", RegistrationID: "r", Slots: 2, Functions: []string{"f"}})[0].Body.(core.RegisterReply).Session
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			w.act()
			w.compare()
		}
	})
}

func twinConfig(commits bool) core.Config {
	return core.Config{Incarnation: 1, Durable: true, Commits: commits, MaxRetained: 3}
}

type twins struct {
	t           *rapid.T
	plain, told *core.Scheduler
	now         core.Time
	calls       core.CallID
	session     core.Token
	poll        uint64
	received    uint64
	held        []core.Grant
	ids         int
	// What plain described after each step, from the one numbered committed.
	pictures  []string
	committed uint64
}

func (w *twins) int(name string, n int) int { return rapid.IntRange(0, n-1).Draw(w.t, name) }

func (w *twins) call() core.CallID {
	w.calls++
	return w.calls
}

// both has the schedulers make a step, which must come to the same.
func (w *twins) both(e core.Event) []core.Reply {
	var a, b core.Effects
	w.plain.Step(w.now, &a, e)
	w.told.Step(w.now, &b, e)
	for _, s := range []*core.Scheduler{w.plain, w.told} {
		if err := s.Check(); err != nil {
			w.t.Fatal(err)
		}
	}
	if len(a.Replies) != len(b.Replies) {
		w.t.Fatalf("%T: %d replies where tasks are told at once, %d where not", e, len(a.Replies), len(b.Replies))
	}
	w.pictures = append(w.pictures, picture(w.plain, w.now))
	for _, r := range b.Replies {
		if p, ok := r.Body.(core.PollReply); ok {
			w.received = w.poll
			w.held = append(w.held, p.Grants...)
		}
	}
	return b.Replies
}

func (w *twins) act() {
	w.now = w.now.Add(time.Duration(w.int("wait", 3)) * time.Second)
	switch act := w.int("act", 7); act {
	case 0, 1:
		var needs []string
		for id := max(1, w.ids-2); id <= w.ids; id++ {
			if w.int("needs", 3) == 0 {
				needs = append(needs, fmt.Sprintf("t%d", id))
			}
		}
		w.ids++
		w.both(&core.Submit{Call: w.call(), Job: "j", Tasks: []core.NewTask{{
			ID: fmt.Sprintf("t%d", w.ids), Shape: &core.Shape{Function: "f", MaxRetries: 1, MaxWorkerLosses: 1}, NeedsTasks: needs,
		}}})
	case 2:
		w.ask(nil)
	case 3, 6:
		if len(w.held) == 0 {
			return
		}
		k := w.int("held", len(w.held))
		g := w.held[k]
		w.held = append(w.held[:k], w.held[k+1:]...)
		outcomes := []core.Outcome{core.Succeeded, core.FailedOutcome, core.Returned}
		items := []core.ReportItem{{
			Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: outcomes[w.int("outcome", len(outcomes))], Ran: time.Second,
		}}
		if act == 3 {
			w.both(&core.Report{Call: w.call(), Session: w.session, Items: items})
		} else {
			w.ask(items)
		}
	case 4:
		w.both(&core.Cancel{
			Call: w.call(), IDs: []string{fmt.Sprintf("t%d", w.int("task", w.ids+1))}, WithDependants: w.int("all", 2) == 0,
		})
	case 5:
		n := w.int("durable", len(w.pictures))
		w.pictures = w.pictures[n:]
		w.committed += uint64(n)
		var out core.Effects
		if !w.told.Idle(w.now, &out, &core.Committed{Step: w.committed + 1}) || len(out.Records) > 0 {
			w.t.Fatalf("a commit left records: %v", out.Records)
		}
	}
}

// ask polls for work, and tells items with that.
func (w *twins) ask(items []core.ReportItem) {
	w.poll++
	w.both(&core.Poll{Call: w.call(), Session: w.session, Seq: w.poll, Received: w.received, Free: 2, Max: 2, Until: w.now, Items: items})
}

func (w *twins) compare() {
	if got, want := picture(w.told, w.now), w.pictures[0]; got != want {
		w.t.Fatalf("told after step %d is durable:\n%s\nit was then:\n%s", w.committed+1, got, want)
	}
}

// picture describes all that a scheduler tells of its tasks. That an attempt runs is not made
// durable, nor is it that a task was forgotten.
func picture(s *core.Scheduler, now core.Time) string {
	var out core.Effects
	s.Idle(now, &out, &core.List{Call: 1, Max: 1000})
	s.Idle(now, &out, &core.Watch{Call: 2, Job: "j", Max: 1000, Until: now})
	s.Idle(now, &out, &core.GetJob{Call: 3, Job: "j"})
	s.Idle(now, &out, &core.ListJobs{Call: 4, Max: 1})
	s.Idle(now, &out, &core.ListPending{Call: 5})
	text := ""
	for _, r := range out.Replies {
		if !r.Settled {
			return fmt.Sprintf("call %d is answered with what is not durable", r.Call)
		}
		switch b := r.Body.(type) {
		case core.ListReply:
			for _, v := range b.Tasks {
				if !v.Status.Terminal() {
					text += fmt.Sprintf("%s %v attempt %d, %d failures, %d deliveries, cancelled %v\n",
						v.ID, v.Status, v.Attempts, v.Failures, v.Deliveries, v.CancelRequested)
				}
			}
		case core.WatchReply:
			text += fmt.Sprintf("open %d, next %d", b.Open, b.Next)
		case core.JobReply:
			text += fmt.Sprintf("; of the job %d open, next %d", b.Open, b.Next)
		case core.PendingReply:
			text += fmt.Sprintf("; %d wait", b.Total)
			in := 0
			for _, g := range b.Groups {
				in += g.Count
			}
			if in != b.Total {
				text += fmt.Sprintf(", %d of them in groups", in)
			}
		case core.JobsReply:
			for _, v := range b.Jobs {
				text += fmt.Sprintf("; job %s with task %d: %d open, %d with workers, %d ended, %d failed", v.ID, v.Latest, v.Open, v.Leased, v.Ended, v.FailedTasks)
			}
		}
	}
	return text
}

// A submission that waits in vain for its task's end is not answered while its task is not durable.
func TestSubmissionIsNotAnsweredBeforeItIsDurable(t *testing.T) {
	t.Parallel()
	s := core.NewScheduler(twinConfig(true))
	var out core.Effects
	s.Step(epoch, &out, &core.Submit{
		Call: 1, Job: "j", Watcher: "c", Until: epoch.Add(time.Second),
		Tasks: []core.NewTask{{ID: "a", Shape: &core.Shape{Function: "f"}}},
	})
	late := epoch.Add(10 * time.Second)
	s.Idle(late, &out, nil)
	if len(out.Replies) > 0 {
		t.Fatalf("answered with %+v before the task is durable", out.Replies)
	}
	s.Idle(late, &out, &core.Committed{Step: out.Step})
	late = late.Add(10 * time.Second)
	s.Idle(late, &out, nil)
	if len(out.Replies) != 1 {
		t.Fatalf("%d replies once the task is durable, want 1", len(out.Replies))
	}
	r := out.Replies[0]
	if b, ok := r.Body.(core.SubmitReply); !ok || b.View.Status != core.Pending || !r.Settled {
		t.Errorf("answered with %+v, want a settled reply that tells of a pending task", r)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// A poll that told something is not answered as if that were durable before it is.
func TestPollIsNotAnsweredBeforeWhatItToldIsDurable(t *testing.T) {
	t.Parallel()
	var out core.Effects
	const told, asked, superseded = 3, 4, 5
	last := func(call core.CallID) core.Reply {
		t.Helper()
		if n := len(out.Replies); n == 0 || out.Replies[n-1].Call != call {
			t.Fatalf("the last reply is not to call %d: %+v", call, out.Replies)
		}
		return out.Replies[len(out.Replies)-1]
	}
	for _, durable := range []bool{false, true} {
		s := core.NewScheduler(twinConfig(true))
		s.Step(epoch, &out, &core.Submit{Call: 1, Job: "j", Tasks: []core.NewTask{{ID: "a", Shape: &core.Shape{Function: "f"}}}})
		s.Step(epoch, &out, &core.Register{Call: 2, WorkerID: "w", RegistrationID: "r", Slots: 2, Functions: []string{"f"}})
		session := last(2).Body.(core.RegisterReply).Session
		s.Step(epoch, &out, &core.Poll{Call: told, Session: session, Seq: 1, Free: 1, Max: 1, Until: epoch.Add(time.Second)})
		g := last(told).Body.(core.PollReply).Grants[0]
		poll := &core.Poll{
			Call: asked, Session: session, Seq: 2, Received: 1, Free: 1, Max: 1, Until: epoch.Add(time.Second),
			Items: []core.ReportItem{{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: core.Succeeded}},
		}
		if s.Idle(epoch, &out, poll) {
			t.Fatal("what a poll tells was judged without a step")
		}
		s.Step(epoch, &out, poll)
		if durable {
			s.Idle(epoch, &out, &core.Committed{Step: out.Step})
		}
		s.Idle(epoch.Add(2*time.Second), &out, nil)
		r := last(asked)
		if b, ok := r.Body.(core.PollReply); durable && (!ok || len(b.Verdicts) != 1 || b.Verdicts[0] != core.Accepted) {
			t.Errorf("answered %+v, want that the report is accepted", r)
		}
		if !durable && !errors.Is(r.Err, core.ErrSuperseded) {
			t.Errorf("answered %+v before the report was durable", r)
		}
		if !r.Settled {
			t.Errorf("the reply %+v is not settled, and there is no step that could settle it", r)
		}
		poll.Call, poll.Until = superseded, epoch.Add(2*time.Second)
		s.Step(epoch.Add(2*time.Second), &out, poll)
		if r := last(superseded); r.Settled && !durable {
			t.Errorf("answered %+v at once, though it tells of what is not durable", r)
		} else if b, ok := r.Body.(core.PollReply); !ok || len(b.Verdicts) != 1 || b.Verdicts[0] != core.Duplicate {
			t.Errorf("asked again, it is answered %+v, want that the report is a duplicate", r)
		}
	}
}
