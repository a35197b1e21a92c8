package check_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim/check"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Every oracle fails on a history that breaks its claim, and passes one that differs in nothing
// else.
func TestPlantedViolations(t *testing.T) {
	t.Parallel()
	for _, test := range plants() {
		t.Run(test.oracle+"/"+test.name, func(t *testing.T) {
			t.Parallel()
			good := newScript(test.cfg)
			test.good(good)
			if found := good.finish(); len(found) > 0 {
				t.Errorf("the good history: %v", found[0].String())
			}
			if checks(t, good.Oracles, test.oracle) == 0 {
				t.Error("nothing was checked in the good history")
			}
			bad := newScript(test.cfg)
			test.bad(bad)
			i := slices.IndexFunc(bad.finish(), func(v check.Violation) bool {
				return v.Oracle == test.oracle && strings.Contains(v.Text, test.want)
			})
			if i < 0 {
				t.Errorf("no violation with %q was found, but %v", test.want, bad.Violations())
			}
		})
	}
}

func TestEveryOracleHasAPlant(t *testing.T) {
	t.Parallel()
	for _, c := range check.New(check.Config{}).Counts() {
		if !slices.ContainsFunc(plants(), func(p plant) bool { return p.oracle == c.Oracle }) {
			t.Errorf("oracle %s is not shown to fail", c.Oracle)
		}
	}
}

func plants() []plant {
	return slices.Concat(taskPlants, attemptPlants, timeoutPlants, stopPlants, specPlants, needPlants, actorPlants, limitPlants, gangPlants, jobPlants, schedulePlants, uniquePlants, promptPlants, leaderPlants, clusterPlants)
}

// plant is a pair of histories.
type plant struct {
	oracle, name string
	cfg          check.Config
	good, bad    func(s *script)
	want         string // in the violation's text
}

// done has a task run and be seen completed.
func done(s *script) {
	s.register("w")
	s.submit("a")
	s.run("w", "a", 1, "1")
	s.view("a", completed, 1, digest("1"))
}

var taskPlants = []plant{
	{
		oracle: "value-told", name: "nothing", want: "no attempt of it returned",
		good: func(s *script) { done(s); s.told("a", "1"); s.told("a", "1") },
		bad:  func(s *script) { done(s); s.told("a", "") },
	},
	{
		oracle: "value-told", name: "of another task", want: "no attempt of it returned",
		good: func(s *script) {
			done(s)
			s.submit("b")
			s.run("w", "b", 1, "2")
			s.told("b", "2")
			s.view("b", completed, 1)
		},
		bad: func(s *script) {
			done(s)
			s.submit("b")
			s.run("w", "b", 1, "2")
			s.told("b", "1")
			s.view("b", completed, 1)
		},
	},
	{
		oracle: "value-told", name: "of another attempt", want: "is told to have the value of attempt 1",
		good: func(s *script) { zombie(s); s.view("a", completed, 2); s.told("a", "2") },
		bad:  func(s *script) { zombie(s); s.view("a", completed, 2); s.told("a", "1") },
	},
	{
		oracle: "value-told", name: "of before a crash", cfg: check.Config{AllowLossAfterRestart: true}, want: "no attempt of it returned",
		good: func(s *script) { done(s); s.Crash("c"); s.told("a", "1") },
		bad:  func(s *script) { done(s); s.Crash("c"); s.told("a", "2") },
	},
	{
		oracle: "never-lost", name: "unknown", want: "is unknown now",
		good: func(s *script) {
			c := s.begin()
			s.submit("a")
			s.viewed(c, "a", pending, 0)
			e := c.reply(check.ReadReply) // Asked before the acknowledgement.
			e.Task, e.Answer = "a", check.NotFound
			s.Add(e)
		},
		bad: func(s *script) { s.submit("a"); s.unknown("a") },
	},
	{
		oracle: "never-lost", name: "retention", cfg: check.Config{Retention: time.Minute}, want: "is unknown now",
		good: func(s *script) { done(s); s.wait(time.Minute); s.unknown("a") },
		bad:  func(s *script) { done(s); s.wait(time.Minute - 1); s.unknown("a") },
	},
	{
		oracle: "never-lost", name: "restart", cfg: check.Config{AllowLossAfterRestart: true}, want: "is unknown now",
		good: func(s *script) { s.submit("b"); s.view("b", pending, 0); s.submit("a"); s.Crash("c"); s.unknown("a") },
		bad:  func(s *script) { s.Crash("c"); s.submit("a"); s.unknown("a") },
	},
	{
		oracle: "never-lost", name: "created again", want: "is created again",
		good: func(s *script) { s.submit("a"); s.answer(s.offer("a"), "a", check.Existing); s.view("a", pending, 0) },
		bad:  func(s *script) { s.submit("a"); s.submit("a"); s.view("a", pending, 0) },
	},
	{
		oracle: "never-lost", name: "silence", want: "never seen since",
		good: func(s *script) { s.submit("a"); s.view("a", pending, 0) },
		bad:  func(s *script) { s.submit("a") },
	},
	{
		oracle: "never-lost", name: "audit", want: "closing audit",
		good: func(s *script) { s.submit("a"); s.Quiesce(); s.view("a", pending, 0) },
		bad:  func(s *script) { s.submit("a"); s.view("a", pending, 0); s.Quiesce() },
	},
	{
		oracle: "never-lost", name: "unseen end", cfg: check.Config{Retention: time.Minute}, want: "closing audit",
		good: func(s *script) { s.submit("a"); s.wait(time.Minute); s.Quiesce(); s.unknown("a") },
		bad:  func(s *script) { s.submit("a"); s.wait(time.Minute); s.Quiesce() },
	},
	{
		oracle: "one-result", name: "value", want: "two results",
		good: func(s *script) { done(s); s.view("a", completed, 1, digest("1")); s.view("a", completed, 1) },
		bad:  func(s *script) { done(s); s.view("a", completed, 1, digest("2")) },
	},
	{
		oracle: "one-result", name: "end", want: "two ends",
		good: func(s *script) { done(s); s.view("a", completed, 1) },
		bad:  func(s *script) { done(s); s.view("a", cancelled, 1) },
	},
	{
		oracle: "terminal-absorbs", name: "open again", want: "is open after its end",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			c := s.begin()
			s.run("w", "a", 1, "1")
			s.view("a", completed, 1)
			s.viewed(c, "a", pending, 0) // Asked before.
			s.view("a", completed, 1)
		},
		bad: func(s *script) { done(s); s.view("a", running, 1) },
	},
	{
		oracle: "terminal-absorbs", name: "cancelled", want: "is cancelled after its end",
		good: func(s *script) { done(s); s.cancel("a", check.AlreadyTerminal) },
		bad:  func(s *script) { done(s); s.cancel("a", check.Cancelled) },
	},
	{
		oracle: "terminal-absorbs", name: "report", want: "report accepted after its end",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.cancel("a", check.Stopping)
			s.wait(15 * time.Second)
			s.view("a", cancelled, 1)
			s.report("w", "a", 1, stopped, check.Accepted)
		},
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.cancel("a", check.Stopping)
			s.view("a", cancelled, 1)
			s.report("w", "a", 1, broke, check.Accepted)
		},
	},
	{
		oracle: "no-start-after-end", name: "granted after", want: "after its cancellation was acknowledged",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			c := s.begin()
			s.wait(15 * time.Second) // The delivery fails, and the answer arrives all the same.
			s.cancel("a", check.Cancelled)
			s.granted(c, "w", "a", 1)
			s.view("a", cancelled, 1)
		},
		bad: func(s *script) { s.register("w"); s.submit("a"); s.cancel("a", check.Cancelled); s.grant("w", "a", 1) },
	},
	{
		oracle: "no-start-after-end", name: "held", want: "held attempt 1",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.report("w", "a", 1, returned, check.Accepted)
			s.cancel("a", check.Cancelled)
			s.view("a", cancelled, 1)
		},
		bad: func(s *script) { s.register("w"); s.submit("a"); s.grant("w", "a", 1); s.cancel("a", check.Cancelled) },
	},
	{
		oracle: "no-start-after-end", name: "later attempt", want: "attempt 2 was given out",
		good: func(s *script) { done(s); s.start("w", "a", 1); s.view("a", completed, 1) },
		bad:  func(s *script) { done(s); s.start("w", "a", 2) },
	},
	{
		oracle: "one-effect", name: "value from nowhere", want: "did not return",
		good: func(s *script) { done(s); s.view("a", completed, 1, digest("1")) },
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.run("w", "a", 1, "1")
			s.view("a", completed, 1, digest("2"))
		},
	},
	{
		oracle: "one-effect", name: "no execution", want: "never returned a value",
		good: done,
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.start("w", "a", 1)
			s.report("w", "a", 1, succeeded, check.Accepted, digest("1"))
		},
	},
	{
		oracle: "one-effect", name: "two", want: "effects of attempts 2 and 1",
		good: func(s *script) { zombie(s); s.view("a", completed, 2) },
		bad:  func(s *script) { zombie(s); s.view("a", completed, 1) },
	},
	{
		oracle: "linearizable", name: "stale read", want: "cannot be true",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			s.view("a", pending, 0)
			s.run("w", "a", 1, "1")
			s.view("a", completed, 1)
		},
		bad: func(s *script) { s.register("w"); s.submit("a"); s.run("w", "a", 1, "1"); s.view("a", pending, 0) },
	},
	{
		oracle: "linearizable", name: "completed without a report", want: "cannot be true",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.start("w", "a", 1)
			s.end("w", "a", 1, "1")
			s.tell("w", "a", 1, succeeded, digest("1")) // No answer.
			s.view("a", completed, 1)
		},
		bad: func(s *script) { s.submit("a"); s.view("a", completed, 1) },
	},
	{
		oracle: "linearizable", name: "cancelled by nobody", want: "cannot be true",
		good: func(s *script) {
			s.submit("a")
			c := s.begin()
			s.Add(check.Event{Kind: check.CancelCall, Call: c.id, Job: "j"}) // No answer.
			s.view("a", cancelled, 0)
		},
		bad: func(s *script) { s.submit("a"); s.view("a", cancelled, 0) },
	},
	{
		oracle: "linearizable", name: "offered to many lives", cfg: check.Config{LinearSteps: 1000}, want: "cannot be true",
		good: func(s *script) {
			offeredToMany(s)
			s.submit("a")
			s.run("w", "a", 1, "1")
			s.view("a", completed, 1)
		},
		bad: func(s *script) { offeredToMany(s); s.view("a", completed, 1) },
	},
	{
		oracle: "linearizable", name: "undecided", cfg: check.Config{LinearSteps: 6}, want: "in 6 steps",
		good: func(s *script) { s.submit("a"); s.view("a", pending, 0) },
		bad: func(s *script) {
			s.submit("a")
			for range 5 {
				s.view("a", pending, 0)
				s.cancel("b", check.NotFound)
				s.view("a", pending, 0)
			}
			s.cancel("a", check.Cancelled)
			for range 5 {
				s.cancel("a", check.AlreadyTerminal)
			}
		},
	},
}

// offeredToMany has a submission without an answer in each of many lives of the controller.
func offeredToMany(s *script) {
	for range 24 {
		s.answer(s.offer("a"), "a", check.Unanswered)
		s.Add(check.Event{Kind: check.ControllerCrash})
	}
	s.register("w")
}

// zombie has attempt 1 outlive its session, and attempt 2 take its place.
func zombie(s *script) {
	s.register("w")
	s.register("x")
	s.submit("a")
	s.grant("w", "a", 1)
	s.start("w", "a", 1)
	s.wait(15 * time.Second)
	s.beat("x")
	s.run("x", "a", 2, "2")
	s.end("w", "a", 1, "1")
	s.report("w", "a", 1, succeeded, check.Stale, digest("1"))
}

var attemptPlants = []plant{
	{
		oracle: "current-attempt-commits", name: "superseded", want: "when attempt 2 had been granted",
		good: func(s *script) { zombie(s); s.view("a", completed, 2) },
		bad: func(s *script) {
			s.register("w")
			s.register("x")
			s.submit("a")
			s.grant("w", "a", 1)
			s.wait(15 * time.Second)
			s.grant("x", "a", 2)
			s.report("w", "a", 1, succeeded, check.Accepted, digest("1"))
		},
	},
	{
		oracle: "current-attempt-commits", name: "two values", want: "values of attempts 1 and 2",
		good: func(s *script) { zombie(s); s.view("a", completed, 2) },
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.run("w", "a", 1, "1")
			s.report("w", "a", 2, succeeded, check.Accepted, digest("2"))
		},
	},
	{
		oracle: "current-attempt-commits", name: "accepted twice", want: "accepted twice",
		good: func(s *script) { done(s); s.report("w", "a", 1, succeeded, check.Duplicate, digest("1")) },
		bad:  func(s *script) { done(s); s.report("w", "a", 1, succeeded, check.Accepted, digest("1")) },
	},
	{
		oracle: "current-attempt-commits", name: "stale and committed", want: "whose value was judged stale",
		good: func(s *script) { zombie(s); s.view("a", completed, 2) },
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.report("w", "a", 1, succeeded, check.Stale, digest("1"))
			s.view("a", completed, 1)
		},
	},
	{
		oracle: "fails-by-itself", name: "in company again", want: "attempt 2 was lost with its worker, beside another; so was attempt 1",
		good: func(s *script) { s.lost("a", "b"); s.lost("a"); s.view("a", failed, 2, charged(workerLost, 0, 2)) },
		bad:  func(s *script) { s.lost("a", "b"); s.lost("a", "b"); s.view("a", failed, 2, charged(workerLost, 0, 2)) },
	},
	{
		oracle: "fails-by-itself", name: "alone before", want: "so was attempt 1",
		good: func(s *script) {
			s.lost("a")
			s.lost("a", "b")
			s.view("a", failed, 2, charged(workerLost, 0, 2))
			s.register("w")
			s.begins("b")
			s.end("w", "b", 2, "1")
			s.report("w", "b", 2, succeeded, check.Accepted, digest("1"))
			s.view("b", completed, 2, digest("1"))
		},
		bad: func(s *script) { s.lost("b", "a"); s.lost("c", "a"); s.view("a", failed, 2, charged(workerLost, 0, 2)) },
	},
	{
		oracle: "fails-by-itself", name: "ended or of another session", want: "so was attempt 1",
		good: func(s *script) {
			s.lost("a", "b")
			s.register("w")
			s.begins("b")
			s.tell("w", "b", 2, succeeded)
			s.begins("c")
			s.slots = 3
			s.register("w")
			s.lostToo("a")
			s.view("a", failed, 2, charged(workerLost, 0, 2))
		},
		bad: func(s *script) {
			s.lost("a", "b")
			s.register("w")
			s.begins("b")
			s.tell("w", "b", 2, succeeded)
			s.begins("c")
			s.lostToo("a")
			s.view("a", failed, 2, charged(workerLost, 0, 2))
		},
	},
	{
		oracle: "fails-by-itself", name: "of before a crash", want: "so was attempt 1",
		good: func(s *script) {
			s.lost("a", "b")
			s.Crash("c")
			s.lost("a", "b")
			s.view("a", failed, 2, charged(workerLost, 0, 2))
		},
		bad: func(s *script) {
			s.Crash("c")
			s.lost("a", "b")
			s.lost("a", "b")
			s.view("a", failed, 2, charged(workerLost, 0, 2))
		},
	},
	{
		oracle: "current-attempt-commits", name: "value thrown away", want: "did not complete with the attempt",
		good: done,
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.run("w", "a", 1, "1")
			s.view("a", failed, 1, charged(workerLost, 0, 4))
		},
	},
	{
		oracle: "one-lease", name: "silence", want: "leased at once",
		good: func(s *script) { zombie(s); s.view("a", completed, 2) },
		bad: func(s *script) {
			s.register("w")
			s.register("x")
			s.submit("a")
			s.grant("w", "a", 1)
			s.wait(10 * time.Second)
			s.beat("w")
			s.wait(10 * time.Second)
			s.grant("x", "a", 2)
		},
	},
	{
		oracle: "one-lease", name: "delivery", want: "leased at once",
		cfg: check.Config{DeliveryTimeout: 5 * time.Second},
		good: func(s *script) { // It took the timeout until the delivery was confirmed.
			s.register("w")
			s.register("x")
			s.submit("a")
			s.grant("w", "a", 1)
			s.wait(5 * time.Second)
			s.beat("w")
			s.grant("x", "a", 2)
			s.view("a", running, 2)
		},
		bad: func(s *script) {
			s.register("w")
			s.register("x")
			s.submit("a")
			s.grant("w", "a", 1)
			s.beat("w")
			s.wait(5 * time.Second)
			s.grant("x", "a", 2)
		},
	},
	{
		oracle: "one-lease", name: "returned", want: "leased at once",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.tell("w", "a", 1, returned)
			s.grant("w", "a", 2)
			s.view("a", running, 2)
		},
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.grant("w", "a", 2)
		},
	},
	{
		oracle: "session-kept", name: "silence", want: "the session of worker w was ended 14",
		good: func(s *script) { s.register("w"); s.wait(15 * time.Second); s.fence("w") },
		bad: func(s *script) {
			s.register("w")
			s.wait(10 * time.Second)
			s.beat("w")
			s.wait(14 * time.Second)
			s.fence("w")
		},
	},
	{
		oracle: "attempt-numbers", name: "fall", want: "is at attempt 1 after attempt 2",
		good: func(s *script) { zombie(s); s.view("a", completed, 2) },
		bad:  func(s *script) { zombie(s); s.view("a", running, 1) },
	},
	{
		oracle: "attempt-numbers", name: "token twice", want: "given before",
		good: func(s *script) { done(s); s.submit("b"); s.run("w", "b", 1, "1"); s.view("b", completed, 1) },
		bad: func(s *script) {
			done(s)
			s.submit("b")
			s.tokens["b1"] = s.tokens["a1"]
			s.grant("w", "b", 1)
		},
	},
	{
		oracle: "attempt-numbers", name: "two leases of one number", want: "two leases for attempt 1",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.grant("w", "a", 1)
			s.view("a", running, 1)
		},
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			delete(s.tokens, "a1")
			s.grant("w", "a", 1)
		},
	},
	{
		oracle: "attempts-within-budget", name: "retries", want: "charged 3 failures",
		good: func(s *script) { twice(s); s.view("a", failed, 2, charged(application, 2, 0)) },
		bad:  func(s *script) { twice(s); s.view("a", failed, 3, charged(application, 3, 0)) },
	},
	{
		oracle: "attempts-within-budget", name: "reports beyond", want: "3 failures accepted",
		good: func(s *script) { twice(s); s.view("a", failed, 2, charged(application, 2, 0)) },
		bad: func(s *script) {
			twice(s)
			s.wait(time.Minute)
			s.beat("w")
			s.grant("w", "a", 3)
			s.report("w", "a", 3, broke, check.Accepted)
		},
	},
	{
		oracle: "attempts-within-budget", name: "too early", want: "failed after 1 failures",
		good: func(s *script) { twice(s); s.view("a", failed, 2, charged(application, 2, 0), digest("e")) },
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.report("w", "a", 1, broke, check.Accepted)
			s.view("a", failed, 1, charged(application, 1, 0), digest("e"))
		},
	},
	{
		oracle: "attempts-within-budget", name: "loss for a failure", want: "charged 0 failures, and 1 were accepted",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.report("w", "a", 1, broke, check.Accepted)
			s.view("a", pending, 1, charged(0, 1, 0))
		},
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.report("w", "a", 1, broke, check.Accepted)
			s.view("a", pending, 1, charged(0, 0, 1))
		},
	},
	{
		oracle: "attempts-within-budget", name: "failure for a loss", want: "charged 1 failures, and 0 were reported",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.wait(15 * time.Second)
			s.view("a", pending, 1, charged(0, 0, 1))
		},
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.wait(15 * time.Second)
			s.view("a", pending, 1, charged(0, 1, 0))
		},
	},
	{
		oracle: "attempts-within-budget", name: "loss without one", want: "none was lost",
		good: func(s *script) { s.register("w"); s.submit("a"); s.grant("w", "a", 1); s.view("a", running, 1) },
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.view("a", pending, 1, charged(0, 0, 1))
		},
	},
	{
		oracle: "backoff-kept", name: "too soon", want: "asks for 799",
		good: func(s *script) { twice(s); s.view("a", failed, 2, charged(application, 2, 0)) },
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.report("w", "a", 1, broke, check.Accepted)
			s.wait(700 * time.Millisecond)
			s.grant("w", "a", 2)
		},
	},
	{
		oracle: "backoff-kept", name: "asked for", want: "asks for 2s",
		good: func(s *script) {
			retryAfter(s)
			s.wait(2 * time.Second)
			s.grant("w", "a", 2)
			s.view("a", running, 2, charged(0, 1, 0))
		},
		bad: func(s *script) { retryAfter(s); s.wait(time.Second); s.grant("w", "a", 2) },
	},
	{
		oracle: "backoff-kept", name: "returned", want: "asks for 2s",
		good: func(s *script) {
			returns(s, check.Event{RetryAfter: 2 * time.Second})
			s.wait(2 * time.Second)
			s.grant("w", "a", 2)
			s.view("a", running, 2, charged(0, 1, 0))
		},
		bad: func(s *script) {
			returns(s, check.Event{RetryAfter: 2 * time.Second})
			s.wait(time.Second)
			s.grant("w", "a", 2)
		},
	},
	{
		oracle: "backoff-kept", name: "final", want: "there is to be no other attempt",
		good: func(s *script) {
			returns(s, check.Event{})
			s.wait(time.Minute)
			s.grant("w", "a", 2)
			s.view("a", running, 2, charged(0, 1, 0))
		},
		bad: func(s *script) { returns(s, check.Event{Final: true}); s.wait(time.Minute); s.grant("w", "a", 2) },
	},
	{
		oracle: "backoff-kept", name: "past its timeout", want: "there is to be no other attempt",
		good: func(s *script) {
			limited := with(func(t *frayv1.TaskSpec) { t.ExecutionTimeoutMs = 1000 })
			s.register("w")
			s.submit("a", limited)
			s.grant("w", "a", 1, limited)
			s.start("w", "a", 1)
			s.wait(time.Second)
			s.end("w", "a", 1, "", func(e *check.Event) { e.Outcome, e.Digest, e.Final = broke, 0, true })
			s.report("w", "a", 1, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_TIMED_OUT, check.Accepted)
			s.wait(time.Minute)
			s.grant("w", "a", 2, limited)
			s.view("a", running, 2, charged(0, 1, 0))
		},
		bad: func(s *script) {
			returns(s, check.Event{Final: true})
			s.wait(time.Minute)
			s.grant("w", "a", 2)
		},
	},
}

// twice has both attempts of a task fail.
func twice(s *script) {
	s.register("w")
	s.submit("a")
	s.grant("w", "a", 1)
	s.report("w", "a", 1, broke, check.Accepted)
	s.wait(800 * time.Millisecond)
	s.grant("w", "a", 2)
	s.report("w", "a", 2, broke, check.Accepted)
}

// returns has the first attempt of a task return an error that asks for something, and its worker
// report nothing of that.
func returns(s *script, asked check.Event) {
	s.register("w")
	s.submit("a")
	s.grant("w", "a", 1)
	s.start("w", "a", 1)
	s.end("w", "a", 1, "", func(e *check.Event) {
		e.Outcome, e.Digest, e.Final, e.RetryAfter = broke, 0, asked.Final, asked.RetryAfter
	})
	s.report("w", "a", 1, broke, check.Accepted)
}

func retryAfter(s *script) {
	s.register("w")
	s.submit("a")
	s.grant("w", "a", 1)
	s.report("w", "a", 1, broke, check.Accepted, func(e *check.Event) { e.RetryAfter = 2 * time.Second })
}

var clusterPlants = []plant{
	{
		oracle: "capacity-kept", name: "slots", want: "as number 2, which has 1 slots",
		good: func(s *script) {
			s.register("w")
			s.start("w", "a", 1)
			s.end("w", "a", 1, "1")
			s.start("w", "b", 1)
		},
		bad: func(s *script) { s.register("w"); s.start("w", "a", 1); s.start("w", "b", 1) },
	},
	{
		oracle: "capacity-kept", name: "lent", cfg: check.Config{Lending: []string{"f"}}, want: "uses 1200 of 1000 cpu",
		good: func(s *script) {
			s.register("w")
			s.start("w", "a", 1, needs(600))
			s.start("w", "b", 1, needs(600), function("g"))
		},
		bad: func(s *script) {
			s.register("w")
			s.start("w", "a", 1, needs(600), function("g"))
			s.start("w", "b", 1, needs(600), function("g"))
		},
	},
	{
		oracle: "capacity-kept", name: "granted", want: "holds 1200 of 1000 cpu",
		good: func(s *script) { fit(s, func() { s.tell("w", "a", 1, stopped) }) },
		bad:  func(s *script) { fit(s, func() {}) },
	},
	{
		oracle: "capacity-kept", name: "crash", want: "as number 2",
		good: func(s *script) {
			s.register("w")
			s.start("w", "a", 1)
			s.Add(check.Event{Kind: check.WorkerCrash, Worker: "w"})
			s.register("w")
			s.start("w", "b", 1)
		},
		bad: func(s *script) { s.register("w"); s.start("w", "a", 1); s.register("w"); s.start("w", "b", 1) },
	},
	{
		oracle: "conservation", name: "from nowhere", want: "nobody submitted it",
		good: func(s *script) { s.submit("a"); s.view("a", pending, 0) },
		bad:  func(s *script) { s.view("a", pending, 0) },
	},
	{
		oracle: "conservation", name: "counts", want: "the controller counts 2 tasks; clients know of 1",
		good: func(s *script) {
			done(s)
			s.offer("b")
			s.Quiesce()
			s.counts(map[string]uint64{"COMPLETED": 1, "PENDING": 1})
		},
		bad: func(s *script) { done(s); s.Quiesce(); s.counts(map[string]uint64{"COMPLETED": 1, "PENDING": 1}) },
	},
	{
		oracle: "conservation", name: "statuses", want: "counts 0 tasks as COMPLETED; clients saw 1",
		good: func(s *script) { done(s); s.Quiesce(); s.counts(map[string]uint64{"COMPLETED": 1}) },
		bad:  func(s *script) { done(s); s.Quiesce(); s.counts(map[string]uint64{"FAILED": 1}) },
	},
	{
		oracle: "conservation", name: "orphans", cfg: check.Config{Retention: time.Minute, WatchGrace: 1}, want: "1 of which should be forgotten by now",
		good: func(s *script) {
			done(s)
			s.wait(time.Minute)
			s.Quiesce()
			s.counts(map[string]uint64{"COMPLETED": 1}) // It may end as late as it was seen.
		},
		bad: func(s *script) {
			done(s)
			s.wait(time.Minute + 2)
			s.Quiesce()
			s.counts(map[string]uint64{"COMPLETED": 1})
		},
	},
	{
		oracle: "liveness", name: "late", cfg: check.Config{LivenessBound: time.Minute}, want: "took 1m1s to end",
		good: func(s *script) { healed(s, time.Minute); s.view("a", failed, 0) },
		bad:  func(s *script) { healed(s, time.Minute+time.Second); s.view("a", failed, 0) },
	},
	{
		oracle: "liveness", name: "never", want: "is open 1m1s",
		cfg: check.Config{LivenessBound: time.Minute, MayStayOpen: func(_, task string) bool { return task == "b" }},
		good: func(s *script) {
			healed(s, time.Minute)
			s.view("a", failed, 0)
			s.submit("b")
			s.wait(time.Hour / 2)
			s.view("b", pending, 0)
		},
		bad: func(s *script) { healed(s, time.Minute+time.Second) },
	},
	{
		oracle: "fairness", name: "starved", cfg: check.Config{FairnessBound: 2}, want: "while 5 of other jobs were started",
		good: func(s *script) { jobs(s, "b", "a", "c", "d", "e", "f") },
		bad:  func(s *script) { jobs(s, "b", "c", "d", "e", "f", "a") },
	},
	{
		oracle: "fairness", name: "starved of any turn", want: "while 6 of other jobs were started",
		cfg: check.Config{FairnessBound: 1, FairnessDerived: true, FirstFault: time.Hour},
		good: func(s *script) {
			s.register("w")
			s.submit("z", needs(1)) // Its job has turns with another task.
			jobsOf(s, "b", "c", "d", "z", "e", "f", "g", "a")
			s.view("z", running, 1)
		},
		bad: func(s *script) { jobs(s, "b", "c", "d", "e", "f", "g", "a") },
	},
	{
		oracle: "fairness", name: "starved among faults", want: "while 6 of other jobs were started",
		cfg: check.Config{FairnessBound: 1, FairnessDerived: true, FirstFault: time.Minute},
		good: func(s *script) {
			jobs(s, "b", "a")
			s.wait(time.Hour)
			s.submit("z")
			for _, task := range []string{"c", "d", "e", "f", "g", "z"} { // Some may have been granted to nobody.
				s.grant("w", task, 1, of(map[bool]string{true: "j", false: "k"}[task == "z"]))
			}
			s.view("z", running, 1)
		},
		bad: func(s *script) { jobs(s, "b", "c", "d", "e", "f", "g", "a") },
	},
	{
		oracle: "metrics-agree", name: "submitted", want: "fray_tasks_submitted_total is 2",
		good: func(s *script) { done(s); s.Metrics(metrics(1, 1, 0)) },
		bad:  func(s *script) { done(s); s.Metrics(metrics(2, 1, 0)) },
	},
	{
		oracle: "metrics-agree", name: "leases", want: "fray_leases_granted_total is 2",
		good: func(s *script) { done(s); s.Metrics(metrics(1, 1, 0)) },
		bad:  func(s *script) { done(s); s.Metrics(metrics(1, 2, 0)) },
	},
	{
		oracle: "metrics-agree", name: "stale", want: "fray_stale_reports_total is 0",
		good: func(s *script) { zombie(s); s.view("a", completed, 2); s.Metrics(metrics(1, 2, 1)) },
		bad:  func(s *script) { zombie(s); s.view("a", completed, 2); s.Metrics(metrics(1, 2, 0)) },
	},
	{
		oracle: "metrics-agree", name: "stale unheard", want: "fray_stale_reports_total is 2",
		good: func(s *script) {
			done(s)
			s.tell("w", "a", 1, succeeded)
			s.Add(check.Event{Kind: check.WorkerCrash, Worker: "w"})
			s.Metrics(metrics(1, 1, 1))
		},
		bad: func(s *script) {
			done(s)
			s.tell("w", "a", 1, succeeded)
			s.Add(check.Event{Kind: check.WorkerCrash, Worker: "w"})
			s.Metrics(metrics(1, 1, 2))
		},
	},
	{
		oracle: "cost-kept", name: "scan", want: "the controller looked at 6000 things for 10 events",
		good: func(s *script) {
			s.Metrics(map[string]float64{"fray_scheduler_looks_total": 5100, "fray_scheduler_work_total": 10})
		},
		bad: func(s *script) {
			s.Metrics(map[string]float64{"fray_scheduler_looks_total": 6000, "fray_scheduler_work_total": 10})
		},
	},
	{
		oracle: "nothing-kept", name: "session", want: "fray_workers is 1 when all is over, and may be 0",
		good: func(s *script) { done(s); s.Metrics(map[string]float64{"fray_workers": 1}) },
		bad:  func(s *script) { done(s); unregister(s); s.Metrics(map[string]float64{"fray_workers": 1}) },
	},
	{
		oracle: "nothing-kept", name: "unheard good-bye", want: "fray_workers is 1 when all is over, and may be 0",
		good: func(s *script) {
			done(s)
			s.Add(check.Event{Kind: check.UnregisterCall, Worker: "w", Session: s.tokens["session of w"]}) // No answer.
			s.Metrics(map[string]float64{"fray_workers": 1})
		},
		bad: func(s *script) { done(s); unregister(s); s.Metrics(map[string]float64{"fray_workers": 1}) },
	},
	{
		oracle: "nothing-kept", name: "late good-bye", want: "fray_workers is 1 when all is over, and may be 0",
		good: func(s *script) { done(s); s.Quiesce(); unregister(s); s.Metrics(map[string]float64{"fray_workers": 1}) },
		bad:  func(s *script) { done(s); unregister(s); s.Quiesce(); s.Metrics(map[string]float64{"fray_workers": 1}) },
	},
	{
		oracle: "nothing-kept", name: "silent session", want: "fray_workers is 1 when all is over, and may be 0",
		good: func(s *script) {
			done(s)
			s.wait(time.Minute)
			s.beat("w")
			s.wait(time.Minute)
			s.Metrics(map[string]float64{"fray_workers": 1})
		},
		bad: func(s *script) { done(s); s.wait(2 * time.Minute); s.Metrics(map[string]float64{"fray_workers": 1}) },
	},
	{
		oracle: "nothing-kept", name: "lease", want: "fray_leases is 1 when all is over, and may be 0",
		good: func(s *script) { done(s); unregister(s); s.Metrics(map[string]float64{"fray_leases": 0}) },
		bad:  func(s *script) { done(s); unregister(s); s.Metrics(map[string]float64{"fray_leases": 1}) },
	},
	{
		oracle: "nothing-kept", name: "call", want: "fray_waiting_calls is 1 when all is over, and may be 0",
		good: func(s *script) {
			s.Heal()
			done(s)
			s.submit("b") // Its client waits.
			s.view("b", pending, 0)
			unregister(s)
			s.Metrics(map[string]float64{"fray_waiting_calls": 1, "fray_leases": 0})
		},
		bad: func(s *script) {
			s.Heal()
			done(s)
			unregister(s)
			s.Metrics(map[string]float64{"fray_waiting_calls": 1})
		},
	},
	{
		oracle: "nothing-kept", name: "watchers", want: "fray_watchers is 2 when all is over, and may be 1",
		good: func(s *script) { done(s); s.Metrics(map[string]float64{"fray_watchers": 1}) },
		bad:  func(s *script) { done(s); s.Metrics(map[string]float64{"fray_watchers": 2}) },
	},
	{
		oracle: "no-leak", name: "goroutine", want: "one is left",
		good: func(s *script) { s.Leaks(func() error { return nil }) },
		bad:  func(s *script) { s.Leaks(func() error { return errors.New("one is left") }) },
	},
}

// fit has a worker granted two tasks that do not fit it together, the first of which ended without
// its worker's word; and between the two it does something.
func fit(s *script, between func()) {
	s.register("w")
	s.submit("a", needs(600))
	s.submit("b", needs(600))
	s.grant("w", "a", 1, needs(600))
	s.cancel("a", check.Stopping)
	s.wait(10 * time.Second)
	s.view("a", cancelled, 1)
	s.beat("w")
	between()
	s.grant("w", "b", 1, needs(600))
	s.view("b", running, 1)
}

func unregister(s *script) {
	c := s.begin()
	s.Add(check.Event{Kind: check.UnregisterCall, Call: c.id, Worker: "w", Session: s.tokens["session of w"]})
	e := c.reply(check.UnregisterReply)
	e.Worker, e.Session = "w", s.tokens["session of w"]
	s.Add(e)
}

func healed(s *script, after time.Duration) {
	s.wait(time.Hour / 2)
	s.submit("a")
	s.view("a", pending, 0)
	s.Heal()
	s.wait(after)
}

// jobs has job j submit a, and job k the others, and grants them in an order.
func jobs(s *script, order ...string) {
	s.register("w")
	jobsOf(s, order...)
}

func jobsOf(s *script, order ...string) {
	for _, task := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		job := "k"
		if task == "a" {
			job = "j"
		}
		c := s.offer(task, of(job))
		e := c.reply(check.SubmitReply)
		e.Task, e.Job, e.Answer = task, job, check.Acknowledged
		s.Add(e)
		s.view(task, pending, 0)
	}
	for _, task := range order {
		if task == "z" {
			s.grant("w", task, 1, needs(1))
			continue
		}
		s.grant("w", task, 1, of(map[bool]string{true: "j", false: "k"}[task == "a"]))
	}
}

func metrics(submitted, leases, stale float64) map[string]float64 {
	return map[string]float64{
		"fray_tasks_submitted_total": submitted, "fray_leases_granted_total": leases, "fray_stale_reports_total": stale,
		`fray_tasks{status="COMPLETED"}`: 1, `fray_worker_reports_total{verdict="accepted"}`: 1, "fray_unheard_of": 7,
	}
}

func TestBackoffOfALongRow(t *testing.T) {
	t.Parallel()
	s := check.NewSpec(&frayv1.TaskSpec{RetryPolicy: &frayv1.RetryPolicy{BackoffBaseMs: 1000, BackoffCapMs: 5000, BackoffJitter: new(0.0)}})
	for n, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
		if got := s.MinBackoff(n); got != want-1 {
			t.Errorf("retry %d: %v, want %v less rounding", n, got, want)
		}
	}
}
