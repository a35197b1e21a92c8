package check_test

import (
	"time"

	"github.com/frayrpc/fray/sim/check"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func prior(priority int32) edit { return with(func(t *frayv1.TaskSpec) { t.Priority = priority }) }

func zone(z string) edit {
	return with(func(t *frayv1.TaskSpec) { t.RequiredLabels = map[string]string{"zone": z} })
}

func input(text string) edit {
	return with(func(t *frayv1.TaskSpec) { t.Payload = &frayv1.Payload{Encoding: "json", Data: []byte(text)} })
}

// shown has a client shown a task with a priority.
func shown(s *script, task string, status frayv1.TaskStatus, attempt uint32, priority int32) {
	s.view(task, status, attempt, func(e *check.Event) { e.View.Priority = priority })
}

// granted has task a submitted in one way and granted in another.
func granted(submitted, as edit) func(*script) {
	return func(s *script) {
		s.register("w")
		s.submit("a", submitted)
		s.grant("w", "a", 1, as)
		s.view("a", running, 1)
	}
}

// ranked has tasks of one job granted, by their priorities, in an order.
func ranked(s *script, order ...int32) {
	names := map[int32]string{1: "a", 2: "b", 3: "c"}
	s.register("w")
	for _, p := range []int32{1, 2, 3} {
		s.submit(names[p], prior(p))
	}
	for _, p := range order {
		s.grant("w", names[p], 1, prior(p))
		shown(s, names[p], running, 1, p)
	}
}

// listed has a client list the tasks of a job, of which some are shown and so many are on it in the
// end.
func listed(job string, ids ...string) func(*script) {
	return func(s *script) {
		s.submit("a")
		s.submit("b")
		c := s.begin()
		page := c.reply(check.ListPage)
		page.Job = job
		s.Add(page)
		for _, id := range ids {
			s.viewed(c, id, pending, 0, func(e *check.Event) { e.Job = "j" })
		}
		end := c.reply(check.ListEnd)
		end.Job, end.List = job, ids
		s.Add(end)
		s.view("a", pending, 0)
		s.view("b", pending, 0)
	}
}

// specPlants are about what was submitted.
var specPlants = []plant{
	{
		oracle: "lists-kept", name: "left out", want: "was acknowledged before the list was begun",
		good: listed("j", "a", "b"),
		bad:  listed("j", "a"),
	},
	{
		oracle: "lists-kept", name: "twice", want: "is twice on one list",
		good: listed("", "a", "b"),
		bad:  listed("", "a", "b", "a"),
	},
	{
		oracle: "lists-kept", name: "of another job", want: "is on a list of job other",
		good: listed("other"),
		bad:  listed("other", "a"),
	},
	{
		oracle: "spec-kept", name: "input", want: "a specification or an input that was not submitted",
		good: granted(input("1"), input("1")),
		bad:  granted(input("1"), input("2")),
	},
	{
		oracle: "spec-kept", name: "resources", want: "a specification or an input that was not submitted",
		good: granted(needs(5), needs(5)),
		bad:  granted(needs(5), needs(6)),
	},
	{
		oracle: "spec-kept", name: "labels", want: "a specification or an input that was not submitted",
		good: granted(zone("a"), zone("a")),
		bad:  granted(zone("a"), with(nil)),
	},
	{
		oracle: "spec-kept", name: "shown", want: `shown as function "f" with priority 0`,
		good: func(s *script) { s.submit("a", prior(3)); shown(s, "a", pending, 0, 3) },
		bad:  func(s *script) { s.submit("a", prior(3)); shown(s, "a", pending, 0, 0) },
	},
	{
		oracle: "spec-kept", name: "executed", want: "with an input that was not submitted",
		good: func(s *script) { executed(s, "1") },
		bad:  func(s *script) { executed(s, "2") },
	},
	{
		oracle: "spec-kept", name: "label of another worker", want: `lacks what it asks for: label zone="b"`,
		good: granted(zone("a"), zone("a")),
		bad:  granted(zone("b"), zone("b")),
	},
	{
		oracle: "spec-kept", name: "resources of another worker", want: "lacks what it asks for: resource cpu=1001",
		good: granted(needs(1000), needs(1000)),
		bad:  granted(needs(1001), needs(1001)),
	},
	{
		oracle: "spec-kept", name: "function of another worker", want: `lacks what it asks for: function "g"`,
		good: granted(with(nil), with(nil)),
		bad:  granted(with(func(t *frayv1.TaskSpec) { t.Function = "g" }), with(func(t *frayv1.TaskSpec) { t.Function = "g" })),
	},
	{
		oracle: "priority-kept", name: "granted", want: "waited with priority 2 while task a was granted with priority 1",
		good: func(s *script) { ranked(s, 3, 2, 1) },
		bad:  func(s *script) { ranked(s, 3, 1, 2) },
	},
	{
		oracle: "priority-kept", name: "polls that cross", want: "waited with priority 3 while task a was granted with priority 1",
		good: func(s *script) {
			s.register("w")
			s.submit("a", prior(1))
			one, two := s.begin(), s.begin()
			s.submit("c", prior(3)) // Not known to wait when the first of them was sent.
			s.granted(one, "w", "a", 1, prior(1))
			s.granted(two, "w", "c", 1, prior(3))
			shown(s, "a", running, 1, 1)
			shown(s, "c", running, 1, 3)
			s.submit("b", prior(1))
			s.grant("w", "b", 1, prior(1))
			s.submit("d", prior(3))
			s.grant("w", "d", 1, prior(3))
			shown(s, "b", running, 1, 1)
			shown(s, "d", running, 1, 3)
		},
		bad: func(s *script) { ranked(s, 1, 3, 2) },
	},
	{
		oracle: "priority-kept", name: "started", want: "starts with priority 2 while task c waits at its worker with priority 3",
		good: func(s *script) {
			ranked(s, 3, 2)
			s.wait(time.Second / 2)
			s.start("w", "c", 1)
			over(s, "c")
			s.start("w", "b", 1)
		},
		bad: func(s *script) {
			ranked(s, 3, 2)
			s.wait(time.Second / 2)
			s.start("w", "b", 1)
			over(s, "b")
			s.wait(2 * time.Millisecond)
			s.start("w", "c", 1)
		},
	},
	{
		oracle: "priority-kept", name: "started together", want: "starts with priority 2 while task c waits at its worker with priority 3",
		good: func(s *script) {
			ranked(s, 3, 2)
			s.wait(time.Second / 2)
			s.start("w", "b", 1)
			over(s, "b")
			s.wait(time.Millisecond)
			s.start("w", "c", 1)
		},
		bad: func(s *script) {
			ranked(s, 3, 2)
			s.wait(time.Second / 2)
			s.start("w", "b", 1)
			over(s, "b")
			s.wait(time.Millisecond + 1)
			s.start("w", "c", 1)
		},
	},
	{
		oracle: "priority-kept", name: "on its way back", want: "starts with priority 2 while task c waits at its worker with priority 3",
		good: func(s *script) {
			ranked(s, 3, 2)
			s.wait(time.Second)
			s.start("w", "b", 1)
			over(s, "b")
		},
		bad: func(s *script) {
			ranked(s, 3, 2)
			s.wait(time.Second - 1)
			s.start("w", "b", 1)
			over(s, "b")
		},
	},
	{
		oracle: "priority-kept", name: "ended without a start", want: "starts with priority 2 while task c waits at its worker with priority 3",
		good: func(s *script) {
			ranked(s, 3, 2)
			s.wait(time.Second / 2)
			s.holds("c")
			s.start("w", "b", 1)
			over(s, "b")
		},
		bad: func(s *script) {
			ranked(s, 3, 2)
			s.wait(time.Second / 2)
			s.holds("a")
			s.start("w", "b", 1)
			over(s, "b")
		},
	},
}

// holds has worker w say that a task has ended.
func (s *script) holds(finished string) {
	s.add(check.Event{Kind: check.HeartbeatCall, Worker: "w", Listed: &check.Listed{Finished: []string{finished}}}, nil)
}

// over has worker w be done with a task, and a client shown that another waits.
func over(s *script, task string) {
	shown(s, "a", pending, 0, 1)
	s.add(s.attempt(check.Event{Kind: check.ExecutionEnd, Outcome: broke}, "w", task, 1), nil)
}

func executed(s *script, with string) {
	s.register("w")
	s.submit("a", input("1"))
	s.grant("w", "a", 1, input("1"))
	s.start("w", "a", 1, digest(with))
	s.view("a", running, 1)
}
