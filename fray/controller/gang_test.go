package controller_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// gang is the specs of a gang, whose tasks have the ids name0, name1 and so on.
func gang(name string, size int) []*frayv1.TaskSpec {
	specs := make([]*frayv1.TaskSpec, size)
	for i := range specs {
		specs[i] = spec(fmt.Sprint(name, i))
		specs[i].Gang = &frayv1.GangSpec{GangId: name, Size: uint32(size), Index: uint32(i)}
	}
	return specs
}

// offerAll submits specs in one call and says what became of it: how many were created and how many were there, and why
// others were refused.
func (c *cluster) offerAll(specs []*frayv1.TaskSpec) []string {
	c.t.Helper()
	r, err := c.SubmitTasks(c.t.Context(), &frayv1.SubmitTasksRequest{JobId: "job", Tasks: specs})
	if err != nil {
		c.t.Fatal(err)
	}
	told := []string{fmt.Sprintf("%d created, %d existing", r.GetCreatedCount(), r.GetExistingCount())}
	for _, f := range r.GetFailures() {
		told = append(told, fmt.Sprintf("%d %s: %s", f.GetIndex(), f.GetReason(), f.GetMessage()))
	}
	return told
}

// A gang starts once there is room for all of it, which a restart does not change; and a repeated submission of it
// creates nothing.
func TestGangStartsWhole(t *testing.T) {
	t.Parallel()
	kept := lasting{store.NewMemory()}
	c := startOn(t, kept)
	wantTold(t, c.offerAll(slices.Concat([]*frayv1.TaskSpec{spec("before")}, gang("g", 3), []*frayv1.TaskSpec{spec("after")})), "5 created, 0 existing")
	wantTold(t, c.offerAll(gang("g", 3)), "0 created, 3 existing")
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	c = startOn(t, kept)
	wantTold(t, c.offerAll(gang("g", 3)), "0 created, 3 existing")
	w := c.worker("w")
	for _, want := range []string{"[before]", "[g0 g1 g2]", "[after]"} {
		var ids []string
		for _, a := range w.lease(4) {
			ids = append(ids, a.GetSpec().GetTaskId())
			w.report(succeeded(a, "1"))
		}
		if fmt.Sprint(ids) != want {
			t.Fatalf("granted %v, want %s", ids, want)
		}
	}
	wantTold(t, c.offerAll(gang("h", 5)), "5 created, 0 existing")
	c.submit("beside")
	if got := w.one().GetSpec().GetTaskId(); got != "beside" {
		t.Errorf("granted %s", got)
	}
	const detail = "all workers that can run it have room for 4 of the 5 tasks of its gang"
	if got := c.status("h1"); got.GetPendingReason() != frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER || got.GetPendingDetail() != detail {
		t.Errorf("got %v", got)
	}
}

func TestGangsThatAreRefused(t *testing.T) {
	t.Parallel()
	c := start(t, func(c *controller.Config) { c.Core.MaxOpenTasks = 10 })
	const whole = `one call brings all of its tasks, side by side by their index`
	for _, tt := range []struct {
		name  string
		specs func() []*frayv1.TaskSpec
		want  []string
	}{
		{"part of one", func() []*frayv1.TaskSpec { return gang("g", 3)[:2] }, []string{
			"0 created, 0 existing",
			`0 INVALID: task "g0": gang "g" of 3: ` + whole,
			`1 INVALID: task "g1": another of gang "g" is refused: task "g0": gang "g" of 3: ` + whole,
		}},
		{"not side by side", func() []*frayv1.TaskSpec {
			s := gang("g", 2)
			return []*frayv1.TaskSpec{s[0], spec("between"), s[1]}
		}, []string{
			"1 created, 0 existing",
			`0 INVALID: task "g0": gang "g" of 2: ` + whole,
			`2 INVALID: task "g1": gang "g" of 2: ` + whole,
		}},
		{"two sizes", func() []*frayv1.TaskSpec {
			s := gang("g", 2)
			s[1].Gang.Size = 3
			return s
		}, []string{
			"0 created, 0 existing",
			`0 INVALID: task "g0": another of gang "g" is refused: task "g1": gang "g" of 2: ` + whole,
			`1 INVALID: task "g1": gang "g" of 2: ` + whole,
		}},
		{"two priorities", func() []*frayv1.TaskSpec {
			s := gang("g", 2)
			s[1].Priority = 1
			return s
		}, []string{
			"0 created, 0 existing",
			`0 INVALID: task "g0": another of gang "g" is refused: task "g1": gang "g": its tasks must have the same function, resources, labels, priority, retries and timeouts`,
			`1 INVALID: task "g1": gang "g": its tasks must have the same function, resources, labels, priority, retries and timeouts`,
		}},
		{"one that is not valid", func() []*frayv1.TaskSpec {
			s := gang("g", 2)
			s[1].Limits = []*frayv1.Limit{{Name: "l", MaxConcurrent: 1}}
			return s
		}, []string{
			"0 created, 0 existing",
			`0 INVALID: task "g0": another of gang "g" is refused: gang: its tasks have neither limits nor a unique key`,
			`1 INVALID: gang: its tasks have neither limits nor a unique key`,
		}},
		{"no size", func() []*frayv1.TaskSpec {
			s := gang("g", 1)
			s[0].Gang.Size = 0
			return s
		}, []string{"0 created, 0 existing", `0 INVALID: gang.size: must be from 1 to 1024, is 0`}},
		{"a life", func() []*frayv1.TaskSpec {
			s := gang("g", 1)
			s[0].Actor = &frayv1.ActorSpec{}
			return s
		}, []string{"0 created, 0 existing", `0 INVALID: gang: lives of actors, calls and schedules are of none`}},
		{"one needs what is not known", func() []*frayv1.TaskSpec {
			s := gang("g", 2)
			s[1].NeededTaskIds = []string{"nobody"}
			return s
		}, []string{
			"0 created, 0 existing",
			`0 UNKNOWN_TASK: task "g0": another of gang "g" is refused: task "g1": it needs task "nobody", which the controller does not know, or no longer: submit that one first`,
			`1 UNKNOWN_TASK: task "g1": it needs task "nobody", which the controller does not know, or no longer: submit that one first`,
		}},
		{"no room for all", func() []*frayv1.TaskSpec { return gang("g", 11) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.offerAll(tt.specs())
			if tt.want == nil {
				if len(got) != 12 || got[0] != "0 created, 0 existing" || !strings.HasPrefix(got[1], "0 QUEUE_FULL: ") || !strings.HasPrefix(got[11], "10 QUEUE_FULL: ") {
					t.Errorf("told\n%s", strings.Join(got, "\n"))
				}
				return
			}
			wantTold(t, got, tt.want...)
		})
	}
	wantTold(t, c.offerAll(gang("g", 2)), "2 created, 0 existing")
	again := gang("other", 2)
	for _, s := range again {
		s.Gang.GangId = "g"
	}
	wantTold(t, c.offerAll(again), "0 created, 0 existing",
		`0 SPEC_DIFFERS: gang "g": there is another in job "job" with tasks that are open: choose another gang id`,
		`1 SPEC_DIFFERS: task "other1": another of gang "g" is refused: gang "g": there is another in job "job" with tasks that are open: choose another gang id`)
	_, err := c.offer(gang("h", 2)[0])
	wantRefusal(t, err, wire.ReasonInvalid, `task "h0": gang "h" of 2: `+whole)
	if _, err := c.CancelTasks(t.Context(), &frayv1.CancelTasksRequest{TaskIds: []string{"g0"}}); err != nil {
		t.Fatal(err)
	}
	if got := c.status("g1").GetStatus(); got != frayv1.TaskStatus_TASK_STATUS_CANCELLED {
		t.Errorf("the other of its gang is %v", got)
	}
	wantTold(t, c.retry("r", "g0"), `UNSUPPORTED task "g0": it is of gang "g", whose tasks start together: submit the gang anew`)
}
