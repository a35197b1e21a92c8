package controller_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

// life is the spec of an actor of a name.
func life(id, name, input string) *frayv1.TaskSpec {
	s := spec(id)
	s.Payload.Data, s.Actor = []byte(input), &frayv1.ActorSpec{Name: name}
	return s
}

func callOf(actor, id string, number uint64) *frayv1.TaskSpec {
	s := spec(id)
	s.Call = &frayv1.ActorCall{ActorId: actor, CallerId: "me", Number: number}
	return s
}

// offer submits one task.
func (c *cluster) offer(s *frayv1.TaskSpec) (*frayv1.SubmitTaskResponse, error) {
	return c.SubmitTask(c.t.Context(), &frayv1.SubmitTaskRequest{JobId: "job", Task: s})
}

func (c *cluster) mustOffer(s *frayv1.TaskSpec) *frayv1.Task {
	c.t.Helper()
	r, err := c.offer(s)
	if err != nil {
		c.t.Fatal(err)
	}
	return r.GetTask()
}

// ready says of a life that it takes calls.
func ready(t *frayv1.LeasedTask) *frayv1.TaskReport {
	return &frayv1.TaskReport{Attempt: t.GetAttempt(), Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_READY}
}

func (w *worker) one() *frayv1.LeasedTask {
	w.c.t.Helper()
	tasks := w.lease(4)
	if len(tasks) != 1 {
		w.c.t.Fatalf("leased %v, want one", tasks)
	}
	return tasks[0]
}

func (c *cluster) actors(name string) string {
	c.t.Helper()
	r, err := c.ListActors(c.t.Context(), &frayv1.ListActorsRequest{Name: name})
	if err != nil {
		c.t.Fatal(err)
	}
	var b strings.Builder
	for _, a := range r.GetActors() {
		fmt.Fprintf(&b, "%s %q %v restarts %d of %d, calls %d, handed %d; ", a.GetActorId(), a.GetName(),
			strings.TrimPrefix(a.GetState().String(), "ACTOR_STATE_"), a.GetRestartCount(), a.GetMaxRestarts(), a.GetOpenCallCount(), a.GetHandedCallCount())
	}
	return b.String()
}

// An actor that loses its worker goes on from its checkpoint, also over a restart of the controller, and once it
// is deleted and forgotten nothing is left of it in the store.
func TestActorGoesOnFromItsCheckpoint(t *testing.T) {
	t.Parallel()
	kept := lasting{store.NewMemory()}
	c := startOn(t, kept)
	c.mustOffer(life("a", "top", "5"))
	for i := range 3 {
		c.mustOffer(callOf("a", fmt.Sprint("c", i), uint64(i+1)))
	}
	w := c.worker("w")
	incarnation := w.one()
	if incarnation.GetSpec().GetActor().GetName() != "top" || incarnation.GetCheckpoint() != nil || incarnation.GetLifeLeaseToken() != 0 {
		t.Fatalf("the first incarnation is %v", incarnation)
	}
	if got, want := c.actors(""), `a "top" PLACED restarts 0 of 3, calls 3, handed 0; `; got != want {
		t.Errorf("actors: %s, want %s", got, want)
	}
	w.report(ready(incarnation))
	first := w.one()
	if first.GetLifeLeaseToken() != incarnation.GetAttempt().GetLeaseToken() {
		t.Errorf("the call is for another incarnation: %v", first)
	}
	done := succeeded(first, "1")
	done.Checkpoint = &frayv1.Payload{Encoding: "raw", Data: []byte("one")}
	w.report(done)
	second := w.one()
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}

	c = startOn(t, kept)
	w = c.worker("w2") // The other may come yet, and does not.
	if _, err := c.RegisterWorker(t.Context(), &frayv1.RegisterWorkerRequest{
		WorkerId: "w", RegistrationId: "again", Slots: 4, Functions: []string{"f"}, Fresh: true,
	}); err != nil {
		t.Fatal(err)
	}
	next := w.one()
	if got := next.GetCheckpoint(); next.GetAttempt().GetTaskId() != "a" || string(got.GetData()) != "one" || got.GetEncoding() != "raw" {
		t.Fatalf("the next incarnation is %v", next)
	}
	lost := await(t, c, second.GetAttempt().GetTaskId())
	if lost.GetTask().GetFailureReason() != frayv1.FailureReason_FAILURE_REASON_ACTOR_RESTARTED {
		t.Errorf("the call that was handed to the first ended as %v", lost)
	}
	if got, want := c.actors("top"), `a "top" PLACED restarts 1 of 3, calls 1, handed 0; `; got != want {
		t.Errorf("actors: %s, want %s", got, want)
	}
	if v, err := c.CancelTasks(t.Context(), &frayv1.CancelTasksRequest{TaskIds: []string{"a"}}); err != nil || v.GetVerdicts()[0] != frayv1.CancelVerdict_CANCEL_VERDICT_STOPPING {
		t.Fatalf("delete: %v, %v", v, err)
	}
	w.report(&frayv1.TaskReport{Attempt: next.GetAttempt(), Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STOPPED})
	dead := await(t, c, "c2")
	if want := "actor a is dead: it was deleted"; dead.GetTask().GetFailureReason() != frayv1.FailureReason_FAILURE_REASON_ACTOR_DEAD ||
		dead.GetError().GetMessage() != want || dead.GetError().GetType() != "actor dead" {
		t.Errorf("a call of a dead actor ended as %v", dead)
	}
	if got := c.actors("top"); got != "" {
		t.Errorf("somebody still has the name: %s", got)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}

	c = start(t, func(cfg *controller.Config) {
		cfg.Store, cfg.Core.Retention, cfg.Core.WatchGrace = kept, time.Nanosecond, time.Millisecond
	})
	for c.actors("") != "" {
		time.Sleep(time.Millisecond)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	if err := kept.Scan(store.Checkpoint, 0, func(num uint64, value []byte) error {
		return fmt.Errorf("%d: %q", num, value)
	}); err != nil {
		t.Errorf("a checkpoint is left: %v", err)
	}
}

// await waits for the end of a task.
func await(t *testing.T, c *cluster, id string) *frayv1.TaskResult {
	t.Helper()
	r, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: id, MaxWaitMs: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetResult()
}

// A name is one actor's. Who creates another with the same class and input gets that one.
func TestActorIsGotIfItExists(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	c.mustOffer(life("a", "top", "5"))
	r, err := c.offer(life("b", "top", "5"))
	if err != nil || r.GetCreated() || r.GetTask().GetTaskId() != "a" {
		t.Errorf("got %v, %v", r, err)
	}
	_, err = c.offer(life("c", "top", "6"))
	wantRefusal(t, err, wire.ReasonSpecDiffers, `actor name "top": there is an actor under it that was constructed from another input: choose another name, or delete that one, a`)
	other := life("d", "top", "5")
	other.Function = "g"
	_, err = c.offer(other)
	wantRefusal(t, err, wire.ReasonSpecDiffers, `actor name "top": there is an actor of class "f" under it, not of "g": choose another name, or delete that one, a`)
	many, err := c.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "other", Tasks: []*frayv1.TaskSpec{
		life("e", "", "5"), life("f", "top", "5"), life("g", "top", "7"), callOf("e", "h", 1),
	}})
	if err != nil || many.GetCreatedCount() != 2 || many.GetExistingCount() != 1 || len(many.GetFailures()) != 1 || many.GetFailures()[0].GetIndex() != 2 ||
		len(many.GetExistingActors()) != 1 || many.GetExistingActors()[0].GetIndex() != 1 || many.GetExistingActors()[0].GetActorId() != "a" {
		t.Errorf("many: %v, %v", many, err)
	}
	c.mustOffer(life("a", "top", "5")) // The submission of before, again.
}

func TestCallsThatAreRefused(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	c.mustOffer(life("a", "", "5"))
	c.submit("plain")
	c.mustOffer(callOf("a", "c2", 2))
	c.mustOffer(callOf("a", "c2", 9)) // The same call, submitted again by whom it may be.
	c.mustOffer(life("b", "", "5"))
	_, err := c.offer(callOf("b", "c2", 2))
	wantRefusal(t, err, wire.ReasonSpecDiffers, `task "c2" exists with another specification: choose another task id`)
	_, err = c.offer(callOf("a", "c1", 1))
	wantRefusal(t, err, wire.ReasonCallLate, `task "c1": call number 1 of caller "me" to actor "a" comes after a later one: numbers must rise`)
	for _, id := range []string{"nobody", "plain"} {
		_, err = c.offer(callOf(id, "c3", 3))
		wantRefusal(t, err, wire.ReasonUnknownActor, fmt.Sprintf(`task "c3": it calls actor %q, which the controller does not know, or no longer: create one`, id))
	}
	both := callOf("a", "c3", 3)
	both.Actor = &frayv1.ActorSpec{}
	_, err = c.offer(both)
	wantRefusal(t, err, wire.ReasonInvalid, "actor, call and schedule: a task is the life of an actor, a call of one, or a schedule, this has two of them")
	slow := life("slow", "", "")
	slow.ExecutionTimeoutMs = 1
	_, err = c.offer(slow)
	wantRefusal(t, err, wire.ReasonInvalid, "execution_timeout_ms: the life of an actor has none, must be 0")
	first := callOf("a", "c3", 3)
	first.Priority = 1
	_, err = c.offer(first)
	wantRefusal(t, err, wire.ReasonInvalid, "resources, required_labels and priority: a call has none of them, its actor has")
	_, err = c.offer(callOf("a", "c3", 0))
	wantRefusal(t, err, wire.ReasonInvalid, "call.number: must be at least 1, is 0")
	wide := life("wide", "", "")
	wide.Actor.MaxConcurrency = limit.Concurrency + 1
	_, err = c.offer(wide)
	wantRefusal(t, err, wire.ReasonInvalid, "actor.max_concurrency: must be from 0 to 1024, is 1025")
}

// A checkpoint that is too large fails its call, and the one before stays.
func TestLargeCheckpointFailsItsCall(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	c.mustOffer(life("a", "", "5"))
	w := c.worker("w")
	w.report(ready(w.one()))
	c.mustOffer(callOf("a", "c1", 1))
	r := succeeded(w.one(), "x")
	r.Checkpoint = &frayv1.Payload{Data: make([]byte, limit.Checkpoint+1)}
	w.report(r)
	end := await(t, c, "c1")
	if want := "the actor's checkpoint has 1048577 bytes, and may have 1048576"; end.GetError().GetMessage() != want ||
		end.GetTask().GetFailureReason() != frayv1.FailureReason_FAILURE_REASON_UNDECODABLE {
		t.Errorf("ended as %v", end)
	}
}

// A constructor that fails again and again leaves a dead actor, and its calls say why.
func TestActorThatCannotBeConstructed(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	s := life("a", "top", "5")
	s.MaxWorkerLosses, s.RetryPolicy = new(uint32(1)), &frayv1.RetryPolicy{BackoffBaseMs: 1}
	c.mustOffer(s)
	c.mustOffer(callOf("a", "c1", 1))
	w := c.worker("w")
	for range 2 {
		w.report(failedWith(w.one(), "no license"))
	}
	if end := await(t, c, "c1"); end.GetError().GetMessage() != "actor a is dead: it could not be constructed: no license" {
		t.Errorf("ended as %v", end)
	}
	if got, want := c.actors(""), `a "top" DEAD restarts 1 of 1, calls 0, handed 0; `; got != want {
		t.Errorf("actors: %s, want %s", got, want)
	}
}

// Actors are listed page by page, and each caller sees its own.
func TestListActors(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	for i := range 5 {
		c.mustOffer(life(fmt.Sprint("a", i), "", "5"))
		c.submit(fmt.Sprint("t", i))
	}
	var ids []string
	token := ""
	for {
		r, err := c.ListActors(t.Context(), &frayv1.ListActorsRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range r.GetActors() {
			ids = append(ids, a.GetActorId())
		}
		if token = r.GetNextPageToken(); token == "" {
			break
		}
	}
	if got := strings.Join(ids, " "); got != "a0 a1 a2 a3 a4" {
		t.Errorf("listed %s", got)
	}
	_, err := c.ListActors(t.Context(), &frayv1.ListActorsRequest{PageToken: "x"})
	wantCode(t, err, connect.CodeInvalidArgument)
}

func wantRefusal(t *testing.T, err error, reason, message string) {
	t.Helper()
	got, _ := wire.Info(err)
	var coded *connect.Error
	if !errors.As(err, &coded) || got != reason || coded.Message() != message {
		t.Errorf("got %q, %v\nwant %q, %s", got, err, reason, message)
	}
}
