package check_test

import (
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
)

// limited has a task have a limit, of a key.
func limited(key string, concurrent, starts uint32) edit {
	return with(func(t *frayv1.TaskSpec) {
		l := &frayv1.Limit{Name: "l", Key: key, MaxConcurrent: concurrent, MaxStarts: starts}
		if starts > 0 {
			l.PeriodMs = 10_000
		}
		t.Limits = []*frayv1.Limit{l}
	})
}

// bounded has tasks of a limit submitted, which may all run on a worker, and are still open in the end.
func bounded(concurrent, starts uint32, then func(s *script, l edit), tasks ...string) func(*script) {
	return func(s *script) {
		l := limited("", concurrent, starts)
		s.slots = 16
		s.register("w")
		for _, task := range tasks {
			s.submit(task, l)
		}
		then(s, l)
		for _, task := range tasks {
			s.view(task, pending, s.attempts[task])
		}
	}
}

// takes has the next attempts of tasks granted and begin.
func (s *script) takes(worker string, l edit, tasks ...string) {
	for _, task := range tasks {
		s.attempts[task]++
		s.grant(worker, task, s.attempts[task], l)
	}
}

var atBegin = check.Config{Wall: func() time.Time { return begin }}

// limitPlants are about limits that tasks have.
var limitPlants = []plant{
	{
		oracle: "limits-kept", name: "one too many at once", want: "makes 3 attempts at once of limit l, which allows 2",
		good: bounded(2, 0, func(s *script, l edit) {
			s.takes("w", l, "a", "b")
			s.tell("w", "a", 1, broke)
			s.takes("w", l, "c")
		}, "a", "b", "c"),
		bad: bounded(2, 0, func(s *script, l edit) { s.takes("w", l, "a", "b", "c") }, "a", "b", "c"),
	},
	{
		oracle: "limits-kept", name: "keys are apart", want: "makes 2 attempts at once of limit l/k, which allows 1",
		good: bounded(1, 0, func(s *script, l edit) {
			k := limited("k", 1, 0)
			s.submit("x", k)
			s.takes("w", l, "a")
			s.takes("w", k, "x")
			s.view("x", pending, 1)
		}, "a"),
		bad: bounded(1, 0, func(s *script, l edit) {
			k := limited("k", 1, 0)
			s.submit("x", k)
			s.submit("y", k)
			s.takes("w", l, "a")
			s.takes("w", k, "x", "y")
			s.view("x", pending, 1)
			s.view("y", pending, 1)
		}, "a"),
	},
	{
		oracle: "limits-kept", name: "kept over a restart", want: "makes 2 attempts at once of limit l, which allows 1",
		good: bounded(1, 0, func(s *script, l edit) {
			s.takes("w", l, "a")
			s.Add(check.Event{Kind: check.ControllerCrash})
			s.register("w", s.token("a1", 1))
			s.tell("w", "a", 1, broke)
			s.takes("w", l, "b")
		}, "a", "b"),
		bad: bounded(1, 0, func(s *script, l edit) {
			s.takes("w", l, "a")
			s.Add(check.Event{Kind: check.ControllerCrash})
			s.register("w", s.token("a1", 1))
			s.takes("w", l, "b")
		}, "a", "b"),
	},
	{
		oracle: "limits-kept", name: "one too many in a time", want: "is start 4 of limit l within 3s, in which there are 3 at most", cfg: atBegin,
		good: bounded(0, 3, func(s *script, l edit) {
			s.takes("w", l, "a", "b", "c")
			s.wait(3334 * time.Millisecond)
			s.takes("w", l, "d")
		}, "a", "b", "c", "d"),
		bad: bounded(0, 3, func(s *script, l edit) {
			s.takes("w", l, "a", "b", "c")
			s.wait(3 * time.Second)
			s.takes("w", l, "d")
		}, "a", "b", "c", "d"),
	},
	{
		oracle: "limits-kept", name: "a poll that waits long", want: "is start 2 of limit l within 9s, in which there are 1 at most", cfg: atBegin,
		good: bounded(0, 1, func(s *script, l edit) {
			c := s.begin() // Its grant may be of any time since then.
			s.wait(9 * time.Second)
			s.attempts["a"]++
			s.granted(c, "w", "a", 1, l)
			s.wait(time.Second)
			s.takes("w", l, "b")
		}, "a", "b"),
		bad: bounded(0, 1, func(s *script, l edit) {
			s.takes("w", l, "a")
			s.wait(9 * time.Second)
			s.beat("w")
			s.takes("w", l, "b")
		}, "a", "b"),
	},
}
