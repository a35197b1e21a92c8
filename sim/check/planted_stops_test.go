package check_test

import (
	"time"

	"github.com/frayrpc/fray/sim/check"
)

// held has worker w run attempt 1 of task a.
func held(s *script, edits ...edit) {
	s.register("w")
	s.submit("a", edits...)
	s.grant("w", "a", 1, edits...)
	s.start("w", "a", 1)
}

// ask has a client ask to cancel task a, which runs.
func ask(s *script) { s.cancel("a", check.Stopping) }

// stopPlants are about attempts that are stopped.
var stopPlants = []plant{
	{
		oracle: "stops-justified", name: "order", want: "nobody cancelled it",
		good: func(s *script) { held(s); ask(s); s.order("w", "a", 1); s.view("a", running, 1, stopping) },
		bad:  func(s *script) { held(s); s.order("w", "a", 1); s.view("a", running, 1) },
	},
	{
		oracle: "stops-justified", name: "order after silence", want: "nobody cancelled it",
		good: func(s *script) { held(s); s.wait(15 * time.Second); s.order("w", "a", 1); s.view("a", running, 1) },
		bad: func(s *script) {
			held(s)
			s.wait(10 * time.Second)
			s.beat("w")
			s.wait(10 * time.Second)
			s.order("w", "a", 1)
			s.view("a", running, 1)
		},
	},
	{
		oracle: "stops-justified", name: "no order", want: "no answer to a heartbeat asked for it",
		good: func(s *script) {
			held(s)
			ask(s)
			s.order("w", "a", 1)
			s.stop("w", "a", 1, check.CauseOrdered, 1)
			s.view("a", running, 1, stopping)
		},
		bad: func(s *script) {
			held(s)
			ask(s)
			s.stop("w", "a", 1, check.CauseOrdered, 1)
			s.view("a", running, 1, stopping)
		},
	},
	{
		oracle: "stops-justified", name: "session kept", want: "had a session that keeps it",
		good: func(s *script) {
			held(s)
			s.Crash("c")
			s.fence("w")
			s.register("w")
			s.stop("w", "a", 1, check.CauseSessionLost, 1)
			s.view("a", running, 1)
		},
		bad: func(s *script) {
			held(s)
			s.Crash("c")
			s.fence("w")
			s.register("w", s.token("a1", 1))
			s.stop("w", "a", 1, check.CauseSessionLost, 1)
			s.view("a", running, 1)
		},
	},
	{
		oracle: "stops-justified", name: "session awaited", want: "still waiting for one",
		good: func(s *script) {
			held(s)
			s.Crash("c")
			s.fence("w")
			s.wait(15 * time.Second)
			s.stop("w", "a", 1, check.CauseSessionLost, 15*time.Second)
			s.view("a", running, 1)
		},
		bad: func(s *script) {
			held(s)
			s.Crash("c")
			s.fence("w")
			s.wait(14 * time.Second)
			s.stop("w", "a", 1, check.CauseSessionLost, 14*time.Second)
			s.view("a", running, 1)
		},
	},
	{
		oracle: "stops-justified", name: "session there", want: "had a session that keeps it",
		good: func(s *script) { held(s); s.wait(time.Hour); s.fence("w"); s.register("w"); lost(s) },
		bad:  func(s *script) { held(s); s.wait(time.Hour); lost(s) },
	},
	{
		oracle: "stops-justified", name: "time", want: "it may run for 2s",
		good: func(s *script) {
			held(s, timed)
			s.wait(twoSecondsTimed)
			s.stop("w", "a", 1, check.CauseTimedOut, twoSecondsTimed)
			s.view("a", running, 1)
		},
		bad: func(s *script) {
			held(s, timed)
			s.wait(twoSecondsTimed)
			s.stop("w", "a", 1, check.CauseTimedOut, time.Second)
			s.view("a", running, 1)
		},
	},
	{
		oracle: "stops-justified", name: "no timeout", want: "it has no execution timeout",
		good: func(s *script) { held(s); s.end("w", "a", 1, "1"); held2(s); s.view("a", running, 1) },
		bad: func(s *script) {
			held(s)
			s.wait(time.Hour)
			s.stop("w", "a", 1, check.CauseTimedOut, time.Hour)
			s.view("a", running, 1)
		},
	},
	{
		oracle: "stops-justified", name: "leaving", want: "has time left for that",
		good: func(s *script) {
			held(s)
			s.leave("w", time.Second)
			s.leave("w", time.Hour)
			s.wait(time.Second)
			left(s)
		},
		bad: func(s *script) {
			held(s)
			s.leave("w", 2*time.Second)
			s.leave("w", time.Hour)
			s.wait(time.Second)
			left(s)
		},
	},
	{
		oracle: "stops-justified", name: "no cause", want: "knows no such cause",
		good: func(s *script) { held(s); ask(s); s.order("w", "a", 1); s.view("a", running, 1, stopping) },
		bad:  func(s *script) { held(s); s.stop("w", "a", 1, check.CauseUnknown, 1); s.view("a", running, 1) },
	},
	{
		oracle: "stops-obeyed", name: "heartbeats", want: "2 answers to heartbeats of worker w did not say to stop",
		good: func(s *script) {
			held(s)
			ask(s)
			s.beat("w")
			s.order("w", "a", 1)
			s.beat("w")
			s.view("a", running, 1, stopping)
		},
		bad: func(s *script) {
			held(s)
			ask(s)
			s.beat("w")
			s.beat("w")
			s.order("w", "a", 1)
			s.view("a", running, 1, stopping)
		},
	},
	{
		oracle: "stops-obeyed", name: "heartbeats sent before", want: "2 answers to heartbeats",
		good: func(s *script) {
			held(s)
			early := [3]sent{s.begin(), s.begin(), s.begin()} // Before it is asked for.
			ask(s)
			for _, c := range early {
				e := c.reply(check.HeartbeatReply)
				e.Worker, e.Session = "w", s.tokens["session of w"]
				s.Add(e)
			}
			s.beat("w")
			s.order("w", "a", 1)
			s.view("a", running, 1, stopping)
		},
		bad: func(s *script) { held(s); ask(s); s.beat("w"); s.beat("w"); s.view("a", running, 1, stopping) },
	},
	{
		oracle: "stops-obeyed", name: "job", want: "2 answers to heartbeats",
		good: func(s *script) {
			held(s)
			cancelJob(s)
			s.report("w", "a", 1, stopped, check.Accepted)
			s.beat("w")
			s.beat("w")
			held2(s)
			s.cancel("b", check.Stopping)
			s.order("w", "b", 1)
			s.view("a", cancelled, 1)
			s.view("b", running, 1, stopping)
		},
		bad: func(s *script) { held(s); cancelJob(s); s.beat("w"); s.beat("w"); s.view("a", running, 1, stopping) },
	},
	{
		oracle: "stops-obeyed", name: "in time", cfg: check.Config{FirstFault: time.Hour}, want: "was not told to stop attempt 1 within 1.55s",
		good: func(s *script) {
			held(s)
			ask(s)
			s.wait(1500 * time.Millisecond)
			s.order("w", "a", 1)
			s.view("a", running, 1, stopping)
		},
		bad: func(s *script) {
			held(s)
			ask(s)
			s.wait(3 * time.Second)
			s.order("w", "a", 1)
			s.view("a", running, 1, stopping)
		},
	},
	{
		oracle: "stops-obeyed", name: "in time, later", cfg: check.Config{}, want: "was not told to stop attempt 1 within 1.55s",
		good: func(s *script) { s.wait(time.Minute); s.Heal(); tardy(s) },
		bad:  func(s *script) { s.wait(time.Minute); s.Heal(); s.wait(time.Minute); tardy(s) },
	},
	{
		oracle: "stops-obeyed", name: "deaf", want: "its context was not done",
		good: func(s *script) {
			held(s)
			obeyed(s)
			s.stop("w", "a", 1, check.CauseOrdered, time.Minute)
			s.view("a", running, 1, stopping)
		},
		bad: func(s *script) { held(s); obeyed(s); s.end("w", "a", 1, "1"); s.view("a", running, 1, stopping) },
	},
	{
		oracle: "stops-obeyed", name: "slow", cfg: check.Config{FirstFault: time.Hour}, want: "stopped only 1m0s after",
		good: func(s *script) {
			held(s)
			obeyed(s)
			s.stop("w", "a", 1, check.CauseOrdered, time.Second)
			s.view("a", running, 1, stopping)
		},
		bad: func(s *script) {
			held(s)
			obeyed(s)
			s.stop("w", "a", 1, check.CauseOrdered, time.Minute)
			s.view("a", running, 1, stopping)
		},
	},
	{
		oracle: "stops-obeyed", name: "started", want: "started 1m0s after its worker was told to stop it",
		good: func(s *script) {
			queued(s)
			s.start("w", "a", 1)
			s.wait(time.Minute)
			s.view("a", running, 1, stopping)
		},
		bad: func(s *script) {
			queued(s)
			s.wait(time.Minute)
			s.start("w", "a", 1)
			s.view("a", running, 1, stopping)
		},
	},
}

func stopping(e *check.Event) { e.View.Stopping = true }

// held2 has worker w run task b, too.
func held2(s *script) {
	s.submit("b")
	s.grant("w", "b", 1)
	s.view("b", running, 1)
	s.leave("w", 0)
	s.stop("w", "b", 1, check.CauseLeaving, 1)
}

// tardy has an order come late.
func tardy(s *script) {
	held(s)
	ask(s)
	s.wait(3 * time.Second)
	s.order("w", "a", 1)
	s.view("a", running, 1, stopping)
}

// queued has an attempt cancelled that has not started.
func queued(s *script) {
	s.register("w")
	s.submit("a")
	s.grant("w", "a", 1)
	ask(s)
	s.order("w", "a", 1)
}

// obeyed has an order come a minute before the end.
func obeyed(s *script) {
	ask(s)
	s.order("w", "a", 1)
	s.wait(time.Minute)
}

func lost(s *script) {
	s.stop("w", "a", 1, check.CauseSessionLost, time.Hour)
	s.view("a", running, 1)
}

func left(s *script) {
	s.stop("w", "a", 1, check.CauseLeaving, time.Second)
	s.view("a", running, 1)
}

func cancelJob(s *script) {
	c := s.begin()
	s.Add(check.Event{Kind: check.CancelCall, Call: c.id, Job: "j"})
	e := c.reply(check.CancelReply)
	e.Job, e.Answer = "j", check.Stopping
	s.Add(e)
}
