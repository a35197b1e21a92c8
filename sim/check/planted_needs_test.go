package check_test

import (
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
)

func after(tasks ...string) edit {
	return with(func(t *frayv1.TaskSpec) { t.NeededTaskIds = tasks })
}

// blames has a client shown a task that failed for another.
func (s *script) blames(task, cause string) {
	s.view(task, failed, 0, func(e *check.Event) {
		e.View.Reason, e.View.Cause = frayv1.FailureReason_FAILURE_REASON_DEPENDENCY_FAILED, cause
	})
}

// chained has task c submitted after b, and that after a. The others of these three are still pending in the
// end.
func chained(then func(s *script), others ...string) func(*script) {
	return func(s *script) {
		s.register("w")
		s.submit("a")
		s.submit("b", after("a"))
		s.submit("c", after("b"))
		s.submit("x")
		then(s)
		for _, task := range append(others, "x") {
			s.view(task, pending, 0)
		}
	}
}

// begin is when histories begin that know the time.
var begin = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// late has a task granted that may not be before a time.
func late(at time.Duration) func(*script) {
	return func(s *script) {
		s.register("w")
		later := with(func(t *frayv1.TaskSpec) { t.NotBeforeUnixMs = begin.Add(at).UnixMilli() })
		s.submit("a", later)
		s.wait(time.Second)
		s.grant("w", "a", 1, later)
		s.view("a", running, 1)
	}
}

// needPlants are about tasks that others need, or that wait for their time.
var needPlants = []plant{
	{
		oracle: "not-before-kept", name: "granted too early", want: "is granted 1ms before its time",
		cfg: check.Config{Wall: func() time.Time { return begin }}, good: late(time.Second), bad: late(time.Second + time.Millisecond),
	},
	{
		oracle: "needs-kept", name: "granted too early", want: "is granted before task a, which it needs, has succeeded anywhere",
		good: chained(func(s *script) {
			s.grant("w", "a", 1)
			s.run("w", "a", 1, "1")
			s.grant("w", "b", 1, after("a"))
			s.view("b", running, 1)
			s.view("a", completed, 1)
		}, "c"),
		bad: chained(func(s *script) {
			s.grant("w", "a", 1)
			s.grant("w", "b", 1, after("a"))
			s.run("w", "a", 1, "1")
			s.view("b", running, 1)
			s.view("a", completed, 1)
		}, "c"),
	},
	{
		oracle: "needs-kept", name: "granted in spite of a failure", want: "is granted though task a, which it needs, has ended as FAILED",
		good: chained(func(s *script) {
			s.grant("w", "a", 1)
			s.run("w", "a", 1, "1")
			s.view("a", completed, 1)
			s.grant("w", "b", 1, after("a"))
			s.view("b", running, 1)
		}, "c"),
		bad: chained(func(s *script) {
			s.grant("w", "a", 1)
			s.tell("w", "a", 1, succeeded)
			s.view("a", failed, 1)
			s.grant("w", "b", 1, after("a"))
			s.view("b", running, 1)
		}, "c"),
	},
	{
		oracle: "needs-kept", name: "blames another", want: `failed for task "x", which it does not need`,
		good: chained(func(s *script) { s.blames("c", "a") }, "a", "b"),
		bad:  chained(func(s *script) { s.blames("c", "x") }, "a", "b"),
	},
	{
		oracle: "needs-kept", name: "blames what completed", want: "failed for task a, which completed",
		good: chained(func(s *script) {
			s.view("a", failed, 1)
			s.blames("c", "a")
		}, "b"),
		bad: chained(func(s *script) {
			s.blames("c", "a")
			s.view("a", completed, 1)
		}, "b"),
	},
	{
		oracle: "needs-kept", name: "blames what had completed", want: "failed for task a, which completed",
		good: chained(func(s *script) {
			s.view("a", failed, 1)
			s.blames("b", "a")
		}, "c"),
		bad: chained(func(s *script) {
			s.view("a", completed, 1)
			s.blames("b", "a")
		}, "c"),
	},
	{
		oracle: "needs-kept", name: "blames what failed for another", want: "failed for task b, which failed for another itself",
		good: chained(func(s *script) {
			s.blames("b", "a")
			s.blames("c", "a")
		}, "a"),
		bad: chained(func(s *script) {
			s.blames("b", "a")
			s.blames("c", "b")
		}, "a"),
	},
	{
		oracle: "needs-kept", name: "fails for what is cancelled along", want: "failed for task b, which was cancelled along with what it needs",
		good: chained(func(s *script) {
			s.cancel("b", check.Cancelled)
			s.view("b", cancelled, 0)
			s.blames("c", "b")
		}, "a"),
		bad: chained(func(s *script) {
			s.cancelAll("a", check.Cancelled)
			s.view("a", cancelled, 0)
			s.view("b", cancelled, 0)
			s.blames("c", "b")
		}),
	},
	{
		oracle: "needs-kept", name: "fails where it is cancelled", want: "failed for task a, which was cancelled with all that needs it",
		good: chained(func(s *script) {
			s.cancel("a", check.Cancelled)
			s.view("a", cancelled, 0)
			s.blames("b", "a")
			s.blames("c", "a")
		}),
		bad: chained(func(s *script) {
			s.cancelAll("a", check.Cancelled)
			s.view("a", cancelled, 0)
			s.view("b", cancelled, 0)
			s.blames("c", "a")
		}),
	},
}

// cancelAll has a task cancelled with all that needs it.
func (s *script) cancelAll(task string, v check.Answer) {
	c := s.begin()
	s.Add(check.Event{Kind: check.CancelCall, Call: c.id, Task: task, Dependants: true})
	e := c.reply(check.CancelReply)
	e.Task, e.Answer = task, v
	s.Add(e)
}
