package core_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// crowd is a scheduler with much in it, of which a test asks what one step more costs.
type crowd struct {
	tb   testing.TB
	s    *core.Scheduler
	now  core.Time
	out  core.Effects
	call core.CallID
	// What the last step looked at.
	looks uint64
	polls map[core.Token]uint64
}

func newCrowd(tb testing.TB, cfg core.Config) *crowd {
	tb.Helper()
	cfg.Incarnation = 1
	cfg.SessionTTL, cfg.DeliveryTimeout = 1000*time.Hour, 1000*time.Hour
	return &crowd{tb: tb, s: core.NewScheduler(cfg), now: epoch, polls: make(map[core.Token]uint64)}
}

func (c *crowd) id() core.CallID {
	c.call++
	return c.call
}

func (c *crowd) until() core.Time { return c.now.Add(100 * time.Hour) }

func (c *crowd) step(events ...core.Event) []core.Reply {
	c.out.Reset()
	before := c.s.Looks()
	c.s.Step(c.now, &c.out, events...)
	c.looks = c.s.Looks() - before
	return c.out.Replies
}

func (c *crowd) submit(job string, shape *core.Shape, ids ...string) []core.SubmitResult {
	e := &core.Submit{Call: c.id(), Job: job}
	for _, id := range ids {
		e.Tasks = append(e.Tasks, core.NewTask{ID: id, Shape: shape})
	}
	for _, r := range c.step(e) {
		if b, ok := r.Body.(core.SubmitReply); ok {
			return b.Results
		}
	}
	c.tb.Fatal("a submission is not answered")
	return nil
}

func (c *crowd) register(w *core.Register) core.Token {
	w.Call, w.RegistrationID = c.id(), fmt.Sprint(c.call)
	r := c.step(w)
	return r[len(r)-1].Body.(core.RegisterReply).Session
}

// poll asks for work, and returns what is granted at once.
func (c *crowd) poll(s core.Token, free, most int) []core.Grant {
	c.polls[s]++
	n := c.polls[s]
	for _, r := range c.step(&core.Poll{Call: c.id(), Session: s, Seq: n, Received: n - 1, Free: free, Max: most, Held: -1, Until: c.until()}) {
		if b, ok := r.Body.(core.PollReply); ok && r.Call == c.call {
			return b.Grants
		}
	}
	return nil
}

func (c *crowd) report(s core.Token, g core.Grant, outcome core.Outcome, ran time.Duration) {
	c.step(&core.Report{Call: c.id(), Session: s, Items: []core.ReportItem{
		{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: outcome, Ran: ran},
	}})
}

func (c *crowd) check() {
	c.tb.Helper()
	if err := c.s.Check(); err != nil {
		c.tb.Error(err)
	}
}

// names returns n of them.
func names(prefix string, n int) []string {
	ns := make([]string, n)
	for i := range ns {
		ns[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return ns
}

// twoPriorities has n jobs queue a task each in two priorities, in opposite orders, and returns the
// session of a worker that was granted all of the higher priority.
func (c *crowd) twoPriorities(n int) core.Token {
	hi, lo := &core.Shape{Function: "f", Priority: 1}, &core.Shape{Function: "f"}
	for i := range n {
		c.submit(fmt.Sprint("job", i), hi, fmt.Sprint("high", i))
	}
	for i := n - 1; i >= 0; i-- {
		c.submit(fmt.Sprint("job", i), lo, fmt.Sprint("low", i))
	}
	s := c.register(&core.Register{WorkerID: "w", Slots: 2 * n, Functions: []string{"f"}})
	if got := len(c.poll(s, n, n)); got != n {
		c.tb.Fatalf("%d tasks of the higher priority are granted, want %d", got, n)
	}
	return s
}

// deadClasses has n classes queue that no worker can run, and m workers wait for work of another.
func (c *crowd) deadClasses(n, m int) {
	c.submit("j", &core.Shape{Function: "f"}, "first") // Workers take their places for it as they come.
	for i := range m {
		c.poll(c.register(&core.Register{WorkerID: fmt.Sprint("w", i), Slots: 8, Functions: []string{"f"}}), 8, 8)
	}
	for i := range n {
		c.submit("dead", &core.Shape{Function: fmt.Sprint("nobody", i)}, fmt.Sprint("dead", i))
	}
}

// liveClasses has one job queue two tasks of each of n functions, and returns the session of a
// worker that has them all.
func (c *crowd) liveClasses(n int) core.Token {
	fs := names("f", n)
	s := c.register(&core.Register{WorkerID: "w", Slots: 2 * n, Functions: fs})
	for _, f := range fs {
		c.submit("j", &core.Shape{Function: f}, f+"a", f+"b")
	}
	return s
}

// tooBig has n workers wait whose memory is in use, and a task of each size up to n queue, the
// largest first. It returns the session of a worker that has memory for those up to half of that.
func (c *crowd) tooBig(n int) core.Token {
	memory := []core.Resource{{Name: "mem", Amount: int64(2 * n)}}
	for i := range n {
		c.submit("j", &core.Shape{Function: "f", Resources: memory}, fmt.Sprint("hog", i))
		s := c.register(&core.Register{WorkerID: fmt.Sprint("w", i), Slots: 8, Functions: []string{"f"}, Resources: memory})
		c.poll(s, 8, 8)
		c.poll(s, 7, 8)
	}
	for i := n; i > 0; i-- {
		c.submit("j", &core.Shape{Function: "f", Resources: []core.Resource{{Name: "mem", Amount: int64(i)}}}, fmt.Sprint("t", i))
	}
	s := c.register(&core.Register{WorkerID: "roomy", Slots: 2 * n, Functions: []string{"f"}, Resources: memory})
	c.submit("j", &core.Shape{Function: "f", Resources: []core.Resource{{Name: "mem", Amount: int64(2*n - n/2)}}, Priority: 1}, "roomy hog")
	c.granted(s, 1)
	return s
}

// alone has n jobs each with a task that is to run alone, and as many with other tasks. Of two workers
// that have something to do one is set aside; it returns the other.
func (c *crowd) alone(n int) core.Token {
	w := c.register(&core.Register{WorkerID: "dead", Slots: n, Functions: []string{"f"}})
	for i := range n {
		c.submit(fmt.Sprint("lost", i), &core.Shape{Function: "f", MaxWorkerLosses: 1}, fmt.Sprint("l", i))
	}
	c.poll(w, n, n)
	c.step(&core.Unregister{Call: c.id(), Session: w})
	c.submit("urgent", &core.Shape{Function: "f", Priority: 1}, "u1", "u2")
	var sessions []core.Token
	for _, id := range []string{"w1", "w2"} {
		s := c.register(&core.Register{WorkerID: id, Slots: 2, Functions: []string{"f"}})
		c.granted(s, 1)
		sessions = append(sessions, s)
	}
	for i := range n {
		c.submit(fmt.Sprint("j", i), &core.Shape{Function: "f"}, fmt.Sprint("t", i))
	}
	if got := c.poll(sessions[0], 1, 1); len(got) > 0 {
		c.tb.Fatalf("a worker is granted %v, and should be set aside", got)
	}
	return sessions[1]
}
