package core_test

import (
	"fmt"
	"testing"

	"github.com/frayrpc/fray/fray/core"
)

// Of two jobs that always have tasks ready, with weights 3 and 1, the one is granted three times as many as the
// other, however many a poll asks for, and so many more in no stretch than one turn.
func TestWeightsShareGrants(t *testing.T) {
	t.Parallel()
	s := core.NewScheduler(core.Config{MaxOpenTasks: 100_000})
	now, calls := epoch, core.CallID(0)
	step := func(events ...core.Event) []core.Reply {
		var out core.Effects
		s.Step(now, &out, events...)
		return out.Replies
	}
	call := func() core.CallID {
		calls++
		return calls
	}
	session := step(&core.Register{
		Call: call(), WorkerID: "w", RegistrationID: "r", Slots: 10_000,
		Functions: []string{"f", "g"},
	})[0].Body.(core.RegisterReply).Session
	const rounds = 1000
	for job, weight := range map[string]uint32{"heavy": 3, "light": 1} {
		e := &core.Submit{Call: call(), Job: job, Options: &core.JobOptions{Weight: weight}}
		for i := range rounds * 4 {
			// They are of two classes, and so in one group with turns that both jobs have.
			e.Tasks = append(e.Tasks, core.NewTask{
				ID:    fmt.Sprintf("%s-%d", job, i),
				Shape: &core.Shape{Function: []string{"f", "g"}[i%2]},
			})
		}
		step(e)
	}
	granted := make(map[string]int)
	for poll := uint64(1); granted["heavy"]+granted["light"] < rounds*4; poll++ {
		n := 1 + int(poll*7%5)
		for _, r := range step(&core.Poll{
			Call: call(), Session: session, Seq: poll, Received: poll - 1, Free: n,
			Max: n, Until: now.Add(1),
		}) {
			for _, g := range r.Body.(core.PollReply).Grants {
				granted[g.Job]++
				if d := granted["heavy"] - 3*granted["light"]; d < -3 || d > 3 {
					t.Fatalf("granted %v", granted)
				}
				step(&core.Report{Call: call(), Session: session, Items: []core.ReportItem{
					{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: core.Succeeded, Ran: 1},
				}})
			}
		}
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	if granted["heavy"] < 3*rounds-3 || granted["heavy"] > 3*rounds+3 {
		t.Errorf("granted %v, want 3 to 1", granted)
	}
}
