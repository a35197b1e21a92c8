package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// enough is time for any step here, even on a busy machine, while a step whose cost is the square
// of its size takes longer by far.
const enough = 5 * time.Second

// A worker, or who says that it is one, lists as many tokens as the wire takes, none of which was
// ever given.
func TestUnknownTokensCostNoMoreThanTheirNumber(t *testing.T) {
	s := core.NewScheduler(core.Config{Incarnation: 1})
	var out core.Effects
	now := core.Time(time.Hour)
	step := func(e core.Event) core.Effects {
		out.Reset()
		s.Step(now, &out, e)
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		return out
	}
	session := step(&core.Register{Call: 1, WorkerID: "w", RegistrationID: "r", Slots: 1, Functions: []string{"f"}}).Replies[0].Body.(core.RegisterReply).Session
	tokens := func(from int) []core.Token {
		list := make([]core.Token, 65_536)
		for i := range list {
			list[i] = core.Token(1<<60 + from + i)
		}
		return list
	}
	began := time.Now()
	for seq := range uint64(3) {
		queued, running := tokens(0), tokens(65_536)
		if seq == 2 {
			slices.Reverse(queued)
			running = slices.Repeat(running[:1], len(running))
		}
		replies := step(&core.Heartbeat{
			Call: core.CallID(2 + seq), Session: session, Seq: seq + 1, Queued: queued, Running: running, Until: now.Add(time.Minute),
		}).Replies
		for _, r := range replies {
			stop := r.Body.(core.HeartbeatReply).Stop
			if slices.Sort(stop); len(slices.Compact(slices.Clone(stop))) != len(stop) {
				t.Errorf("heartbeat %d: a token is to be stopped twice", seq)
			}
			if len(stop) == 0 || len(stop) > 20_000 {
				t.Errorf("heartbeat %d: %d attempts are to be stopped at once", seq, len(stop))
			}
		}
		if seq == 0 && len(replies) == 0 {
			t.Error("the worker is not told to stop what nobody knows")
		}
	}
	if took := time.Since(began); took > enough {
		t.Errorf("three heartbeats took %v", took)
	}
}

// Who names a task many times waits for it once.
func TestNamingATaskManyTimesIsWaitingOnce(t *testing.T) {
	s := core.NewScheduler(core.Config{Incarnation: 1})
	var out core.Effects
	now := core.Time(time.Hour)
	s.Step(now, &out, &core.Submit{Call: 1, Job: "j", Tasks: []core.NewTask{{ID: "a", Shape: &core.Shape{Function: "f"}}, {ID: "b", Shape: &core.Shape{Function: "f"}}}})
	ids := append(slices.Repeat([]string{"a"}, 10_000), "b")
	began := time.Now()
	for call := range core.CallID(50) {
		s.Step(now, &out, &core.AwaitAny{Call: 10 + call, IDs: ids, Until: now.Add(time.Minute)})
	}
	out.Reset()
	s.Step(now, &out, &core.Cancel{Call: 2, IDs: []string{"a"}})
	answered := 0
	for _, r := range out.Replies {
		if body, ok := r.Body.(core.TasksReply); ok {
			answered++
			if len(body.Tasks) != 1 || body.Tasks[0].ID != "a" {
				t.Errorf("call %d is told of %d ends", r.Call, len(body.Tasks))
			}
		}
	}
	if answered != 50 {
		t.Errorf("%d of 50 calls are answered", answered)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > enough {
		t.Errorf("it took %v", took)
	}
}

// Lists of one thing many times, or of nothing that exists, cost what their length says.
func TestLongListsCostTheirLength(t *testing.T) {
	s := core.NewScheduler(core.Config{Incarnation: 1})
	var out core.Effects
	now := core.Time(time.Hour)
	s.Step(now, &out, &core.Register{Call: 1, WorkerID: "w", RegistrationID: "r", Slots: 1, Functions: []string{"f"}})
	session := out.Replies[0].Body.(core.RegisterReply).Session
	s.Step(now, &out, &core.Submit{Call: 2, Job: "j", Tasks: []core.NewTask{{ID: "a", Shape: &core.Shape{Function: "g"}}}})
	held := make([]core.Held, 65_536)
	items := make([]core.ReportItem, 65_536)
	for i := range held {
		held[i] = core.Held{Task: "a", Attempt: 1, Token: 7, Phase: core.HeldRunning}
		items[i] = core.ReportItem{Task: fmt.Sprint("x", i%3), Attempt: 1, Token: core.Token(i % 5), Outcome: core.Succeeded}
	}
	began := time.Now()
	s.Step(now, &out,
		&core.Cancel{Call: 3, IDs: slices.Repeat([]string{"a", "b"}, 25_000)},
		&core.Report{Call: 4, Session: session, Items: items},
		&core.Register{Call: 5, WorkerID: "v", RegistrationID: "s", Slots: 1, Functions: []string{"f"}, Held: held},
	)
	if took := time.Since(began); took > enough {
		t.Errorf("it took %v", took)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
}
