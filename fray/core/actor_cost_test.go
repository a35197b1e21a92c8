package core_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// offer submits tasks of one job, and fails if one is not taken.
func (c *crowd) offer(tasks ...core.NewTask) {
	c.tb.Helper()
	for _, r := range c.step(&core.Submit{Call: c.id(), Job: "j", Tasks: tasks}) {
		b, ok := r.Body.(core.SubmitReply)
		if !ok {
			continue
		}
		for i := range b.Results {
			if v := b.Results[i].Verdict; v != core.SubmitCreated {
				c.tb.Fatalf("task %s is not taken: verdict %d", tasks[i].ID, v)
			}
		}
	}
}

func lifeOf(id string) core.NewTask {
	return core.NewTask{ID: id, Shape: &core.Shape{Function: "f", Role: core.Life}, Actor: &core.NewActor{}}
}

// calls returns n calls of a caller to an actor.
func callsOf(actor, caller string, n int) []core.NewTask {
	shape := &core.Shape{Function: "f", Role: core.ActorCall}
	calls := make([]core.NewTask, n)
	for i := range calls {
		calls[i] = core.NewTask{
			ID: fmt.Sprint(actor, caller, i), Shape: shape, ActorCall: &core.NewCall{Actor: actor, Caller: caller, Number: uint64(i + 1)},
		}
	}
	return calls
}

// live has an actor live at a worker that is new, and returns its session and the actor's lease.
func (c *crowd) live(actor string) (core.Token, core.Grant) {
	c.tb.Helper()
	s := c.register(&core.Register{WorkerID: "of " + actor, Slots: 4, Functions: []string{"f"}})
	c.offer(lifeOf(actor))
	g := c.poll(s, 1, 1)
	if len(g) != 1 {
		c.tb.Fatalf("%d actors are placed", len(g))
	}
	c.report(s, g[0], core.ReadyOutcome, 0)
	return s, g[0]
}

// ends counts what the last step ended.
func (c *crowd) ends() (n int) {
	for _, r := range c.out.Records {
		if r.Kind == core.RecordEnd {
			n++
		}
	}
	return n
}

// TestDeathMovesInPortions: the calls of a dead actor end some in each step, and others are served meanwhile.
func TestDeathMovesInPortions(t *testing.T) {
	t.Parallel()
	const each, callers, portion = 2500, 4, 1024
	c := newCrowd(t, core.Config{})
	s, life := c.live("a")
	for i := range callers {
		c.offer(callsOf("a", fmt.Sprint("c", i), each)...)
	}
	c.offer(core.NewTask{ID: "plain", Shape: &core.Shape{Function: "f"}})
	c.report(s, life, core.FailedOutcome, time.Second)
	ended, steps := c.ends()-1, 1
	if c.looks > 4*portion {
		t.Errorf("the step of the death looks at %d things", c.looks)
	}
	if got := c.poll(s, 1, 1); len(got) != 1 || got[0].ID != "plain" {
		t.Errorf("beside the calls of a dead actor a worker is granted %v", got)
	}
	for ended += c.ends(); c.s.Next() <= c.now; ended += c.ends() {
		if steps++; steps > 100 {
			t.Fatal("the scheduler wants to be woken for ever")
		}
		c.step()
		if n := c.ends(); n > portion || c.looks > 4*portion {
			t.Errorf("step %d ends %d calls and looks at %d things", steps, n, c.looks)
		}
	}
	if want := each * callers; ended != want || steps < want/portion {
		t.Errorf("%d calls end in %d steps, want %d in %d or more", ended, steps, want, want/portion)
	}
	c.check()
}

// TestCallsAreCancelledInAnyOrder: to take a call out of its mailbox costs no more than finding it.
func TestCallsAreCancelledInAnyOrder(t *testing.T) {
	const n = 100_000
	for name, order := range map[string]func(ids []string){
		"first to last": func([]string) {},
		"last to first": slices.Reverse[[]string],
		"at random": func(ids []string) {
			rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, k int) { ids[i], ids[k] = ids[k], ids[i] })
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, core.Config{})
			c.offer(lifeOf("a"))
			calls := callsOf("a", "c", n)
			c.offer(calls...)
			ids := make([]string, n)
			for i := range calls {
				ids[i] = calls[i].ID
			}
			order(ids)
			began := time.Now()
			c.step(&core.Cancel{Call: c.id(), IDs: ids})
			if took := time.Since(began); took > enough {
				t.Errorf("%d calls are cancelled in %v", n, took)
			}
			if ends := c.ends(); ends != n {
				t.Errorf("%d calls end, want %d", ends, n)
			}
			c.check()
		})
	}
}
