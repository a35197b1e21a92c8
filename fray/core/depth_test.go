package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// stepper drives a scheduler, and checks its state after each step.
type stepper struct {
	t    *testing.T
	s    *core.Scheduler
	now  core.Time
	call core.CallID
	out  core.Effects
}

func newStepper(t *testing.T, cfg core.Config) *stepper {
	t.Helper()
	return &stepper{t: t, s: core.NewScheduler(cfg), now: core.Time(time.Hour)}
}

func (s *stepper) step(events ...core.Event) *core.Effects {
	s.t.Helper()
	s.out.Reset()
	s.s.Step(s.now, &s.out, events...)
	if err := s.s.Check(); err != nil {
		s.t.Fatal(err)
	}
	return &s.out
}

func (s *stepper) id() core.CallID {
	s.call++
	return s.call
}

func (s *stepper) submit(function string, priority int32, n int) {
	s.t.Helper()
	e := &core.Submit{Call: s.id(), Job: "job"}
	for i := range n {
		e.Tasks = append(e.Tasks, core.NewTask{
			ID: fmt.Sprintf("%s-%d-%d-%d", function, priority, i, s.call), Shape: &core.Shape{Function: function, Priority: priority},
		})
	}
	s.step(e)
}

func (s *stepper) info(functions int) core.InfoReply {
	s.t.Helper()
	for _, r := range s.step(&core.Info{Call: s.id(), Functions: functions}).Replies {
		if info, ok := r.Body.(core.InfoReply); ok {
			return info
		}
	}
	s.t.Fatal("no reply")
	return core.InfoReply{}
}

func (s *stepper) register(worker string, slots int, functions ...string) core.Token {
	s.t.Helper()
	out := s.step(&core.Register{Call: s.id(), WorkerID: worker, RegistrationID: worker + "-1", Slots: slots, Functions: functions})
	return out.Replies[0].Body.(core.RegisterReply).Session
}

func TestDepthsOfFunctions(t *testing.T) {
	t.Parallel()
	s := newStepper(t, core.Config{Incarnation: 1, SessionTTL: time.Minute})
	if info := s.info(2); len(info.Functions) != 0 || info.OtherFunctions != 0 {
		t.Errorf("of an empty queue: %v, %d others", info.Functions, info.OtherFunctions)
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"a", 1}, {"b", 3}, {"c", 3}, {"d", 5}} {
		s.submit(f.name, 0, f.n)
	}
	s.submit("d", 7, 2) // Their class has another queue for these.
	want := func(n int, functions []core.FunctionDepth, others int) {
		t.Helper()
		info := s.info(n)
		if !slices.Equal(info.Functions, functions) || info.OtherFunctions != others {
			t.Errorf("of %d functions: %v, %d others; want %v, %d", n, info.Functions, info.OtherFunctions, functions, others)
		}
		total := info.OtherFunctions
		for _, f := range info.Functions {
			total += f.Ready
		}
		if total != info.Stats.Ready {
			t.Errorf("of %d functions: together %d tasks are ready, and there are %d", n, total, info.Stats.Ready)
		}
	}
	want(0, nil, 14)
	want(2, []core.FunctionDepth{{"d", 7}, {"b", 3}}, 4)
	want(3, []core.FunctionDepth{{"d", 7}, {"b", 3}, {"c", 3}}, 1)
	want(4, []core.FunctionDepth{{"d", 7}, {"b", 3}, {"c", 3}, {"a", 1}}, 0)
	want(9, []core.FunctionDepth{{"d", 7}, {"b", 3}, {"c", 3}, {"a", 1}}, 0)

	session := s.register("w", 10, "d", "a")
	out := s.step(&core.Poll{Call: s.id(), Session: session, Seq: 1, Max: 10, Until: s.now.Add(time.Minute)})
	if len(out.Replies) != 1 {
		t.Fatalf("%d replies to a poll", len(out.Replies))
	}
	want(2, []core.FunctionDepth{{"b", 3}, {"c", 3}}, 0)
	want(9, []core.FunctionDepth{{"b", 3}, {"c", 3}, {"a", 0}, {"d", 0}}, 0)
}

func TestExpiredSessionIsTold(t *testing.T) {
	t.Parallel()
	s := newStepper(t, core.Config{Incarnation: 1, SessionTTL: time.Minute, DeliveryTimeout: time.Hour})
	s.submit("f", 0, 3)
	gone := s.register("gone", 2, "f")
	left := s.register("left", 2, "f")
	s.step(&core.Poll{Call: s.id(), Session: gone, Seq: 1, Max: 2, Until: s.now.Add(time.Second)})
	if out := s.step(&core.Unregister{Call: s.id(), Session: left}); len(out.Expired) != 0 {
		t.Errorf("a worker that left is told of as expired: %v", out.Expired)
	}
	s.now = s.now.Add(59 * time.Second)
	if out := s.step(); len(out.Expired) != 0 {
		t.Errorf("expired before the TTL: %v", out.Expired)
	}
	s.now = s.now.Add(time.Second)
	if out, want := s.step(), []core.ExpiredNote{{Worker: "gone", Silent: time.Minute, Attempts: 2}}; !slices.Equal(out.Expired, want) {
		t.Errorf("expired are %v, want %v", out.Expired, want)
	}
	if out := s.step(); len(out.Expired) != 0 {
		t.Errorf("told again: %v", out.Expired)
	}
}

// What a scrape costs where each of so many functions has a task that waits.
func BenchmarkDepths(b *testing.B) {
	for _, n := range []int{100, 4000} {
		b.Run(fmt.Sprint("functions=", n), func(b *testing.B) {
			s := core.NewScheduler(core.Config{Incarnation: 1})
			var out core.Effects
			for i := range n {
				out.Reset()
				s.Step(core.Time(i), &out, &core.Submit{Call: core.CallID(i + 1), Job: "job", Tasks: []core.NewTask{
					{ID: fmt.Sprint(i), Shape: &core.Shape{Function: fmt.Sprint("f", i)}},
				}})
			}
			b.ReportAllocs()
			for i := n; b.Loop(); i++ {
				out.Reset()
				s.Step(core.Time(i), &out, &core.Info{Call: core.CallID(i + 1), Functions: 50})
			}
		})
	}
}
