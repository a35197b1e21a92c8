package controller_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// inJob submits tasks to a job with options, and returns what is refused.
func (c *cluster) inJob(job string, o *frayv1.JobOptions, ids ...string) ([]*frayv1.SubmitFailure, error) {
	req := &frayv1.SubmitTasksRequest{JobId: job, JobOptions: o}
	for _, id := range ids {
		req.Tasks = append(req.Tasks, spec(id))
	}
	res, err := c.SubmitTasks(c.t.Context(), req)
	return res.GetFailures(), err
}

func (c *cluster) mustHaveInJob(job string, o *frayv1.JobOptions, ids ...string) {
	c.t.Helper()
	if failures, err := c.inJob(job, o, ids...); err != nil || len(failures) > 0 {
		c.t.Fatalf("job %s: %v, %v", job, failures, err)
	}
}

func (c *cluster) wantJob(id string, want *frayv1.GetJobResponse) {
	c.t.Helper()
	got, err := c.GetJob(c.t.Context(), &frayv1.GetJobRequest{JobId: id})
	if err != nil || !proto.Equal(got, want) {
		c.t.Errorf("job %s: %v, %v; want %v", id, got, err, want)
	}
}

// A job has what it was made with, also once the controller has started anew.
func TestJobHasItsOptions(t *testing.T) {
	t.Parallel()
	kept := lasting{store.NewMemory()}
	c := startOn(t, kept)
	top := &frayv1.JobOptions{
		Environment: map[string]string{"A": "1", "B": "2"}, MaxFailed: proto.Uint32(1),
		MaxFailedShare: 0.125, Weight: 3,
	}
	below := &frayv1.JobOptions{ParentJobId: "top", Environment: map[string]string{"B": "3"}}
	c.mustHaveInJob("top", top, "t1")
	c.mustHaveInJob("below", below, "b1")
	environments := func(w *worker) {
		t.Helper()
		for _, leased := range w.lease(2) {
			want := map[string]string{"A": "1", "B": "2"}
			if leased.GetJobId() == "below" {
				want["B"] = "3"
			}
			if !maps.Equal(leased.GetEnvironment(), want) {
				t.Errorf("a task of job %s sees %v", leased.GetJobId(), leased.GetEnvironment())
			}
			w.report(succeeded(leased, "1"))
		}
	}
	environments(c.worker("w"))
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	c = startOn(t, kept)
	c.wantJob("top", &frayv1.GetJobResponse{
		Known: true, EndedCount: 1, NextCursor: 1, SubmittedCount: 1, Weight: 3, MaxFailed: proto.Uint32(1),
		MaxFailedShare: 0.125, ChildCount: 1,
	})
	c.wantJob("below", &frayv1.GetJobResponse{
		Known: true, EndedCount: 1, NextCursor: 1, SubmittedCount: 1, Weight: 1,
		ParentJobId: "top",
	})
	c.mustHaveInJob("top", top, "t2")
	c.mustHaveInJob("below", below, "b2")
	environments(c.worker("w"))
	c.mustHaveInJob("top", nil, "t3")
	c.mustHaveInJob("below", nil, "b3", "b4")
	res, err := c.CancelTasks(t.Context(), &frayv1.CancelTasksRequest{JobId: "top"})
	if err != nil || res.GetJobTaskCount() != 3 {
		t.Errorf("cancelled: %v, %v", res, err)
	}
}

// A job that has failed stays so, and refuses what is new and nothing else.
func TestJobFailsAsAWhole(t *testing.T) {
	t.Parallel()
	kept := lasting{store.NewMemory()}
	c := startOn(t, kept)
	c.mustHaveInJob("job", &frayv1.JobOptions{MaxFailed: proto.Uint32(0)}, "a")
	w := c.worker("w")
	leased := w.one()
	c.mustHaveInJob("job", nil, "b")
	c.mustHaveInJob("below", &frayv1.JobOptions{ParentJobId: "job"}, "c")
	w.report(failedWith(leased, "no luck"))
	failed := &frayv1.GetJobResponse{
		Known: true, Failed: true, EndedCount: 2, NextCursor: 2, SubmittedCount: 2, FailedCount: 1, Weight: 1,
		MaxFailed: proto.Uint32(0), ChildCount: 1,
	}
	c.wantJob("job", failed)
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	c = startOn(t, kept)
	c.wantJob("job", failed)
	for _, id := range []string{"b", "c"} {
		if s := c.status(id).GetStatus(); s != frayv1.TaskStatus_TASK_STATUS_CANCELLED {
			t.Errorf("task %s is %v", id, s)
		}
	}
	c.mustHaveInJob("job", nil, "b") // It is known.
	const why = "has failed as a whole, as more of its tasks have than its options allow: submit to another job"
	for _, job := range []string{"job", "below"} {
		failures, err := c.inJob(job, nil, "d")
		if err != nil || len(failures) != 1 || failures[0].GetReason() != wire.ReasonJobFailed ||
			failures[0].GetCode() != "failed_precondition" ||
			failures[0].GetMessage() != `task "d": job "job" `+why {
			t.Errorf("job %s: %v, %v", job, failures, err)
		}
	}
	_, err := c.offer(spec("d"))
	wantRefusal(t, err, wire.ReasonJobFailed, `task "d": job "job" `+why)
	_, err = c.inJob("other", &frayv1.JobOptions{ParentJobId: "below"}, "d")
	wantRefusal(t, err, wire.ReasonJobFailed,
		`job "other": job "job", of which it is to be a part, has failed as a whole`)
	wantTold(t, c.retry("r", "a"), `JOB_FAILED task "a/retry-r": job "job" `+why)
}

func TestJobOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	many := make(map[string]string)
	for i := range 65 {
		many[fmt.Sprintf("V%d", i)] = ""
	}
	for name, tt := range map[string]struct {
		options *frayv1.JobOptions
		want    string
	}{
		"parent": {
			&frayv1.JobOptions{ParentJobId: "a b"},
			`job_options.parent_job_id "a b": must be letters, digits and, after the first, any of . _ : / -`,
		},
		"own parent": {
			&frayv1.JobOptions{ParentJobId: "job"},
			`job_options.parent_job_id: job "job" cannot be its own parent`,
		},
		"variables": {
			&frayv1.JobOptions{Environment: many},
			"job_options.environment: must have at most 64 variables, has 65",
		},
		"no name": {
			&frayv1.JobOptions{Environment: map[string]string{"": "x"}},
			"job_options.environment: a name is empty",
		},
		"digit first": {
			&frayv1.JobOptions{Environment: map[string]string{"1A": "x"}},
			`job_options.environment: name "1A": must be letters, digits and underscores, the first no digit`,
		},
		"equals sign": {
			&frayv1.JobOptions{Environment: map[string]string{"A=B": "x"}},
			`job_options.environment: name "A=B": must be letters, digits and underscores, the first no digit`,
		},
		"Fray's own": {
			&frayv1.JobOptions{Environment: map[string]string{"FRAY_TOKEN": "x"}},
			"job_options.environment: FRAY_TOKEN: names that begin with FRAY_ are Fray's own: choose another",
		},
		"NUL": {
			&frayv1.JobOptions{Environment: map[string]string{"A": "x\x00"}},
			"job_options.environment: the value of A has a NUL, which no environment can have",
		},
		"long name": {
			&frayv1.JobOptions{Environment: map[string]string{strings.Repeat("A", 257): ""}},
			`job_options.environment: a name must have at most 256 characters, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" has 257`,
		},
		"bytes": {
			&frayv1.JobOptions{Environment: map[string]string{"A": strings.Repeat("x", 16<<10)}},
			"job_options.environment: names and values must have at most 16384 bytes, have 16385",
		},
		"share of all": {
			&frayv1.JobOptions{MaxFailedShare: 1},
			"job_options.max_failed_share: must be at least 0 and less than 1, is 1",
		},
		"negative share": {
			&frayv1.JobOptions{MaxFailedShare: -0.5},
			"job_options.max_failed_share: must be at least 0 and less than 1, is -0.5",
		},
		"weight": {&frayv1.JobOptions{Weight: 101}, "job_options.weight: must be from 0 to 100, is 101"},
	} {
		_, err := c.inJob("job", tt.options, "a")
		t.Log(name)
		wantRefusal(t, err, wire.ReasonInvalid, tt.want)
		_, err = c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{
			JobId: "job", Task: spec("a"),
			JobOptions: tt.options,
		})
		wantRefusal(t, err, wire.ReasonInvalid, tt.want)
	}
	c.wantJob("job", &frayv1.GetJobResponse{}) // Nothing of them is there.

	_, err := c.inJob("job", &frayv1.JobOptions{ParentJobId: "nobody"}, "a")
	wantRefusal(t, err, wire.ReasonUnknownJob,
		`job "job": the controller does not know parent job "nobody", or no longer: submit a task of that first`)
	full := map[string]string{"A": strings.Repeat("x", 16<<10-1)}
	c.mustHaveInJob("d1", &frayv1.JobOptions{Environment: full}, "a1")
	_, err = c.inJob("job", &frayv1.JobOptions{ParentJobId: "d1", Environment: map[string]string{"B": ""}}, "a")
	wantRefusal(t, err, wire.ReasonJobBounds, `job "job": its environment with that of parent job "d1" has 2 variables and 16385 bytes, and may have 64 and 16384`)
	for n := 2; n <= core.MaxJobDepth; n++ {
		c.mustHaveInJob(fmt.Sprintf("d%d", n), &frayv1.JobOptions{ParentJobId: fmt.Sprintf("d%d", n-1)},
			fmt.Sprintf("a%d", n))
	}
	_, err = c.inJob("job", &frayv1.JobOptions{ParentJobId: "d16"}, "a")
	wantRefusal(t, err, wire.ReasonJobBounds,
		`job "job": parent job "d16" is the 16th from its root, and a tree of jobs has no more`)

	c.mustHaveInJob("plain", nil, "p")
	const tail = " is not what it was made with: a job has its options from its first task on"
	for option, o := range map[string]*frayv1.JobOptions{
		"parent_job_id": {ParentJobId: "d1"}, "environment[A]": {Environment: map[string]string{"A": ""}},
		"max_failed":       {MaxFailed: proto.Uint32(0)},
		"max_failed_share": {MaxFailedShare: 0.5}, "weight": {Weight: 2},
	} {
		_, err = c.inJob("plain", o, "q")
		wantRefusal(t, err, wire.ReasonJobDiffers, `job "plain": its `+option+tail)
	}
	c.mustHaveInJob("plain", &frayv1.JobOptions{}, "r") // Which says nothing.
	if _, err := c.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "q"}); err == nil {
		t.Error("a task is there that was refused")
	}
}

// What options hold in memory counts as the owner's, as long as the job is known.
func TestOptionsOfJobsAreBounded(t *testing.T) {
	t.Parallel()
	c := start(t, func(c *controller.Config) { c.Core.MaxQueuedBytes = 64 << 10 })
	o := &frayv1.JobOptions{Environment: map[string]string{"A": strings.Repeat("x", 15<<10)}}
	n := 0
	for ; n < 10; n++ {
		failures, err := c.inJob(fmt.Sprintf("job%d", n), o, fmt.Sprintf("t%d", n))
		if err != nil {
			t.Fatal(err)
		}
		if len(failures) > 0 {
			if failures[0].GetReason() != wire.ReasonQueueFull {
				t.Errorf("job %d: %v", n, failures)
			}
			break
		}
	}
	if n == 0 || n == 10 {
		t.Errorf("%d jobs of 15 KiB found room in 64 KiB", n)
	}
	c.wantJob(fmt.Sprintf("job%d", n), &frayv1.GetJobResponse{})
}

// A parent that others own is not for everybody, and to cancel a job cancels no tasks of others.
func TestParentsOfOthers(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, store.NewMemory())
	offer := func(as, job, parent, id string) error {
		t.Helper()
		_, err := g.as(as).SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{
			JobId: job, Task: spec(id), JobOptions: &frayv1.JobOptions{ParentJobId: parent},
		})
		return err
	}
	if err := offer("alice", "top", "", "t"); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, offer("bob", "his", "top", "b"), wire.ReasonNotOwner,
		`job "his": parent job "top" belongs to another caller`)
	if err := offer("alice", "hers", "top", "a"); err != nil {
		t.Fatal(err)
	}
	res, err := g.as("alice").CancelTasks(t.Context(), &frayv1.CancelTasksRequest{JobId: "top"})
	if err != nil || res.GetJobTaskCount() != 2 {
		t.Errorf("cancelled %v, %v", res, err)
	}
}

// A parent that is forgotten leaves its children as they are, also for the next controller.
func TestParentIsForgotten(t *testing.T) {
	t.Parallel()
	kept := lasting{store.NewMemory()}
	quick := func(c *controller.Config) {
		c.Store, c.Core.Retention, c.Core.WatchGrace = kept, 50*time.Millisecond, 50*time.Millisecond
	}
	c := start(t, quick)
	c.mustHaveInJob("top", &frayv1.JobOptions{Environment: map[string]string{"A": "1"}}, "t")
	c.mustHaveInJob("below", &frayv1.JobOptions{ParentJobId: "top"}, "b")
	w := c.worker("w")
	for _, leased := range w.lease(2) {
		if leased.GetJobId() == "top" {
			w.report(succeeded(leased, "1"))
		}
	}
	for {
		res, err := c.GetJob(t.Context(), &frayv1.GetJobRequest{JobId: "top"})
		if err != nil {
			t.Fatal(err)
		}
		if !res.GetKnown() {
			break
		}
	}
	c.mustHaveInJob("top", nil, "t2")
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	c = start(t, quick)
	c.wantJob("below", &frayv1.GetJobResponse{Known: true, OpenCount: 1, SubmittedCount: 1, Weight: 1})
	c.wantJob("top", &frayv1.GetJobResponse{Known: true, OpenCount: 1, SubmittedCount: 1, Weight: 1})
}
