package core_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

func (c *crowd) pending(owner string) core.PendingReply {
	return c.step(&core.ListPending{Call: c.id(), Owner: owner})[0].Body.(core.PendingReply)
}

// A million tasks that wait for a worker are counted without a look at each, and since when no worker could run them is
// told of all at once.
func TestPendingTasksAreCountedInTheirQueues(t *testing.T) {
	t.Parallel()
	const many = 100_000
	c := newCrowd(t, core.Config{MaxOpenTasks: 2 * many})
	began := c.now
	c.submit("j", &core.Shape{Function: "f"}, names("t", many)...)
	c.now = c.now.Add(time.Hour)
	c.submit("k", &core.Shape{Function: "f"}, "later")
	c.submit("k", &core.Shape{Function: "g"}, "other")
	r := c.pending("")
	if c.looks > 1000 {
		t.Errorf("to count %d tasks it looks at %d things", many, c.looks)
	}
	want := "[{NO_ELIGIBLE_WORKER f there is no worker 100001 1 t0 %d} {NO_ELIGIBLE_WORKER g there is no worker 1 100002 other %d}]"
	if want = fmt.Sprintf(want, began, c.now); fmt.Sprint(r.Groups) != want || r.Total != many+2 || r.Partial {
		t.Errorf("pending are %v, want %s", r, want)
	}
	c.register(&core.Register{WorkerID: "w", Slots: 1, Functions: []string{"f"}})
	if g := c.pending("").Groups[0]; g.Reason != core.Ready || g.Since != began || g.Count != many+1 {
		t.Errorf("beside a worker the first group is %v", g)
	}
	c.now = c.now.Add(time.Hour)
	c.step(&core.Drain{Call: c.id(), WorkerID: "w", Grace: time.Hour})
	if g := c.pending("").Groups[0]; g.Reason != core.NoEligibleWorker || g.Since != c.now || g.Detail != `every worker with the function "f" is leaving` {
		t.Errorf("once the worker is told to leave the first group is %v, want it since %v", g, c.now)
	}
}

// Of what waits for something else than a worker only so much is looked at, and that is said.
func TestPendingTasksAreLookedAtUpToABound(t *testing.T) {
	t.Parallel()
	const many = 30_000
	c := newCrowd(t, core.Config{MaxOpenTasks: 2 * many})
	for i := range 3 {
		e := &core.Submit{Call: c.id(), Job: fmt.Sprint("j", i)}
		for _, id := range names(fmt.Sprint("t", i, "."), many/3) {
			e.Tasks = append(e.Tasks, core.NewTask{ID: id, Shape: &core.Shape{Function: "f"}, NotBefore: c.now.Add(time.Hour)})
		}
		c.step(e)
	}
	r := c.pending("")
	if r.Total != many || !r.Partial || len(r.Groups) != 1 || r.Groups[0].Count != 20_000 || r.Groups[0].Reason != core.Delayed {
		t.Errorf("pending are %+v", r)
	}
	if c.looks > many {
		t.Errorf("it looks at %d things", c.looks)
	}
}

// A caller is told of its own tasks.
func TestPendingTasksOfOthersAreNotTold(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, core.Config{})
	for _, by := range []string{"alice", "bob"} {
		for _, at := range []core.Time{0, c.now.Add(time.Hour)} {
			task := core.NewTask{ID: fmt.Sprint(by, at), Shape: &core.Shape{Function: "f"}, NotBefore: at}
			c.step(&core.Submit{Call: c.id(), Job: by, By: by, Tasks: []core.NewTask{task}})
		}
	}
	for owner, want := range map[string]int{"alice": 2, "bob": 2, "": 4, "carol": 0} {
		r := c.pending(owner)
		n := 0
		for _, g := range r.Groups {
			n += g.Count
		}
		if r.Total != want || n != want {
			t.Errorf("%q is told of %+v, want %d tasks", owner, r, want)
		}
	}
}
