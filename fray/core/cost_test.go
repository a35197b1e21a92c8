package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
)

// costs are steps whose cost must not grow with what is there: each sets n things up and returns
// the step.
var costs = map[string]func(c *crowd, n int) func(){
	"grant behind jobs that were served elsewhere": func(c *crowd, n int) func() {
		s := c.twoPriorities(n)
		return func() { c.granted(s, 1) }
	},
	"grant among live classes": func(c *crowd, n int) func() {
		s := c.liveClasses(n)
		return func() { c.granted(s, 1) }
	},
	"grant among tasks that do not fit": func(c *crowd, n int) func() {
		s := c.tooBig(n)
		return func() { c.granted(s, 1) }
	},
	"submission beside dead classes and polls": func(c *crowd, n int) func() {
		c.deadClasses(n, n)
		return func() { c.submit("j", &core.Shape{Function: "f"}, "t") }
	},
	"submission that no waiting worker has room for": func(c *crowd, n int) func() {
		c.tooBig(n)
		big := &core.Shape{Function: "f", Resources: []core.Resource{{Name: "mem", Amount: int64(n)}}}
		return func() { c.submit("j", big, "t") }
	},
	"registration beside classes": func(c *crowd, n int) func() {
		c.liveClasses(n)
		return func() { c.register(&core.Register{WorkerID: "w2", Slots: 1, Functions: names("f", n)}) }
	},
	"cancellation of a job in a long log": func(c *crowd, n int) func() {
		c.submit("other", &core.Shape{Function: "f"}, names("t", 10*n)...)
		c.submit("j", &core.Shape{Function: "f"}, "a", "b", "c")
		return func() {
			r := c.step(&core.Cancel{Call: c.id(), Job: "j"})
			if got := r[0].Body.(core.CancelReply).JobTasks; got != 3 {
				c.tb.Errorf("%d tasks are cancelled, want 3", got)
			}
		}
	},
	"list of a job in a long log": func(c *crowd, n int) func() {
		c.submit("other", &core.Shape{Function: "f"}, names("t", 10*n)...)
		c.submit("j", &core.Shape{Function: "f"}, "a", "b", "c")
		return func() {
			r := c.step(&core.List{Call: c.id(), Job: "j", Max: 10})[0].Body.(core.ListReply)
			if len(r.Tasks) != 3 || r.Next != 0 {
				c.tb.Errorf("the list has %d tasks and goes on after %d, want 3 and the end", len(r.Tasks), r.Next)
			}
		}
	},
	"list of jobs in a long log": func(c *crowd, n int) func() {
		c.submit("a", &core.Shape{Function: "f"}, names("t", 10*n)...)
		c.submit("b", &core.Shape{Function: "f"}, "b")
		return func() {
			r := c.step(&core.ListJobs{Call: c.id(), Max: 10})[0].Body.(core.JobsReply)
			if len(r.Jobs) != 2 || r.Jobs[0].ID != "b" || r.Jobs[1].Ready != 10*n || r.More {
				c.tb.Errorf("the jobs are %+v", r)
			}
		}
	},
	"grant beside tasks that are to run alone": func(c *crowd, n int) func() {
		s := c.alone(n)
		return func() { c.granted(s, 1) }
	},
	"death of a worker beside tasks that are to run alone": func(c *crowd, n int) func() {
		s := c.alone(n)
		c.poll(s, 1, 1)
		return func() { c.step(&core.Unregister{Call: c.id(), Session: s}) }
	},
	"cancellation of a task that is to run alone": func(c *crowd, n int) func() {
		c.alone(n)
		return func() { c.step(&core.Cancel{Call: c.id(), Job: "lost0"}) }
	},
	"info beside jobs": func(c *crowd, n int) func() {
		c.twoPriorities(n)
		return func() { c.step(&core.Info{Call: c.id()}) }
	},
	"call handed beside callers": func(c *crowd, n int) func() {
		s, _ := c.live("a")
		for i := range n {
			c.offer(callsOf("a", fmt.Sprint("c", i), 2)...)
		}
		return func() { c.granted(s, 1) }
	},
	"call to a dead actor that many have called": func(c *crowd, n int) func() {
		s, life := c.live("a")
		for i := range n {
			c.offer(callsOf("a", fmt.Sprint("c", i), 1)...)
		}
		c.report(s, life, core.Succeeded, time.Second)
		for c.s.Next() <= c.now {
			c.step()
		}
		return func() {
			c.offer(callsOf("a", "late", 1)...)
			if ends := c.ends(); ends != 1 {
				c.tb.Errorf("%d calls end, want 1", ends)
			}
		}
	},
	"actor's end beside actors": func(c *crowd, n int) func() {
		for i := range n {
			id := fmt.Sprint("other", i)
			c.offer(append([]core.NewTask{lifeOf(id)}, callsOf(id, "c", 2)...)...)
		}
		c.offer(append([]core.NewTask{lifeOf("a")}, callsOf("a", "c", 3)...)...)
		return func() {
			c.step(&core.Cancel{Call: c.id(), IDs: []string{"a"}})
			if ends := c.ends(); ends != 4 {
				c.tb.Errorf("%d tasks end, want 4", ends)
			}
		}
	},
}

func (c *crowd) granted(s core.Token, n int) {
	c.tb.Helper()
	if got := len(c.poll(s, n, n)); got != n {
		c.tb.Fatalf("%d tasks are granted, want %d", got, n)
	}
}

// TestCostIsFlat: the same step beside a hundred times as much looks at about as much.
func TestCostIsFlat(t *testing.T) {
	t.Parallel()
	for name, setup := range costs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var looks [3]uint64
			for i, n := range []int{10, 100, 1000} {
				c := newCrowd(t, core.Config{})
				step := setup(c, n)
				step()
				looks[i] = c.looks
				c.check()
			}
			// A tree of a hundred times as much is some 13 levels deeper at most; a few are looked
			// up.
			if most := looks[0] + 150; looks[2] > most {
				t.Errorf("beside 10, 100 and 1,000 it looks at %v things, want %d at most", looks, most)
			}
		})
	}
}

// TestWorstGrant: no single grant of all pays for the others.
func TestWorstGrant(t *testing.T) {
	t.Parallel()
	const jobs = 5000
	c := newCrowd(t, core.Config{})
	s := c.twoPriorities(jobs)
	worst := uint64(0)
	for range jobs {
		c.granted(s, 1)
		worst = max(worst, c.looks)
	}
	if worst > 300 {
		t.Errorf("one grant of %d looks at %d things", jobs, worst)
	}
}

// size is how much an event asks for, and what was done for it.
func (c *crowd) size(e core.Event) int {
	n := 1 + len(c.out.Records) + len(c.out.Replies) + len(c.out.Attempts)
	switch e := e.(type) {
	case *core.Submit:
		n += len(e.Tasks)
	case *core.Cancel:
		n += len(e.IDs)
	case *core.AwaitAny:
		n += len(e.IDs)
	}
	for _, r := range c.out.Replies {
		switch b := r.Body.(type) {
		case core.ListReply:
			n += len(b.Tasks)
		case core.WatchReply:
			n += len(b.Tasks)
		case core.TasksReply:
			n += len(b.Tasks)
		}
	}
	return n
}

// TestStepCostsWhatItDoes does anything in a crowd of jobs, classes, workers and calls: no step
// looks at more than is in proportion to what it is asked and does.
func TestStepCostsWhatItDoes(t *testing.T) {
	t.Parallel()
	const fixed, each, many = 300, 100, 800
	rapid.Check(t, func(rt *rapid.T) {
		c := newCrowd(t, core.Config{MaxRetained: 100})
		upTo := func(name string, most int) int { return rapid.IntRange(0, most).Draw(rt, name) }
		shape := func(i int) *core.Shape {
			sh := &core.Shape{Function: []string{"f", "g", "nobody"}[i%3], Priority: int32(i % 2), MaxWorkerLosses: 1}
			switch upTo("needs", 3) {
			case 0:
				sh.Resources = []core.Resource{{Name: "mem", Amount: int64(i%97 + 1)}}
			case 1:
				sh.Labels = []core.Label{{Name: "host", Value: fmt.Sprint("h", i%5)}}
			case 2:
				sh.Function = fmt.Sprint("nobody", i)
			}
			return sh
		}
		var sessions []core.Token
		worker := func(i int) {
			sessions = append(sessions, c.register(&core.Register{
				WorkerID: fmt.Sprint("w", i), Slots: 4, Functions: []string{"f", "g"}[:i%2+1],
				Resources: []core.Resource{{Name: "mem", Amount: 50}}, Labels: map[string]string{"host": fmt.Sprint("h", i)},
			}))
		}
		tasks := 0
		id := func() string {
			tasks++
			return fmt.Sprint("t", tasks)
		}
		crowded := upTo("crowd of", 2)
		for i := range many {
			c.submit(fmt.Sprint("j", i), shape(i*(crowded+1)), id())
			if i%4 == 0 {
				worker(i)
				c.poll(sessions[len(sessions)-1], upTo("free", 1), 2)
			}
			if i%3 == 0 {
				c.step(&core.Await{Call: c.id(), ID: "t1", Until: c.until()})
			}
		}
		held := make(map[core.Token][]core.Grant)
		lives := make(map[string]uint64) // And the last number of a call to each.
		var actors []string
		for n := range upTo("steps", 60) {
			var e core.Event
			job := fmt.Sprint("j", upTo("job", many))
			switch upTo("event", 12) {
			case 10:
				actors = append(actors, id())
				life := core.Shape{Function: "f", Role: core.Life, MaxWorkerLosses: 1, MaxRetries: 1}
				e = &core.Submit{Call: c.id(), Job: job, Tasks: []core.NewTask{{ID: actors[len(actors)-1], Shape: &life, Actor: &core.NewActor{}}}}
			case 11, 12:
				if len(actors) == 0 {
					continue
				}
				calls := &core.Submit{Call: c.id(), Job: job}
				a := actors[upTo("actor", len(actors)-1)]
				for range upTo("calls", 30) {
					lives[a]++
					call := &core.NewCall{Actor: a, Caller: "c", Number: lives[a]}
					calls.Tasks = append(calls.Tasks, core.NewTask{ID: id(), Shape: &core.Shape{Function: "f", Role: core.ActorCall}, ActorCall: call})
				}
				e = calls
			case 0:
				e = &core.Submit{Call: c.id(), Job: job, Tasks: []core.NewTask{{ID: id(), Shape: shape(n)}}}
			case 1:
				e = &core.Cancel{Call: c.id(), Job: job, IDs: []string{fmt.Sprint("t", upTo("id", tasks))}}
			case 2:
				e = &core.AwaitAny{Call: c.id(), IDs: []string{fmt.Sprint("t", upTo("id", tasks))}, Until: c.until()}
			case 3:
				e = &core.Watch{Call: c.id(), Job: job, Max: 3, Until: c.until()}
			case 4:
				e = &core.Forsake{Call: core.CallID(upTo("call", many))} // Not negative.
			case 5:
				e = &core.Info{Call: c.id()}
			case 6:
				e = &core.List{Call: c.id(), Job: job, Max: 5}
			case 7:
				e = &core.Unregister{Call: c.id(), Session: sessions[upTo("session", len(sessions)-1)]}
			default:
				s := sessions[upTo("session", len(sessions)-1)]
				if gs := held[s]; len(gs) > 0 {
					g := gs[0]
					held[s] = gs[1:]
					outcome := []core.Outcome{core.Succeeded, core.Returned, core.FailedOutcome}[upTo("outcome", 2)]
					if slices.Contains(actors, g.ID) && upTo("end", 2) > 0 {
						outcome = core.ReadyOutcome
						held[s] = append(held[s], g)
					}
					e = &core.Report{Call: c.id(), Session: s, Items: []core.ReportItem{{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: outcome}}}
					break
				}
				c.polls[s]++
				seq := c.polls[s]
				e = &core.Poll{Call: c.id(), Session: s, Seq: seq, Received: seq - 1, Free: 1, Max: 2, Until: c.until()}
			}
			c.now = c.now.Add(time.Millisecond)
			for _, r := range c.step(e) {
				if b, ok := r.Body.(core.PollReply); ok && r.Call == c.call {
					s := e.(*core.Poll).Session
					held[s] = append(held[s], b.Grants...)
				}
			}
			if most := fixed + each*c.size(e); c.looks > uint64(most) { // Not negative.
				rt.Fatalf("%T looks at %d things, want %d at most", e, c.looks, most)
			}
		}
		if err := c.s.Check(); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestEvenShare: tasks that nobody who waits can run are not shared out among those who do.
func TestEvenShare(t *testing.T) {
	t.Parallel()
	for _, waiting := range []string{"none", "of a function that no worker has", "of a label that no worker has", "too big for the room that is left"} {
		t.Run(waiting, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, core.Config{})
			sh := &core.Shape{Function: "f"}
			switch waiting {
			case "of a function that no worker has":
				sh.Function = "nobody"
			case "of a label that no worker has":
				sh.Labels = []core.Label{{Name: "zone", Value: "moon"}}
			case "too big for the room that is left":
				sh.Resources = []core.Resource{{Name: "mem", Amount: 10}}
			}
			if waiting != "none" {
				c.submit("dead", sh, names("dead", 1000)...)
			}
			var workers []core.Token
			for i := range 10 {
				s := c.register(&core.Register{WorkerID: fmt.Sprint("w", i), Slots: 2, Functions: []string{"f"}, Resources: []core.Resource{{Name: "mem", Amount: 10}}})
				if waiting == "too big for the room that is left" {
					c.granted(s, 1)
				}
				c.poll(s, 1, 11)
				workers = append(workers, s)
			}
			e := &core.Submit{Call: c.id(), Job: "j"}
			for _, id := range names("t", 10) {
				e.Tasks = append(e.Tasks, core.NewTask{ID: id, Shape: &core.Shape{Function: "f"}})
			}
			var got []int
			for _, r := range c.step(e) {
				if b, ok := r.Body.(core.PollReply); ok {
					got = append(got, len(b.Grants))
				}
			}
			if want := slices.Repeat([]int{1}, len(workers)); !slices.Equal(got, want) {
				t.Errorf("10 idle workers are granted %v of 10 tasks", got)
			}
			c.check()
		})
	}
}

// TestShareAmongKinds: workers that can run more than others do not take what those could run.
func TestShareAmongKinds(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, core.Config{})
	for i, fs := range [][]string{{"f", "g"}, {"f"}, {"f"}, {"f"}} {
		c.poll(c.register(&core.Register{WorkerID: fmt.Sprint("w", i), Slots: 1, Functions: fs}), 1, 40)
	}
	e := []core.Event{
		&core.Submit{Call: c.id(), Job: "j", Tasks: []core.NewTask{{ID: "a", Shape: &core.Shape{Function: "f"}}, {ID: "b", Shape: &core.Shape{Function: "f"}}, {ID: "c", Shape: &core.Shape{Function: "f"}}, {ID: "d", Shape: &core.Shape{Function: "f"}}}},
		&core.Submit{Call: c.id(), Job: "j", Tasks: []core.NewTask{{ID: "x", Shape: &core.Shape{Function: "g"}}, {ID: "y", Shape: &core.Shape{Function: "g"}}}},
	}
	polls := 0
	for _, r := range c.step(e...) {
		if b, ok := r.Body.(core.PollReply); ok && len(b.Grants) > 0 {
			polls++
		}
	}
	if polls != 4 {
		t.Errorf("%d of 4 workers are granted something of 4 tasks that all can run", polls)
	}
	c.check()
}

// TestBoundsCountTheLiving: what has ended, and calls that wait, use up no room for classes and
// jobs with work.
func TestBoundsCountTheLiving(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, core.Config{MaxClasses: 4, MaxJobs: 3})
	for i := range 600 { // More than are kept idle.
		id := fmt.Sprint("t", i)
		shape := &core.Shape{Function: fmt.Sprint("f", i), Labels: []core.Label{{Name: "host", Value: fmt.Sprint(i % 7)}}}
		if r := c.submit(fmt.Sprint("j", i), shape, id); r[0].Verdict != core.SubmitCreated {
			t.Fatalf("class %d of tasks of which none is open is refused: %d", i, r[0].Verdict)
		}
		c.step(&core.Cancel{Call: c.id(), IDs: []string{id}})
		c.step(&core.Watch{Call: c.id(), Job: fmt.Sprint("nowhere", i), Max: 1, Until: c.until()})
	}
	c.check()
	for i := range 4 { // Those of three jobs and four classes.
		if r := c.submit(fmt.Sprint("j", i%3), &core.Shape{Function: fmt.Sprint("f", i)}, fmt.Sprint("open", i)); r[0].Verdict != core.SubmitCreated {
			t.Fatalf("class %d is refused: %d", i, r[0].Verdict)
		}
	}
	if r := c.submit("j0", &core.Shape{Function: "fifth"}, "u"); r[0].Verdict != core.SubmitTooManyClasses {
		t.Errorf("a fifth class of open tasks: verdict %d", r[0].Verdict)
	}
	for _, job := range []string{"j599", "nowhere1", "new"} { // Ended tasks, a watcher, nothing.
		if r := c.submit(job, &core.Shape{Function: "f1"}, "v"); r[0].Verdict != core.SubmitShare {
			t.Errorf("%s as the fourth job with open tasks: verdict %d", job, r[0].Verdict)
		}
	}
	c.check()
}

// TestOldestReadyAge: the age is that of the task that has waited longest, wherever it stands in
// its queue.
func TestOldestReadyAge(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, core.Config{})
	s := c.register(&core.Register{WorkerID: "w", Slots: 4, Functions: []string{"f"}})
	retried := &core.Shape{Function: "f", MaxRetries: 9, Priority: 1}
	age := func() time.Duration {
		return c.step(&core.Info{Call: c.id()})[0].Body.(core.InfoReply).OldestReadyAge
	}
	want := func(what string, d time.Duration) {
		t.Helper()
		if got := age(); got != d {
			t.Errorf("%s: the oldest has waited %v, want %v", what, got, d)
		}
		c.check()
	}
	want("nothing is ready", 0)
	c.submit("j", &core.Shape{Function: "f"}, "a", "b", "c")
	for range 100 {
		g := c.poll(s, 1, 1)[0]
		c.now = c.now.Add(time.Second)
		c.report(s, g, core.Returned, 0)
	}
	want("the first is given back again and again", 100*time.Second)
	for range 3 {
		c.report(s, c.poll(s, 1, 1)[0], core.Succeeded, time.Second)
	}
	want("all have ended", 0)
	c.submit("j", &core.Shape{Function: "f"}, "alone")
	for range 3 {
		g := c.poll(s, 1, 1)[0]
		c.now = c.now.Add(time.Second)
		c.report(s, g, core.Returned, 0)
	}
	want("the only one is given back again and again", 3*time.Second)
	c.report(s, c.poll(s, 1, 1)[0], core.Succeeded, time.Second)
	c.submit("j", retried, "r")
	g := c.poll(s, 1, 1)[0]
	c.now = c.now.Add(time.Hour)
	c.report(s, g, core.FailedOutcome, time.Hour)
	c.now = c.now.Add(time.Second)
	c.step()
	c.now = c.now.Add(time.Second)
	c.submit("j", &core.Shape{Function: "nobody"}, "n")
	c.now = c.now.Add(time.Second)
	want("one that ran for an hour is to be tried again", 3*time.Second)
	c.report(s, c.poll(s, 1, 1)[0], core.Succeeded, time.Second)
	want("one waits that nobody can run", time.Second)
}

// TestLargeStepIsLetGo: what a large step needed is not kept once it is over.
func TestLargeStepIsLetGo(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, core.Config{})
	c.submit("j", &core.Shape{Function: "f"}, names("t", 50_000)...)
	c.out.Reset()
	if n := cap(c.out.Records); n > 4096 {
		t.Errorf("effects keep room for %d records", n)
	}
	c.submit("j", &core.Shape{Function: "f"}, names("u", 100)...)
	c.out.Reset()
	if n := cap(c.out.Records); n < 100 {
		t.Errorf("effects keep room for %d records, want that of an ordinary step", n)
	}
}

// To find a worker's tasks among many that no worker ever had costs far less than a look at each.
func TestWorkersTasksAreFoundAmongManyThatWait(t *testing.T) {
	t.Parallel()
	const many = 100_000
	c := newCrowd(t, core.Config{MaxOpenTasks: 2 * many})
	s := c.register(&core.Register{WorkerID: "w", Slots: 1, Functions: []string{"f"}})
	c.submit("j", &core.Shape{Function: "f"}, "first")
	c.granted(s, 1)
	c.submit("j", &core.Shape{Function: "f"}, names("t", many)...)
	for _, latest := range []bool{false, true} {
		r := c.step(&core.List{Call: c.id(), Worker: "w", Newest: latest, Max: 10})[0].Body.(core.ListReply)
		if len(r.Tasks) != 1 || r.Tasks[0].ID != "first" || r.Next != 0 {
			t.Errorf("the worker's tasks are %+v", r)
		}
		if c.looks > many/50 {
			t.Errorf("the list looks at %d things", c.looks)
		}
	}
}
