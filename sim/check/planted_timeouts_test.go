package check_test

import (
	"time"

	"github.com/frayrpc/fray/sim/check"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

const (
	timedOut        = frayv1.AttemptOutcome_ATTEMPT_OUTCOME_TIMED_OUT
	runsTooLong     = frayv1.FailureReason_FAILURE_REASON_TIMEOUT
	waitsTooLong    = frayv1.FailureReason_FAILURE_REASON_SCHEDULING_TIMEOUT
	twoSecondsTimed = 2 * time.Second
)

// timed has a task with both timeouts of two seconds and no retries.
var timed = with(func(t *frayv1.TaskSpec) {
	t.ExecutionTimeoutMs, t.SchedulingTimeoutMs = twoSecondsTimed.Milliseconds(), twoSecondsTimed.Milliseconds()
	t.RetryPolicy = nil
})

// runFor has an attempt of such a task run.
func runFor(s *script, d time.Duration, outcome frayv1.AttemptOutcome) {
	s.register("w")
	s.submit("a", timed)
	s.grant("w", "a", 1, timed)
	s.start("w", "a", 1)
	s.wait(d)
	s.end("w", "a", 1, "1", func(e *check.Event) { e.Outcome = outcome })
}

var timeoutPlants = []plant{
	{
		oracle: "timeouts-true", name: "returned in time", want: "returned within 1s",
		good: func(s *script) {
			runFor(s, twoSecondsTimed, broke)
			s.report("w", "a", 1, timedOut, check.Accepted)
			s.view("a", failed, 1, charged(runsTooLong, 1, 0))
		},
		bad: func(s *script) {
			runFor(s, time.Second, succeeded)
			s.wait(15 * time.Second)
			s.view("a", failed, 1, charged(runsTooLong, 1, 0))
			s.report("w", "a", 1, succeeded, check.Stale, digest("1"))
		},
	},
	{
		oracle: "timeouts-true", name: "seen to return late", want: "returned within 1s",
		good: func(s *script) {
			runFor(s, twoSecondsTimed, succeeded) // Too late to be sure.
			s.view("a", failed, 1, charged(runsTooLong, 1, 0))
		},
		bad: func(s *script) {
			s.register("w")
			s.submit("a", timed)
			s.grant("w", "a", 1, timed)
			s.wait(twoSecondsTimed)
			s.start("w", "a", 1)
			s.view("a", failed, 1, charged(runsTooLong, 1, 0))
			s.wait(time.Second)
			s.end("w", "a", 1, "1")
		},
	},
	{
		oracle: "timeouts-true", name: "too soon", want: "1s after its last attempt was asked for",
		good: func(s *script) {
			runFor(s, twoSecondsTimed, broke)
			s.view("a", failed, 1, charged(runsTooLong, 1, 0))
		},
		bad: func(s *script) {
			runFor(s, time.Second, broke)
			s.view("a", failed, 1, charged(runsTooLong, 1, 0))
		},
	},
	{
		oracle: "timeouts-true", name: "not started too soon", want: "1s after its submission",
		good: func(s *script) {
			s.submit("a", timed)
			s.wait(twoSecondsTimed)
			s.view("a", failed, 0, charged(waitsTooLong, 0, 0))
		},
		bad: func(s *script) {
			s.submit("a", timed)
			s.wait(time.Second)
			s.view("a", failed, 0, charged(waitsTooLong, 0, 0))
		},
	},
	{
		oracle: "timeouts-true", name: "had started", want: "an attempt of it had started",
		good: func(s *script) {
			runFor(s, twoSecondsTimed, broke)
			s.view("a", failed, 1, charged(waitsTooLong, 0, 0)) // Nobody has told the controller.
		},
		bad: func(s *script) {
			runFor(s, twoSecondsTimed, broke)
			s.report("w", "a", 1, broke, check.Accepted)
			s.view("a", failed, 1, charged(waitsTooLong, 1, 0))
		},
	},
	{
		oracle: "timeouts-true", name: "had been said to run", want: "an attempt of it had started",
		good: func(s *script) {
			s.submit("a", timed)
			s.wait(twoSecondsTimed)
			s.view("a", failed, 0, charged(waitsTooLong, 0, 0))
		},
		bad: func(s *script) {
			s.register("w")
			s.submit("a", timed)
			s.grant("w", "a", 1, timed)
			s.report("w", "a", 1, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED, check.Accepted)
			s.wait(twoSecondsTimed)
			s.report("w", "a", 1, returned, check.Accepted)
			s.view("a", failed, 1, charged(waitsTooLong, 0, 0))
		},
	},
	{
		oracle: "timeouts-true", name: "failed in time", want: "which returned within 1s",
		good: func(s *script) {
			runFor(s, time.Second, broke)
			s.report("w", "a", 1, broke, check.Accepted)
			s.view("a", failed, 1, charged(application, 1, 0))
			timedTwice(s, twoSecondsTimed)
		},
		bad: func(s *script) {
			runFor(s, time.Second, broke)
			s.wait(time.Second)
			s.view("a", failed, 1, charged(runsTooLong, 1, 0))
		},
	},
	{
		oracle: "timeouts-true", name: "reported too soon", want: "reported as timed out 1s after it was granted",
		good: func(s *script) { s.register("w"); timedTwice(s, twoSecondsTimed) },
		bad:  func(s *script) { s.register("w"); timedTwice(s, time.Second) },
	},
}

// timedTwice has an attempt of task b reported as timed out after so long, and granted again.
func timedTwice(s *script, d time.Duration) {
	again := with(func(t *frayv1.TaskSpec) { t.ExecutionTimeoutMs = twoSecondsTimed.Milliseconds() })
	s.submit("b", again)
	s.grant("w", "b", 1, again)
	s.wait(d)
	s.report("w", "b", 1, timedOut, check.Accepted)
	s.view("b", pending, 1, charged(0, 1, 0))
}
