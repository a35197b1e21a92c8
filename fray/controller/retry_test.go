package controller_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

// retry retries tasks and says what became of each: the id of the new one, and whether it was there, or why it was
// refused.
func (c *cluster) retry(retryID string, ids ...string) []string {
	c.t.Helper()
	r, err := c.RetryTasks(c.t.Context(), &frayv1.RetryTasksRequest{TaskIds: ids, RetryId: retryID})
	if err != nil {
		c.t.Fatal(err)
	}
	all := make([]string, 0, len(ids))
	for i, x := range r.GetTasks() {
		switch f := x.GetFailure(); {
		case f != nil && (int(f.GetIndex()) != i || f.GetCode() != wire.Code(f.GetReason()).String()):
			c.t.Errorf("failure %d: %v", i, f)
		case f != nil:
			all = append(all, f.GetReason()+" "+f.GetMessage())
		case x.GetCreated():
			all = append(all, x.GetTaskId())
		default:
			all = append(all, x.GetTaskId()+" again")
		}
	}
	return all
}

func wantTold(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A failed task is retried as another one, with the same specification, once for each name of a retry, also after a
// restart. What it was stays as it is.
func TestRetryFailedTask(t *testing.T) {
	t.Parallel()
	kept := lasting{store.NewMemory()}
	c := startOn(t, kept)
	s := spec("a")
	s.Priority = 7
	c.mustOffer(s)
	c.submit("b")
	if _, err := c.CancelTasks(t.Context(), &frayv1.CancelTasksRequest{TaskIds: []string{"b"}}); err != nil {
		t.Fatal(err)
	}
	w := c.worker("w")
	w.report(failedWith(w.one(), "no luck"))
	wantTold(t, c.retry("r1", "a", "b"), "a/retry-r1", "b/retry-r1")
	wantTold(t, c.retry("r1", "a", "b"), "a/retry-r1 again", "b/retry-r1 again")
	both := w.lease(2)
	again := both[0]
	if got := again.GetSpec(); again.GetJobId() != "job" || got.GetTaskId() != "a/retry-r1" || got.GetPriority() != 7 || string(got.GetPayload().GetData()) != `"a"` {
		t.Errorf("the retry is %v", again)
	}
	w.report(failedWith(again, "no luck again"), succeeded(both[1], "1"))
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}

	c = startOn(t, kept)
	wantTold(t, c.retry("r1", "a"), "a/retry-r1 again")
	wantTold(t, c.retry("r2", "a/retry-r1", "a"), "a/retry-r2", "a/retry-r2 again")
	if old := await(t, c, "a"); old.GetTask().GetStatus() != frayv1.TaskStatus_TASK_STATUS_FAILED || old.GetError().GetMessage() != "no luck" {
		t.Errorf("the first is %v", old)
	}
}

func TestRetriesThatAreRefused(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	c.submit("fails")
	w := c.worker("w")
	w.report(failedWith(w.one(), "no luck"))
	needs := spec("needs")
	needs.NeededTaskIds = []string{"fails"}
	c.mustOffer(needs)
	await(t, c, "needs")
	c.submit("completes")
	w.report(succeeded(w.one(), "1"))
	c.mustOffer(scheduled("ticks", "tick", "@daily"))
	c.submit("open", strings.Repeat("x", 128))
	if _, err := c.CancelTasks(t.Context(), &frayv1.CancelTasksRequest{TaskIds: []string{"ticks", strings.Repeat("x", 128)}}); err != nil {
		t.Fatal(err)
	}
	wantTold(t, c.retry("r", "nobody", "open", "completes", "needs", "ticks", strings.Repeat("x", 128), "fails"),
		`UNKNOWN_TASK task "nobody": the controller does not know it, or no longer`,
		`UNSUPPORTED task "open": it has not ended: cancel it first, or wait for its end`,
		`UNSUPPORTED task "completes": it has completed: what has a value is not retried`,
		`UNSUPPORTED task "needs": it failed for task "fails", which it needs and whose retry is another task: submit both anew`,
		`UNSUPPORTED task "ticks": it is the life of an actor, a call of one, or a schedule: create it anew`,
		"INVALID task_id: must have 1 to 128 characters, has 136",
		"fails/retry-r")
	for _, req := range []*frayv1.RetryTasksRequest{
		{RetryId: "r"},
		{RetryId: "r", TaskIds: slices.Repeat([]string{"fails"}, limit.Retry+1)},
		{TaskIds: []string{"fails"}},
		{TaskIds: []string{"fails"}, RetryId: "a/b"},
	} {
		_, err := c.RetryTasks(t.Context(), req)
		wantCode(t, err, connect.CodeInvalidArgument)
	}
}
