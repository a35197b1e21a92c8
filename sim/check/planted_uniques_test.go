package check_test

import (
	"testing"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
)

// keyed has a task have a key for a period.
func keyed(key string, period time.Duration) edit {
	return with(func(t *frayv1.TaskSpec) {
		t.Unique = &frayv1.UniqueSpec{Key: key, PeriodMs: period.Milliseconds()}
	})
}

// from has an event be seen on a host, in the job of its name.
func from(host string) edit { return func(e *check.Event) { e.Host, e.Job = host, host } }

// finds has a submission be answered with another task.
func (s *script) finds(task, there string, edits ...edit) {
	s.found(s.offer(task, edits...), task, there)
}

func (s *script) found(c sent, task, there string) {
	e := c.reply(check.SubmitReply)
	e.Task, e.Job, e.Answer, e.There = task, "j", check.Refused, there
	s.Add(e)
}

// makes has a task with a key be submitted, run at once and be shown to have completed.
func (s *script) makes(task string, k edit) {
	s.submit(task, k)
	s.completes(task, k)
}

func (s *script) completes(task string, k edit) {
	s.grant("w", task, 1, k)
	s.start("w", task, 1)
	s.end("w", task, 1, "1")
	s.report("w", task, 1, succeeded, check.Accepted, digest("1"))
	s.view(task, completed, 1, digest("1"), s.stamped(0, s.now))
}

// breaks has one be shown to have failed.
func (s *script) breaks(task string, k edit) {
	s.submit(task, k)
	s.wait(time.Second)
	s.view(task, failed, 0, s.stamped(0, s.now))
}

// under has tasks of a key be there, on a worker with room for them.
func under(key string, period time.Duration, then func(s *script, k edit)) func(*script) {
	return func(s *script) {
		s.slots = 16
		s.register("w")
		then(s, keyed(key, period))
	}
}

// uniquePlants are about keys that tasks have.
var uniquePlants = []plant{
	{
		oracle: "uniques-kept", name: "beside an open one", want: "is created while task a has its key, k",
		good: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.finds("b", "a", k)
			s.view("a", pending, 0)
			s.completes("a", k)
			s.submit("c", k)
			s.view("c", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.submit("b", k)
			s.view("a", pending, 0)
			s.view("b", pending, 0)
		}),
	},
	{
		oracle: "uniques-kept", name: "beside one that had ended by its answer",
		want: "is created while task a has its key, k", cfg: atBegin,
		good: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.wait(time.Second)
			s.submit("b", k)
			s.view("a", failed, 0, s.stamped(0, time.Second-10*time.Millisecond)) // The clocks may differ by as much.
			s.view("b", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.wait(time.Second)
			s.submit("b", k)
			s.wait(time.Second)
			s.view("a", failed, 0, s.stamped(0, s.now))
			s.view("b", pending, 0)
		}),
	},
	{
		oracle: "uniques-kept", name: "at once, whichever was first", want: "has the key k, and task a has it, too",
		good: under("k", 0, func(s *script, k edit) {
			a, b := s.offer("a", k), s.offer("b", k)
			s.answer(a, "a", check.Created)
			s.wait(time.Second)
			s.view("a", failed, 0)
			s.answer(b, "b", check.Created) // It may have waited for that.
			s.view("b", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			a, b := s.offer("a", k), s.offer("b", k)
			s.answer(a, "a", check.Created)
			s.answer(b, "b", check.Created)
			s.view("a", pending, 0)
			s.view("b", pending, 0)
		}),
	},
	{
		oracle: "uniques-kept", name: "without an answer", want: "has the key k, and task b has it, too",
		good: under("k", 0, func(s *script, k edit) {
			s.offer("a", k)
			s.submit("b", k)
			s.view("b", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.offer("a", k)
			s.submit("b", k)
			s.grant("w", "a", 1, k) // It was there, since nobody knows when.
			s.view("b", pending, 0)
			s.view("a", running, 1)
		}),
	},
	{
		oracle: "uniques-kept", name: "within the period",
		want: "is created while task a has its key, k", cfg: atBegin,
		good: under("k", 10*time.Second, func(s *script, k edit) {
			s.makes("a", k)
			s.wait(10 * time.Second)
			s.submit("b", k)
			s.view("b", pending, 0)
		}),
		bad: under("k", 10*time.Second, func(s *script, k edit) {
			s.makes("a", k)
			s.wait(9 * time.Second)
			s.submit("b", k)
			s.view("b", pending, 0)
		}),
	},
	{
		oracle: "uniques-kept", name: "keys are apart", want: "which has another key or owner: other, not k",
		good: under("k", 0, func(s *script, k edit) {
			s.submit("a", keyed("other", 0))
			s.submit("b", k)
			s.view("a", pending, 0)
			s.view("b", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.submit("a", keyed("other", 0))
			s.finds("b", "a", k)
			s.view("a", pending, 0)
		}),
	},
	{
		oracle: "uniques-kept", name: "owners are apart",
		want: "which has another key or owner: k of x, not k of y", cfg: check.Config{NamesByHost: true},
		good: under("k", 0, func(s *script, k edit) {
			s.answer(s.offer("a", k, from("x")), "a", check.Created)
			s.answer(s.offer("b", k, from("y")), "b", check.Created)
			s.view("a", pending, 0)
			s.view("b", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.answer(s.offer("a", k, from("x")), "a", check.Created)
			s.found(s.offer("b", k, from("y")), "b", "a")
			s.view("a", pending, 0)
		}),
	},
	{
		oracle: "uniques-kept", name: "told of one that has failed",
		want: "is refused for task a, which has the key k no longer",
		good: under("k", time.Hour, func(s *script, k edit) {
			s.breaks("a", k)
			s.submit("b", k)
			s.view("b", pending, 0)
		}),
		bad: under("k", time.Hour, func(s *script, k edit) {
			s.breaks("a", k)
			s.finds("b", "a", k)
		}),
	},
	{
		oracle: "uniques-kept", name: "told of one that had failed, as its end says later",
		want: "is refused for task a, which has the key k no longer", cfg: atBegin,
		good: under("k", time.Hour, func(s *script, k edit) {
			s.submit("a", k)
			s.wait(time.Second)
			s.finds("b", "a", k)
			s.view("a", failed, 0, s.stamped(0, s.now))
		}),
		bad: under("k", time.Hour, func(s *script, k edit) {
			s.submit("a", k)
			s.wait(2 * time.Second)
			c := s.offer("b", k)
			s.wait(time.Second)
			s.view("a", failed, 0, s.stamped(0, time.Second))
			s.found(c, "b", "a")
		}),
	},
	{
		oracle: "uniques-kept", name: "told of one that was cancelled",
		want: "is refused for task a, which has the key k no longer",
		good: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.cancel("a", check.Stopping)
			s.finds("b", "a", k)
			s.view("a", cancelled, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.cancel("a", check.Cancelled)
			s.finds("b", "a", k)
		}),
	},
	{
		oracle: "uniques-kept", name: "told of one past its period",
		want: "is refused for task a, which has the key k no longer", cfg: atBegin,
		good: under("k", 10*time.Second, func(s *script, k edit) {
			s.submit("a", k)
			s.wait(time.Minute)
			s.finds("b", "a", k) // It is open.
			s.completes("a", k)
		}),
		bad: under("k", 10*time.Second, func(s *script, k edit) {
			s.makes("a", k)
			s.wait(10*time.Second + time.Second)
			s.finds("b", "a", k)
		}),
	},
	{
		oracle: "uniques-kept", name: "told of another", want: "is refused for task b, and task a has the key, k",
		good: under("k", 0, func(s *script, k edit) {
			s.offer("b", k) // It may be there.
			s.finds("c", "b", k)
			s.view("b", failed, 0)
			s.submit("a", k)
			s.view("a", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.offer("b", k)
			s.submit("a", k)
			s.finds("c", "b", k)
			s.view("a", pending, 0)
		}),
	},
	{
		oracle: "uniques-kept", name: "told of one that nobody offered",
		want: "is refused for task a, which nobody has submitted with a key",
		good: under("k", 0, func(s *script, k edit) {
			s.offer("a", k)
			s.finds("b", "a", k)
			s.view("a", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) { s.finds("b", "a", k) }),
	},
	{
		oracle: "uniques-kept", name: "told of one that is unknown",
		want: "is unknown, and whoever submitted task b was told that it has the key, k",
		good: under("k", 0, func(s *script, k edit) {
			c := s.begin()
			s.offer("a", k)
			s.finds("b", "a", k)
			e := c.reply(check.ReadReply) // Asked before.
			e.Task, e.Answer = "a", check.NotFound
			s.Add(e)
			s.view("a", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.offer("a", k)
			s.finds("b", "a", k)
			s.unknown("a")
		}),
	},
	{
		oracle: "uniques-kept", name: "granted nevertheless",
		want: "is granted, and whoever submitted it was told that task a has its key, k",
		good: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.offer("b", k) // It may be on its way.
			s.finds("b", "a", k)
			s.cancel("a", check.Cancelled)
			s.grant("w", "b", 1, k)
			s.view("a", cancelled, 0)
			s.view("b", running, 1)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.finds("b", "a", k)
			s.cancel("a", check.Cancelled)
			s.grant("w", "b", 1, k)
			s.view("b", running, 1)
		}),
	},
	{
		oracle: "uniques-kept", name: "over a crash of one that keeps its records",
		want: "is created while task a has its key, k",
		good: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.Add(check.Event{Kind: check.ControllerCrash})
			s.finds("b", "a", k)
			s.view("a", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.Add(check.Event{Kind: check.ControllerCrash})
			s.submit("b", k)
			s.view("a", pending, 0)
			s.view("b", pending, 0)
		}),
	},
	{
		oracle: "uniques-kept", name: "on its way over a crash that loses everything",
		want: "is created while task a has its key, k", cfg: check.Config{AllowLossAfterRestart: true},
		good: under("k", 0, func(s *script, k edit) {
			s.offer("b", k)
			s.Add(check.Event{Kind: check.ControllerCrash})
			s.submit("a", k)
			s.view("a", pending, 0)
			s.answer(s.offer("b", k), "b", check.Existing) // It has been there since the crash, and may have failed then.
			s.view("b", failed, 0)
			s.view("a", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.Add(check.Event{Kind: check.ControllerCrash})
			s.submit("a", k)
			s.view("a", pending, 0)
			s.answer(s.offer("b", k), "b", check.Existing)
			s.view("b", failed, 0)
			s.view("a", pending, 0)
		}),
	},
	{
		oracle: "uniques-kept", name: "before a crash that loses everything",
		want: "is created while task a has its key, k", cfg: check.Config{AllowLossAfterRestart: true},
		good: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.view("a", pending, 0)
			s.Add(check.Event{Kind: check.ControllerCrash})
			s.submit("b", k)
			s.view("b", pending, 0)
		}),
		bad: under("k", 0, func(s *script, k edit) {
			s.submit("a", k)
			s.submit("b", k)
			s.view("a", pending, 0)
			s.Add(check.Event{Kind: check.ControllerCrash})
		}),
	},
}

// Where the clock may be set, where a machine sleeps, and where what has ended may be forgotten early, a period
// proves nothing.
func TestPeriodsThatProveNothing(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]check.Config{
		"set": {}, "sleeps": {Wall: atBegin.Wall, Sleeps: true}, "forgets": {Wall: atBegin.Wall, ForgetsEarly: true},
	} {
		s := newScript(cfg)
		under("k", 10*time.Second, func(s *script, k edit) {
			s.makes("a", k)
			if name != "forgets" {
				s.wait(time.Minute)
				s.finds("b", "a", k)
			}
			s.submit("c", k)
			s.view("c", pending, 0)
		})(s)
		if found := s.finish(); len(found) > 0 || checks(t, s.Oracles, "uniques-kept") == 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}
