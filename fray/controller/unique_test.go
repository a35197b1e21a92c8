package controller_test

import (
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func unique(id, key string, period time.Duration) *frayv1.TaskSpec {
	s := spec(id)
	s.Unique = &frayv1.UniqueSpec{Key: key, PeriodMs: period.Milliseconds()}
	return s
}

// Who submits another task of a key is told of the first, also once that has completed and the controller has started
// anew.
func TestTaskIsTheOnlyOneOfItsKey(t *testing.T) {
	t.Parallel()
	kept := lasting{store.NewMemory()}
	c := startOn(t, kept)
	c.mustOffer(unique("a", "k", time.Hour))
	if r, err := c.offer(unique("b", "k", 0)); err != nil || r.GetCreated() || r.GetTask().GetTaskId() != "a" {
		t.Errorf("got %v, %v", r, err)
	}
	w := c.worker("w")
	w.report(succeeded(w.one(), "1"))
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	c = startOn(t, kept)
	many, err := c.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "job", Tasks: []*frayv1.TaskSpec{spec("x"), unique("c", "k", 0)}})
	if err != nil || many.GetExistingCount() != 1 || many.GetExistingActors()[0].GetActorId() != "a" || many.GetExistingActors()[0].GetIndex() != 1 {
		t.Errorf("many: %v, %v", many, err)
	}
	other := unique("d", "k", 0)
	other.Function = "g"
	_, err = c.offer(other)
	wantRefusal(t, err, wire.ReasonSpecDiffers, `unique key "k": task "a" of function "f" has it, not one of "g": choose another key`)
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	c := start(t, func(c *controller.Config) { c.Core.Retention = time.Minute })
	_, err := c.offer(unique("a", "", 0))
	wantRefusal(t, err, wire.ReasonInvalid, "unique.key: must have 1 to 128 characters, has 0")
	_, err = c.offer(unique("a", "k", time.Hour))
	wantRefusal(t, err, wire.ReasonInvalid,
		`task "a": unique.period_ms: is 1h0m0s, and this controller keeps tasks for 1m0s once they have ended: ask for less, or have it keep them longer`)
	life := unique("a", "k", 0)
	life.Actor = &frayv1.ActorSpec{}
	_, err = c.offer(life)
	wantRefusal(t, err, wire.ReasonInvalid, "unique: lives of actors, calls and schedules are not unique by a key")
	fails := unique("fails", "k", time.Second)
	c.mustOffer(fails)
	w := c.worker("w")
	w.report(failedWith(w.one(), "no luck"))
	wantTold(t, c.retry("r", "fails"), "fails/retry-r")
	c.mustOffer(unique("again", "k", time.Second))
	if got := c.status("again").GetTaskId(); got != "again" {
		t.Errorf("got %v", got)
	}
}
