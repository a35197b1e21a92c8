package check_test

import (
	"time"

	"github.com/frayrpc/fray/sim/check"
)

var (
	calmForAnHour = check.Config{FirstFault: time.Hour}
	servedSoon    = check.Config{Within: map[string]time.Duration{"c": 5 * time.Second}}
)

// promptPlants are about who is granted and told, and how soon.
var promptPlants = []plant{
	{
		oracle: "answered-in-time", name: "late", cfg: calmForAnHour, want: "was answered after 600ms",
		good: func(s *script) {
			c := s.begin()
			s.wait(400 * time.Millisecond)
			s.Add(c.reply(check.ClusterInfo))
		},
		bad: func(s *script) {
			c := s.begin()
			s.wait(600 * time.Millisecond)
			s.Add(c.reply(check.ClusterInfo))
		},
	},
	{
		oracle: "answered-in-time", name: "held for longer than it may be", cfg: calmForAnHour, want: "was answered after 11s",
		good: func(s *script) { s.register("w"); waited(s, 10*time.Second) },
		bad:  func(s *script) { s.register("w"); waited(s, 11*time.Second) },
	},
	{
		oracle: "answered-in-time", name: "never", cfg: calmForAnHour, want: "WatchJob of client had no answer within 20s",
		good: func(s *script) {
			s.register("w")
			waited(s, time.Second)
			expired(s, "w", 20*time.Second)
			expired(s, "client", 100*time.Millisecond)
		},
		bad: func(s *script) { s.register("w"); expired(s, "client", 20*time.Second) },
	},
	{
		oracle: "served-within", name: "late", cfg: servedSoon, want: "was told to c as completed after 6s",
		good: func(s *script) { ranFor(s, 5*time.Second) },
		bad:  func(s *script) { ranFor(s, 6*time.Second) },
	},
	{
		oracle: "served-within", name: "from when it was submitted first", cfg: servedSoon, want: "after 6s",
		good: func(s *script) { s.offer("a", at("c")); s.wait(time.Second); ranFor(s, 4*time.Second) },
		bad:  func(s *script) { s.offer("a", at("c")); s.wait(2 * time.Second); ranFor(s, 4*time.Second) },
	},
	{
		oracle: "served-within", name: "never", cfg: servedSoon, want: "was not told to c as completed within 5s",
		good: func(s *script) {
			ranFor(s, time.Second)
			s.offer("b", at("another"))
			s.wait(5 * time.Second)
			s.offer("d", at("c")) // Its time is not over.
		},
		bad: func(s *script) {
			s.submit("a", at("c"))
			s.view("a", completed, 1, at("another"))
			s.wait(6 * time.Second)
		},
	},
	{
		oracle: "served-within", name: "failed", cfg: servedSoon, want: "was to complete for c within 5s, and ended as FAILED",
		good: func(s *script) { ranFor(s, time.Second) },
		bad: func(s *script) {
			s.submit("a", at("c"))
			s.view("a", failed, 1, at("c"), charged(application, 1, 0))
		},
	},
	{
		oracle: "no-bug-told", name: "internal", want: "had an error of its own for client: GetTask: internal",
		good: func(s *script) { s.Add(s.begin().reply(check.ClusterInfo)) },
		bad: func(s *script) {
			e := s.begin().reply(check.BugTold)
			e.Host, e.Detail = "client", "GetTask: internal"
			s.Add(e)
		},
	},
	{
		oracle: "grants-heard", name: "stale session", want: "when its session took no more",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			c := s.begin()
			s.wait(15 * time.Second)
			s.fence("w")
			s.granted(c, "w", "a", 1) // Its poll was sent before.
			s.view("a", running, 1)
		},
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.wait(15 * time.Second)
			s.fence("w")
			s.grant("w", "a", 1)
			s.view("a", running, 1)
		},
	},
	{
		oracle: "grants-heard", name: "draining", want: "when its session took no more",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			s.beat("w")
			s.grant("w", "a", 1)
			s.view("a", running, 1)
		},
		bad: func(s *script) {
			s.register("w")
			s.submit("a")
			s.beat("w", func(e *check.Event) { e.Draining = true })
			s.grant("w", "a", 1)
			s.view("a", running, 1)
		},
	},
	{
		oracle: "grants-heard", name: "to nobody", cfg: calmForAnHour, want: "no worker was granted attempt 1",
		good: func(s *script) {
			s.register("w")
			s.submit("a")
			s.grant("w", "a", 1)
			s.report("w", "a", 1, returned, check.Accepted)
			s.grant("w", "a", 2)
			s.view("a", running, 2)
		},
		bad: func(s *script) { s.register("w"); s.submit("a"); s.grant("w", "a", 2); s.view("a", running, 2) },
	},
	{
		oracle: "grants-heard", name: "lost to a fault", cfg: calmForAnHour, want: "no worker was granted attempt 1",
		good: func(s *script) {
			s.register("w")
			s.wait(time.Hour)
			s.beat("w")
			s.submit("a")
			s.grant("w", "a", 2) // The answer with the first may be lost.
			s.view("a", running, 2)
		},
		bad: func(s *script) { s.register("w"); s.submit("a"); s.grant("w", "a", 2); s.view("a", running, 2) },
	},
	{
		oracle: "ends-told", name: "late", cfg: calmForAnHour, want: "client c was not told within 5s",
		good: func(s *script) { ranFor(s, 5*time.Second) },
		bad:  func(s *script) { ranFor(s, 6*time.Second) },
	},
	{
		oracle: "ends-told", name: "cancelled", cfg: calmForAnHour, want: "client c was not told within 5s",
		good: func(s *script) {
			s.submit("a", at("c"))
			s.cancel("a", check.Cancelled)
			s.wait(time.Second)
			s.view("a", cancelled, 0, at("c"))
		},
		bad: func(s *script) {
			s.submit("a", at("c"))
			s.cancel("a", check.Cancelled)
			s.wait(time.Minute)
			s.view("a", cancelled, 0, at("c"))
		},
	},
	{
		oracle: "ends-told", name: "to another", cfg: calmForAnHour, want: "client c was not told within 5s",
		good: func(s *script) { ranFor(s, time.Second) },
		bad: func(s *script) {
			ran(s)
			s.view("a", completed, 1, at("d"))
			s.wait(time.Minute)
			s.view("a", completed, 1, at("c"))
		},
	},
}

func at(host string) edit { return func(e *check.Event) { e.Host = host } }

func ran(s *script) {
	s.register("w")
	s.submit("a", at("c"))
	s.run("w", "a", 1, "1")
}

// ranFor has a client told of an end that long after it.
func ranFor(s *script, told time.Duration) {
	ran(s)
	s.wait(told)
	s.view("a", completed, 1, at("c"))
}

// waited has a heartbeat that may wait for 10 s answered after some time.
func waited(s *script, after time.Duration) {
	c := s.begin()
	s.wait(after)
	e := c.reply(check.HeartbeatReply)
	e.Worker, e.MayWait = "w", 10*time.Second
	s.Add(e)
}

// expired has a host make a call that is not answered for so long.
func expired(s *script, host string, after time.Duration) {
	c := s.begin()
	s.wait(after)
	e := c.reply(check.CallExpired)
	e.Host, e.Detail = host, "WatchJob"
	s.Add(e)
}
