package check_test

import (
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// ofGang has a task be of a gang of so many.
func ofGang(size uint32) edit {
	return with(func(t *frayv1.TaskSpec) { t.Gang = &frayv1.GangSpec{GangId: "g", Size: size} })
}

// ganged has the tasks a and b submitted, which are a gang and may run on the workers w and x.
func ganged(then func(s *script, g edit)) func(*script) {
	return func(s *script) {
		g := ofGang(2)
		s.slots = 4
		s.register("w")
		s.register("x")
		s.submit("a", g)
		s.submit("b", g)
		then(s, g)
	}
}

// gangPlants are about gangs.
var gangPlants = []plant{
	{
		oracle: "gangs-whole", name: "one after the other", want: "is granted attempt 1 after task a of its gang was",
		good: ganged(func(s *script, g edit) {
			one, two := s.begin(), s.begin()
			s.granted(one, "w", "a", 1, g)
			s.granted(two, "x", "b", 1, g)
			s.view("a", pending, 1)
			s.view("b", pending, 1)
		}),
		bad: ganged(func(s *script, g edit) {
			s.grant("w", "a", 1, g)
			s.grant("x", "b", 1, g)
			s.view("a", pending, 1)
			s.view("b", pending, 1)
		}),
	},
	{
		oracle: "gangs-whole", name: "one alone", want: "has had 0 attempts, and task a of its gang was granted attempt 1",
		good: ganged(func(s *script, g edit) {
			s.view("b", pending, 0)
			one, two := s.begin(), s.begin()
			s.granted(one, "w", "a", 1, g)
			s.granted(two, "x", "b", 1, g)
			s.view("a", pending, 1)
			s.view("b", pending, 1)
		}),
		bad: ganged(func(s *script, g edit) {
			s.grant("w", "a", 1, g)
			s.view("b", pending, 0)
			s.view("a", pending, 1)
		}),
	},
	{
		oracle: "gangs-whole", name: "after one has failed", want: "is granted, and task a of its gang has ended without a value",
		good: ganged(func(s *script, g edit) {
			one, two := s.begin(), s.begin()
			s.granted(one, "w", "a", 1, g)
			s.granted(two, "x", "b", 1, g)
			s.tell("w", "a", 1, broke)
			s.view("a", failed, 1)
			s.tell("x", "b", 1, stopped)
			s.view("b", cancelled, 1)
		}),
		bad: ganged(func(s *script, g edit) {
			one, two := s.begin(), s.begin()
			s.granted(one, "w", "a", 1, g)
			s.granted(two, "x", "b", 1, g)
			s.tell("w", "a", 1, broke)
			s.view("a", failed, 1)
			s.tell("x", "b", 1, stopped)
			s.grant("x", "b", 2, g)
			s.view("b", pending, 2)
		}),
	},
}
