package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim/check"
)

// An event that names no task is about those that its worker held.
func TestEventsAreAboutTheTasksThatAreHeld(t *testing.T) {
	t.Parallel()
	beat := check.Event{
		Kind: check.HeartbeatCall, Host: "worker-1", Holds: []string{"job.1", "job.2"},
		Listed: &check.Listed{Running: []string{"job.1"}, Finished: []string{"job.3"}},
	}
	if got := beat.Tasks(); !slices.Equal(got, []string{"job.1", "job.2", "job.3"}) {
		t.Errorf("it is about %v", got)
	}
	if got := beat.Unlisted(); !slices.Equal(got, []string{"job.2"}) {
		t.Errorf("it does not list %v", got)
	}
	if text := beat.Details(); text != "running=job.1 finished=job.3 not-listed=job.2" {
		t.Errorf("it reads %s", text)
	}
	cancel := check.Event{Kind: check.CancelCall, Job: "job"}
	for _, e := range []*check.Event{&beat, &cancel} {
		if !e.About("job.2") || e.About("other.2") {
			t.Errorf("%v: about the wrong tasks", e)
		}
	}
	many := check.Event{Kind: check.WorkerCrash, Holds: strings.Split(strings.Repeat("x ", 20), " ")}
	if text := many.Details(); !strings.HasSuffix(text, ",+13") {
		t.Errorf("it reads %s", text)
	}
}

// Where a task is follows from its last events, and from what becomes of the worker that has it.
func TestStandings(t *testing.T) {
	t.Parallel()
	now := time.Duration(0)
	h := check.NewHistory(check.HistoryConfig{Clock: func() time.Duration { return now }})
	add := func(e check.Event) {
		now += time.Second
		e.Host = "worker-1"
		h.Add(e)
	}
	state := func() check.Standing { return h.Standings(h.Len())[0] }
	for _, step := range []struct {
		event check.Event
		want  string
		open  bool
	}{
		{check.Event{Kind: check.SubmitCall, Task: "t"}, "its submission was not answered", false},
		{check.Event{Kind: check.SubmitReply, Task: "t", Answer: check.Created}, "waits: no worker was granted it", true},
		{check.Event{Kind: check.GrantReply, Task: "t", Attempt: 1}, "was granted to worker-1 as attempt 1, which has not started", true},
		{check.Event{Kind: check.ExecutionStart, Task: "t", Attempt: 1}, "runs on worker-1 as attempt 1", true},
		{check.Event{Kind: check.WorkerCrash, Holds: []string{"t"}}, "waits: worker-1 crashed with attempt 1", true},
		{check.Event{Kind: check.GrantReply, Task: "t", Attempt: 2}, "was granted to worker-1 as attempt 2, which has not started", true},
		{check.Event{Kind: check.ExecutionEnd, Task: "t", Attempt: 1}, "was granted to worker-1 as attempt 2, which has not started", true},
		{check.Event{Kind: check.SessionStale, Holds: []string{"t"}}, "waits: worker-1 lost the session under which it held attempt 2", true},
		{check.Event{Kind: check.ReadReply, Task: "t", View: &check.View{Status: 5, Attempt: 2}}, "failed after 2 attempts", false},
	} {
		add(step.event)
		got := state()
		if got.State != step.want || got.Open() != step.open {
			t.Errorf("after %v: %q, open %v; want %q, %v", step.event.Kind, got.State, got.Open(), step.want, step.open)
		}
	}
	if !state().Failed {
		t.Error("it has not failed")
	}
}
