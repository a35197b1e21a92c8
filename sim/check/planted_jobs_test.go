package check_test

import (
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
)

// has has a submission say what its job has.
func has(o check.JobOptions) edit { return func(e *check.Event) { e.JobOptions = &o } }

// failsPast is a job of which so many tasks may fail.
func failsPast(n uint32) check.JobOptions { return check.JobOptions{FailsPast: true, MaxFailed: n} }

// once has a task be tried once.
var once = with(func(t *frayv1.TaskSpec) { t.RetryPolicy = &frayv1.RetryPolicy{} })

// inJob has tasks submitted to a job with options.
func inJob(s *script, o check.JobOptions, tasks ...string) {
	s.slots = 4
	s.register("w")
	for _, task := range tasks {
		s.submit(task, has(o), once)
	}
}

// breaks has a task of a job fail, and be seen failed.
func breaks(s *script, task string) {
	s.grant("w", task, 1, once)
	s.report("w", task, 1, broke, check.Accepted)
	s.view(task, failed, 1, charged(application, 1, 0))
}

// refuse has a submission be refused because its job has failed.
func refuse(s *script, task string, edits ...edit) {
	e := s.offer(task, edits...).reply(check.SubmitReply)
	e.Task, e.Job, e.Answer, e.JobFailed = task, "j", check.Refused, true
	s.Add(e)
}

// cancelWhole has somebody cancel a job.
func cancelWhole(s *script, job string) {
	c := s.begin()
	s.Add(check.Event{Kind: check.CancelCall, Call: c.id, Job: job})
	e := c.reply(check.CancelReply)
	e.Job, e.Answer = job, check.Stopping
	s.Add(e)
}

// below has a job k with a running task a be a child of j, which has a task p.
func below(s *script, parent check.JobOptions) {
	inJob(s, parent, "p", "q")
	s.submit("a", of("k"), has(check.JobOptions{Parent: "j"}), once)
	s.grant("w", "a", 1, of("k"), once)
	s.start("w", "a", 1)
}

// jobPlants are about jobs that fail as a whole, and trees of them.
var jobPlants = []plant{
	{
		oracle: "jobs-fail-whole", name: "refused before", want: "is refused because its job has failed, and no more",
		good: func(s *script) {
			inJob(s, failsPast(1), "a", "b")
			breaks(s, "a")
			breaks(s, "b")
			refuse(s, "c", has(failsPast(1)))
		},
		bad: func(s *script) {
			inJob(s, failsPast(1), "a", "b")
			breaks(s, "a")
			refuse(s, "c", has(failsPast(1)))
			breaks(s, "b")
		},
	},
	{
		oracle: "jobs-fail-whole", name: "before its report was sent",
		want: "is refused because its job has failed, and no more",
		good: func(s *script) {
			inJob(s, failsPast(0), "a")
			s.grant("w", "a", 1, once)
			c := s.tell("w", "a", 1, broke)
			refuse(s, "c", has(failsPast(0)))
			s.judge(c, "w", "a", 1, broke, check.Accepted)
			s.view("a", failed, 1, charged(application, 1, 0))
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a")
			s.grant("w", "a", 1, once)
			refuse(s, "c", has(failsPast(0)))
			s.report("w", "a", 1, broke, check.Accepted)
			s.view("a", failed, 1, charged(application, 1, 0))
		},
	},
	{
		oracle: "jobs-fail-whole", name: "by a share", want: "is refused because its job has failed, and no more",
		good: func(s *script) {
			o := check.JobOptions{MaxFailedShare: 0.4}
			inJob(s, o, "a", "b", "c", "d")
			breaks(s, "a")
			breaks(s, "b")
			refuse(s, "e", has(o))
			s.view("c", cancelled, 0)
			s.view("d", cancelled, 0)
		},
		bad: func(s *script) {
			o := check.JobOptions{MaxFailedShare: 0.5}
			inJob(s, o, "a", "b", "c", "d")
			breaks(s, "a")
			breaks(s, "b")
			refuse(s, "e", has(o))
			s.view("c", cancelled, 0)
			s.view("d", cancelled, 0)
		},
	},
	{
		oracle: "jobs-fail-whole", name: "for what others failed",
		want: "is refused because its job has failed, and no more",
		good: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			s.view("b", failed, 0, charged(frayv1.FailureReason_FAILURE_REASON_SCHEDULING_TIMEOUT, 0, 0))
			refuse(s, "c", has(failsPast(0)))
			s.view("a", cancelled, 0)
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			s.view("b", failed, 0, charged(frayv1.FailureReason_FAILURE_REASON_DEPENDENCY_FAILED, 0, 0))
			refuse(s, "c", has(failsPast(0)))
			s.view("a", cancelled, 0)
		},
	},
	{
		oracle: "jobs-fail-whole", name: "cancelled before", want: "is cancelled, and nobody asked for that",
		good: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			breaks(s, "a")
			s.view("b", cancelled, 0)
		},
		bad: func(s *script) {
			inJob(s, failsPast(1), "a", "b")
			breaks(s, "a")
			s.view("b", cancelled, 0)
		},
	},
	{
		oracle: "jobs-fail-whole", name: "granted after", want: "is granted attempt 1, and job j has failed as a whole",
		good: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			c := s.begin()
			breaks(s, "a")
			s.granted(c, "w", "b", 1, once)
			s.view("b", running, 1, stopping)
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			breaks(s, "a")
			s.grant("w", "b", 1, once)
			s.view("b", running, 1, stopping)
		},
	},
	{
		oracle: "jobs-fail-whole", name: "created after", want: "is created, and job j has failed as a whole",
		good: func(s *script) {
			inJob(s, failsPast(0), "a")
			c := s.offer("b", has(failsPast(0)), once)
			breaks(s, "a")
			s.answer(c, "b", check.Created)
			s.view("b", cancelled, 0)
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a")
			breaks(s, "a")
			s.submit("b", has(failsPast(0)), once)
			s.view("b", cancelled, 0)
		},
	},
	{
		oracle: "jobs-fail-whole", name: "there without an answer", want: "is there, and job j has failed as a whole",
		good: func(s *script) {
			inJob(s, failsPast(0), "a")
			c := s.offer("b", has(failsPast(0)), once)
			breaks(s, "a")
			s.answer(c, "b", check.Unanswered)
			s.view("b", cancelled, 0)
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a")
			breaks(s, "a")
			s.answer(s.offer("b", has(failsPast(0)), once), "b", check.Unanswered)
			s.view("b", cancelled, 0)
		},
	},
	{
		oracle: "jobs-fail-whole", name: "open after",
		want: "is open and not asked to stop, and job j has failed as a whole",
		good: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			s.grant("w", "b", 1, once)
			breaks(s, "a")
			s.view("b", running, 1, stopping)
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			s.grant("w", "b", 1, once)
			breaks(s, "a")
			s.view("b", running, 1)
		},
	},
	{
		oracle: "jobs-fail-whole", name: "open below",
		want: "is open and not asked to stop, and job j has failed as a whole",
		good: func(s *script) {
			below(s, failsPast(0))
			breaks(s, "p")
			s.view("a", running, 1, of("k"), stopping)
			s.view("q", cancelled, 0)
		},
		bad: func(s *script) {
			below(s, failsPast(0))
			breaks(s, "p")
			s.view("a", running, 1, of("k"))
			s.view("q", cancelled, 0)
		},
	},
	{
		oracle: "jobs-fail-whole", name: "cancelled from above", want: "is cancelled, and nobody asked for that",
		good: func(s *script) {
			below(s, check.JobOptions{Weight: 1})
			cancelWhole(s, "j")
			s.view("a", cancelled, 1, of("k"))
			end(s, "p", "q")
		},
		bad: func(s *script) {
			below(s, check.JobOptions{Weight: 1})
			cancelWhole(s, "k2")
			s.view("a", cancelled, 1, of("k"))
			end(s, "p", "q")
		},
	},
	{
		oracle: "jobs-fail-whole", name: "once it may be forgotten", cfg: check.Config{Retention: time.Minute},
		want: "is created, and job j has failed as a whole",
		good: func(s *script) {
			inJob(s, failsPast(0), "a")
			breaks(s, "a")
			s.wait(time.Minute)
			s.submit("b", has(failsPast(0)), once)
			s.view("b", pending, 0)
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a")
			breaks(s, "a")
			s.wait(time.Minute - 1)
			s.submit("b", has(failsPast(0)), once)
			s.view("b", pending, 0)
		},
	},
	{
		oracle: "jobs-fail-whole", name: "over a crash of one that keeps its records",
		want: "is created, and job j has failed as a whole",
		good: func(s *script) {
			inJob(s, failsPast(0), "a")
			breaks(s, "a")
			s.Crash("c")
			refuse(s, "b", has(failsPast(0)))
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a")
			breaks(s, "a")
			s.Crash("c")
			s.submit("b", has(failsPast(0)), once)
			s.view("b", pending, 0)
		},
	},
	{
		oracle: "jobs-fail-whole", name: "over a crash that loses everything",
		cfg:  check.Config{AllowLossAfterRestart: true},
		want: "is refused because its job has failed, and no more",
		good: func(s *script) {
			inJob(s, failsPast(0), "a")
			breaks(s, "a")
			s.Crash("c")
			s.submit("b", has(failsPast(0)), once)
			s.view("b", pending, 0)
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a")
			breaks(s, "a")
			s.Crash("c")
			s.submit("b", has(failsPast(0)), once)
			s.view("b", pending, 0)
			refuse(s, "c", has(failsPast(0)))
			s.view("b", cancelled, 0)
		},
	},
	{
		oracle: "stops-justified", name: "before the job may have failed",
		want: "nobody cancelled it or ended its lease",
		good: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			s.grant("w", "b", 1, once)
			s.start("w", "b", 1)
			breaks(s, "a")
			s.order("w", "b", 1)
			s.view("b", running, 1, stopping)
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			s.grant("w", "b", 1, once)
			s.start("w", "b", 1)
			s.order("w", "b", 1)
			breaks(s, "a")
			s.view("b", running, 1, stopping)
		},
	},
	{
		oracle: "stops-justified", name: "cancelled from above", want: "nobody cancelled it or ended its lease",
		good: func(s *script) {
			below(s, check.JobOptions{Weight: 1})
			cancelWhole(s, "j")
			s.order("w", "a", 1)
			s.view("a", running, 1, of("k"), stopping)
			end(s, "p", "q")
		},
		bad: func(s *script) {
			below(s, check.JobOptions{Weight: 1})
			cancelWhole(s, "l")
			s.order("w", "a", 1)
			s.view("a", running, 1, of("k"), stopping)
			end(s, "p", "q")
		},
	},
	{
		oracle: "linearizable", name: "cancelled before the job may have failed",
		want: "cannot be true, whatever the order",
		good: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			breaks(s, "a")
			s.view("b", cancelled, 0)
		},
		bad: func(s *script) {
			inJob(s, failsPast(0), "a", "b")
			s.view("b", cancelled, 0)
			breaks(s, "a")
		},
	},
}

// end has tasks be seen to have failed by themselves.
func end(s *script, tasks ...string) {
	for _, task := range tasks {
		s.view(task, failed, 0, charged(frayv1.FailureReason_FAILURE_REASON_SCHEDULING_TIMEOUT, 0, 0))
	}
}
