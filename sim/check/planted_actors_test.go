package check_test

import (
	"time"

	"github.com/frayrpc/fray/sim/check"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// life and calls are edits of what a task is.
var life = with(func(t *frayv1.TaskSpec) { t.Actor, t.MaxWorkerLosses = &frayv1.ActorSpec{}, new(uint32(9)) })

func callNumber(number uint64, change ...func(*frayv1.TaskSpec)) edit {
	return with(func(t *frayv1.TaskSpec) {
		t.RetryPolicy, t.Call = nil, &frayv1.ActorCall{ActorId: "x", CallerId: "c", Number: number}
		for _, f := range change {
			f(t)
		}
	})
}

func retryable(t *frayv1.TaskSpec) { t.MaxWorkerLosses = new(uint32(1)) }

// hand grants a call to an incarnation of actor x, and begin begins it.
func (s *script) hand(worker, call string, attempt, incarnation uint32, edits ...edit) {
	s.grant(worker, call, attempt, append(edits, s.of(incarnation))...)
}

func (s *script) of(incarnation uint32) edit {
	return func(e *check.Event) { e.Life = s.token("x"+string(rune('0'+incarnation)), 1) }
}

// counts to has a call, which was handed, be executed and told to have counted to a sum.
func (s *script) countsTo(worker, call string, attempt uint32, sum int64, edits ...edit) {
	value := func(e *check.Event) { e.Digest = check.DigestValue("raw", check.CountedValue(sum)) }
	s.start(worker, call, attempt, edits...)
	s.end(worker, call, attempt, "", value)
	s.report(worker, call, attempt, succeeded, check.Accepted, value)
	s.view(call, completed, attempt, value)
}

// fails has a call, which was handed, be executed and fail.
func (s *script) fails(worker, call string, attempt uint32, edits ...edit) {
	s.start(worker, call, attempt, edits...)
	s.end(worker, call, attempt, "", func(e *check.Event) { e.Outcome, e.Digest = broke, 0 })
	s.report(worker, call, attempt, broke, check.Accepted)
	s.view(call, failed, attempt, func(e *check.Event) { e.View.Failures, e.View.Reason = 1, application })
}

// lives has an actor x live on w that has calls a, b and c.
func lives(then func(s *script)) func(*script) {
	return func(s *script) {
		s.slots = 4
		s.register("w")
		s.submit("x", life)
		for i, call := range []string{"a", "b", "c"} {
			s.submit(call, callNumber(uint64(i)+1, retryable))
		}
		s.grant("w", "x", 1, life)
		s.ready(1)
		then(s)
		s.view("x", running, 1, func(e *check.Event) { e.View.Attempt = s.newest("x") })
		for _, call := range []string{"a", "b", "c"} {
			if s.newest(call) == 0 {
				s.view(call, pending, 0)
			}
		}
	}
}

// newest is the last attempt of a task that was granted, of those before the fourth.
func (s *script) newest(task string) uint32 {
	for n := uint32(3); n > 0; n-- {
		if s.tokens[task+string(rune('0'+n))] != 0 {
			return n
		}
	}
	return 0
}

// counting has functions called f count.
var counting = check.Config{Counters: []string{"f"}}

// moves has the actor's worker die, with what it had in hand, and the actor go on at another.
func (s *script) moves() {
	s.Add(check.Event{Kind: check.WorkerCrash, Worker: "w"})
	s.register("w")
	s.grant("w", "x", 2, life)
	s.ready(2)
}

// ready has w say that an incarnation of actor x takes calls.
func (s *script) ready(incarnation uint32) {
	s.report("w", "x", incarnation, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_READY, check.Accepted)
}

// named has an actor's life say its name.
var named = with(func(t *frayv1.TaskSpec) { t.Actor = &frayv1.ActorSpec{Name: "n"} })

var actorPlants = []plant{
	{
		oracle: "one-actor-a-name", name: "an older one", want: "is granted for actor p after actor q was created under its name, n",
		good: func(s *script) {
			s.register("w")
			s.submit("p", named)
			s.cancel("p", check.Cancelled)
			s.view("p", cancelled, 0)
			s.submit("q", named)
			s.grant("w", "q", 1, named)
			s.cancel("q", check.Stopping)
			s.report("w", "q", 1, stopped, check.Accepted)
			s.view("q", cancelled, 1)
			s.submit("r", named)
			s.grant("w", "r", 1, named)
			s.view("r", running, 1)
		},
		bad: func(s *script) {
			s.register("w")
			s.submit("p", named)
			s.submit("q", named)
			s.grant("w", "p", 1, named)
			s.view("p", running, 1)
			s.view("q", pending, 0)
		},
	},
	{
		oracle: "one-actor-a-name", name: "two at once", want: "when both had been created under one name, n",
		good: func(s *script) {
			s.register("w")
			p, q := s.offer("p", named), s.offer("q", named)
			s.answer(p, "p", check.Created)
			s.answer(q, "q", check.Created)
			s.grant("w", "p", 1, named)
			s.view("p", running, 1)
			s.view("q", pending, 0)
		},
		bad: func(s *script) {
			s.slots = 2
			s.register("w")
			p, q := s.offer("p", named), s.offer("q", named)
			s.answer(p, "p", check.Created)
			s.answer(q, "q", check.Created)
			s.grant("w", "p", 1, named)
			s.grant("w", "q", 1, named)
			s.view("p", running, 1)
			s.view("q", running, 1)
		},
	},
	{
		oracle: "calls-in-order", name: "granted in another order", want: "is call 1 of caller c to actor x, and granted after call 2",
		good: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.hand("w", "b", 1, 1, callNumber(2, retryable))
			s.view("a", running, 1)
			s.view("b", running, 1)
		}),
		bad: lives(func(s *script) {
			s.hand("w", "b", 1, 1, callNumber(2, retryable))
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.view("a", running, 1)
			s.view("b", running, 1)
		}),
	},
	{
		oracle: "calls-in-order", name: "begun in another order", want: "is call 1 of caller c to actor x, and begins after call 2",
		good: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.hand("w", "b", 1, 1, callNumber(2, retryable))
			s.countsTo("w", "a", 1, 1, callNumber(1, retryable))
			s.countsTo("w", "b", 1, 2, callNumber(2, retryable))
		}),
		bad: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.hand("w", "b", 1, 1, callNumber(2, retryable))
			s.countsTo("w", "b", 1, 1, callNumber(2, retryable))
			s.countsTo("w", "a", 1, 2, callNumber(1, retryable))
		}),
	},
	{
		oracle: "calls-in-order", name: "two at once", want: "begins as number 2 at once on an incarnation of actor x, which takes 1",
		good: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.hand("w", "b", 1, 1, callNumber(2, retryable))
			s.countsTo("w", "a", 1, 1, callNumber(1, retryable))
			s.start("w", "b", 1, callNumber(2, retryable))
			s.view("b", running, 1)
		}),
		bad: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.hand("w", "b", 1, 1, callNumber(2, retryable))
			s.start("w", "a", 1, callNumber(1, retryable))
			s.start("w", "b", 1, callNumber(2, retryable))
			s.view("a", running, 1)
			s.view("b", running, 1)
		}),
	},
	{
		oracle: "calls-in-order", name: "for no incarnation", want: "is granted to worker w for an incarnation of actor x that it was never granted",
		good: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.view("a", running, 1)
		}),
		bad: lives(func(s *script) {
			s.hand("w", "a", 1, 2, callNumber(1, retryable))
			s.view("a", running, 1)
		}),
	},
	{
		oracle: "calls-in-order", name: "not constructed", want: "is granted for an incarnation of actor x that takes no calls yet, as far as worker w has said",
		good: func(s *script) { early(s, true) },
		bad:  func(s *script) { early(s, false) },
	},
	{
		oracle: "calls-at-most-once", name: "executed again", want: "is executed 2 times, and may be 1",
		good: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.start("w", "a", 1, callNumber(1, retryable))
			s.moves()
			s.hand("w", "a", 2, 2, callNumber(1, retryable))
			s.countsTo("w", "a", 2, 1, callNumber(1, retryable))
		}),
		bad: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1))
			s.start("w", "a", 1, callNumber(1))
			s.moves()
			s.hand("w", "a", 2, 2, callNumber(1))
			s.countsTo("w", "a", 2, 1, callNumber(1))
		}),
	},
	{
		oracle: "actor-state-kept", name: "begins anew", want: "counted actor x to 1, as another call did", cfg: counting,
		good: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.countsTo("w", "a", 1, 1, callNumber(1, retryable))
			s.moves()
			s.hand("w", "b", 1, 2, callNumber(2, retryable))
			s.countsTo("w", "b", 1, 2, callNumber(2, retryable))
		}),
		bad: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.countsTo("w", "a", 1, 1, callNumber(1, retryable))
			s.moves()
			s.hand("w", "b", 1, 2, callNumber(2, retryable))
			s.countsTo("w", "b", 1, 1, callNumber(2, retryable))
		}),
	},
	{
		oracle: "actor-state-kept", name: "keeps what came to nothing", want: "counted actor x to 3, and nothing can have counted it so far", cfg: counting,
		good: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.countsTo("w", "a", 1, 1, callNumber(1, retryable))
			s.hand("w", "b", 1, 1, callNumber(2, retryable))
			s.start("w", "b", 1, callNumber(2, retryable))
			s.moves()
			s.hand("w", "b", 2, 2, callNumber(2, retryable))
			s.countsTo("w", "b", 2, 2, callNumber(2, retryable))
		}),
		bad: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.countsTo("w", "a", 1, 1, callNumber(1, retryable))
			s.hand("w", "b", 1, 1, callNumber(2, retryable))
			s.start("w", "b", 1, callNumber(2, retryable))
			s.moves()
			s.hand("w", "b", 2, 2, callNumber(2, retryable))
			s.countsTo("w", "b", 2, 3, callNumber(2, retryable))
		}),
	},
	{
		oracle: "actor-state-kept", name: "goes back", want: "counted actor x to 1, and is of after the call that counted it to 2", cfg: counting,
		good: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.countsTo("w", "a", 1, 1, callNumber(1, retryable))
			s.submit("d", callNumber(4, retryable))
			s.hand("w", "d", 1, 1, callNumber(4, retryable))
			s.countsTo("w", "d", 1, 2, callNumber(4, retryable))
		}),
		bad: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.countsTo("w", "a", 1, 2, callNumber(1, retryable))
			s.submit("d", callNumber(4, retryable))
			s.hand("w", "d", 1, 1, callNumber(4, retryable))
			s.countsTo("w", "d", 1, 1, callNumber(4, retryable))
		}),
	},
	{
		oracle: "actor-state-kept", name: "counts what failed", want: "counted actor x to 3, and nothing can have counted it so far", cfg: counting,
		good: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.countsTo("w", "a", 1, 1, callNumber(1, retryable))
			s.hand("w", "b", 1, 1, callNumber(2, retryable))
			s.fails("w", "b", 1, callNumber(2, retryable))
			s.hand("w", "c", 1, 1, callNumber(3, retryable))
			s.countsTo("w", "c", 1, 2, callNumber(3, retryable))
		}),
		bad: lives(func(s *script) {
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.countsTo("w", "a", 1, 1, callNumber(1, retryable))
			s.hand("w", "b", 1, 1, callNumber(2, retryable))
			s.fails("w", "b", 1, callNumber(2, retryable))
			s.hand("w", "c", 1, 1, callNumber(3, retryable))
			s.countsTo("w", "c", 1, 3, callNumber(3, retryable))
		}),
	},
	{
		oracle: "priority-kept", name: "begun beside an actor", want: "starts with priority 0 while task high waits at its worker with priority 5",
		good: func(s *script) { beside(s, "x") },
		bad:  func(s *script) { beside(s, "high") },
	},
	{
		oracle: "priority-kept", name: "beside a call", want: "waited with priority 5 while task low was granted with priority 0",
		good: lives(func(s *script) {
			s.submit("high", prior(5))
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.submit("low")
			s.grant("w", "high", 1, prior(5))
			s.grant("w", "low", 1)
			s.view("a", running, 1)
			shown(s, "high", running, 1, 5)
			s.view("low", running, 1)
		}),
		bad: lives(func(s *script) {
			s.submit("high", prior(5))
			s.hand("w", "a", 1, 1, callNumber(1, retryable))
			s.submit("low")
			s.grant("w", "low", 1)
			s.grant("w", "high", 1, prior(5))
			s.view("a", running, 1)
			shown(s, "high", running, 1, 5)
			s.view("low", running, 1)
		}),
	},
}

// early has a call granted for an incarnation, which takes calls by then or not.
func early(s *script, ready bool) {
	s.slots = 2
	s.register("w")
	s.submit("x", life)
	s.submit("a", callNumber(1))
	s.grant("w", "x", 1, life)
	if ready {
		s.ready(1)
	}
	s.hand("w", "a", 1, 1, callNumber(1))
	s.view("x", running, 1)
	s.view("a", running, 1)
}

// beside has a task start at a worker that has another of higher priority, which is a life or not.
func beside(s *script, other string) {
	as := prior(5)
	if other == "x" {
		as = with(func(t *frayv1.TaskSpec) { t.Actor, t.Priority = &frayv1.ActorSpec{}, 5 })
	}
	s.slots = 2
	s.register("w")
	s.submit(other, as)
	s.submit("low")
	s.grant("w", other, 1, as)
	s.wait(100 * time.Millisecond)
	s.grant("w", "low", 1)
	s.start("w", "low", 1)
	s.wait(100 * time.Millisecond)
	shown(s, other, running, 1, 5)
	s.view("low", running, 1)
}
