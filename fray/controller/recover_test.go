package controller_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// lasting is a store that outlives its controller.
type lasting struct{ store.Store }

func (lasting) Durability() store.Durability { return store.Sync }

func startOn(t *testing.T, s store.Store) *cluster {
	t.Helper()
	return start(t, func(c *controller.Config) { c.Store = s })
}

func (c *cluster) status(id string) *frayv1.Task {
	c.t.Helper()
	r, err := c.GetTask(c.t.Context(), &frayv1.GetTaskRequest{TaskId: id})
	if err != nil {
		c.t.Fatal(err)
	}
	return r.GetTask()
}

func TestRestart(t *testing.T) {
	t.Parallel()
	s := lasting{store.NewMemory()}
	c := startOn(t, s)
	c.submit("done", "running", "queued")
	w := c.worker("w")
	leased := w.lease(2)
	w.report(succeeded(leased[0], "value"))
	before := c.status("done")
	info, err := c.GetClusterInfo(t.Context(), &frayv1.GetClusterInfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}

	c = startOn(t, s)
	if after := c.status("done"); !proto.Equal(before, after) {
		t.Errorf("an ended task was\n%v\nand is\n%v", before, after)
	}
	r, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: "done"})
	if err != nil || string(r.GetResult().GetValue().GetData()) != "value" {
		t.Errorf("its result is %v, %v", r, err)
	}
	if got := c.status("running"); got.GetPendingReason() != frayv1.PendingReason_PENDING_REASON_RECOVERING {
		t.Errorf("a task that may be at a worker is %v", got)
	}
	c.submit("done", "running", "queued") // Again, which changes nothing.
	_, err = c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "job", Task: &frayv1.TaskSpec{TaskId: "queued", Function: "other"}})
	wantCode(t, err, connect.CodeAlreadyExists)

	_, err = c.ReportTasks(t.Context(), &frayv1.ReportTasksRequest{SessionToken: w.session})
	wantCode(t, err, connect.CodeFailedPrecondition)
	registered, err := c.RegisterWorker(t.Context(), &frayv1.RegisterWorkerRequest{
		WorkerId: "w", RegistrationId: "w-2", Slots: 4, Functions: []string{"f"},
		Held: []*frayv1.HeldAttempt{
			{Attempt: leased[0].GetAttempt(), State: frayv1.AttemptState_ATTEMPT_STATE_FINISHED},
			{Attempt: leased[1].GetAttempt(), State: frayv1.AttemptState_ATTEMPT_STATE_RUNNING},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if kept := registered.GetKeptLeaseTokens(); len(kept) != 1 || kept[0] != leased[1].GetAttempt().GetLeaseToken() {
		t.Errorf("kept %x, want the running attempt's %x", kept, leased[1].GetAttempt().GetLeaseToken())
	}
	first := info.GetControllerIncarnation()
	if got := registered.GetControllerIncarnation(); got != first+1 {
		t.Errorf("incarnation %d follows %d", got, first)
	}
	if first == 1 {
		t.Error("an empty store counts from 1, as one that was lost did: their tokens are the same")
	}
	w = &worker{c: c, session: registered.GetSessionToken()}
	verdicts := w.report(succeeded(leased[0], "other"), succeeded(leased[1], "late"))
	if verdicts[0] != frayv1.ReportVerdict_REPORT_VERDICT_DUPLICATE || verdicts[1] != frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED {
		t.Errorf("reports of before the restart are %v", verdicts)
	}
	last := w.lease(1)
	if len(last) != 1 || last[0].GetSpec().GetTaskId() != "queued" {
		t.Fatalf("leased %v, want the task that nobody held", last)
	}
	w.report(succeeded(last[0], "third"))
	watched, err := c.WatchJob(t.Context(), &frayv1.WatchJobRequest{JobId: "job", Cursor: 1})
	if err != nil || len(watched.GetResults()) != 2 || watched.GetOpenCount() != 0 {
		t.Errorf("a cursor of before the restart brings %v, %v", watched, err)
	}
}

// A token that two incarnations give would let a report of one count in the other.
func TestIncarnationRises(t *testing.T) {
	t.Parallel()
	s := lasting{store.NewMemory()}
	tokens := make(map[uint64]bool)
	for i := range 5 {
		c := startOn(t, s)
		c.submit(fmt.Sprintf("t%d", i))
		w := c.worker(fmt.Sprintf("w%d", i))
		for _, leased := range w.lease(1) {
			if token := leased.GetAttempt().GetLeaseToken(); tokens[token] {
				t.Fatalf("token %x was given before", token)
			} else {
				tokens[token] = true
			}
			w.report(succeeded(leased, ""))
		}
		if err := c.stop(); err != nil {
			t.Fatal(err)
		}
	}
	if len(tokens) != 5 {
		t.Errorf("%d leases", len(tokens))
	}
}

func TestRecordsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	encode := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	task := func(id string) []byte { return encode(&storev1.TaskRecord{Spec: spec(id), JobId: "job"}) }
	for name, c := range map[string]struct {
		records map[store.Key][]byte
		want    string
	}{
		"a task that is none": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: []byte("\xff\xff")}, "task number 3 cannot be decoded",
		},
		"a task without a function": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: encode(&storev1.TaskRecord{Spec: &frayv1.TaskSpec{TaskId: "a"}})}, "task number 3 cannot be decoded",
		},
		"two tasks of one id": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.Spec, Num: 4}: task("a")}, `task "a", number 4: its id is that of number 3`,
		},
		"a state that is none": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 3}: []byte("\xff\xff")}, "state of task number 3 cannot be decoded",
		},
		"a status that is none": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 3}: encode(&storev1.TaskStateRecord{Status: 77})}, "status or reason that this version does not know",
		},
		"a status that no task rests in": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 3}: encode(&storev1.TaskStateRecord{Status: frayv1.TaskStatus_TASK_STATUS_RUNNING})}, "its status is RUNNING",
		},
		"a reason without a failure": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 3}: encode(&storev1.TaskStateRecord{FailureReason: 1})}, "its reason APPLICATION",
		},
		"a failure that nothing is charged for": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 3}: encode(&storev1.TaskStateRecord{Status: 5, FailureReason: 1, AttemptCount: 1})}, "its reason APPLICATION",
		},
		"charges without attempts": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 3}: encode(&storev1.TaskStateRecord{Status: 1, FailureCount: 1})}, "1 failures and 0 losses in 0 attempts",
		},
		"charges beyond the budget": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 3}: encode(&storev1.TaskStateRecord{Status: 1, FailureCount: 2, AttemptCount: 2})}, "2 failures and 0 losses in 2 attempts",
		},
		"more losses in company than losses": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 3}: encode(&storev1.TaskStateRecord{Status: 1, WorkerLossCount: 1, LossInCompanyCount: 2, AttemptCount: 2})}, "2 of its 1 losses were in company",
		},
		"a lease without an attempt": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 3}: encode(&storev1.TaskStateRecord{Status: 1, Leased: true})}, "leased without an attempt",
		},
		"a task without a job": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: encode(&storev1.TaskRecord{Spec: spec("a")})}, "task number 3 cannot be decoded",
		},
		"a task whose payload is cut off": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: []byte("\x0a\x04\x1a\x02\x12\x09\x12\x01j")}, "task number 3 cannot be decoded",
		},
		"a task whose function is none": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: []byte("\x0a\x06\x0a\x01a\x12\x01\xff\x12\x01j")}, "task number 3 cannot be decoded",
		},
		"a job of which more is forgotten than there can be": {
			map[store.Key][]byte{{Kind: store.Job, Num: 1}: encode(&storev1.JobRecord{JobId: "j", ForgottenCount: 1 << 63})}, "without its first",
		},
		"two records of one job": {
			map[store.Key][]byte{{Kind: store.Job, Num: 1}: encode(&storev1.JobRecord{JobId: "j"}), {Kind: store.Job, Num: 2}: encode(&storev1.JobRecord{JobId: "j"})}, "has two, 1 and 2",
		},
		"a state without a task": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 2}: encode(&storev1.TaskStateRecord{})}, "state of task number 2, and no such task",
		},
		"a state without a task at the end": {
			map[store.Key][]byte{{Kind: store.Spec, Num: 3}: task("a"), {Kind: store.State, Num: 4}: encode(&storev1.TaskStateRecord{})}, "state of task number 4, and no such task",
		},
		"a job that is none": {
			map[store.Key][]byte{{Kind: store.Job, Num: 1}: []byte("\xff\xff")}, "record of job 1 cannot be decoded",
		},
		"a controller that is none": {
			map[store.Key][]byte{{Kind: store.Controller, Num: 1}: []byte("\xff\xff")}, "controller record cannot be decoded",
		},
		"incarnations that are used up": {
			map[store.Key][]byte{{Kind: store.Controller, Num: 1}: encode(&storev1.ControllerRecord{Incarnation: 1 << 24})}, "counts 16777216 starts",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lasting{store.NewMemory()}
			var b store.Batch
			for k, v := range c.records {
				b.Set(k, v)
			}
			if err := s.Commit(&b); err != nil {
				t.Fatal(err)
			}
			ctl, err := controller.New(controller.Config{Store: s})
			if err != nil {
				t.Fatal(err)
			}
			err = ctl.Run(context.Background())
			if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("run: %v, want a corrupt store: %s", err, c.want)
			}
		})
	}
}
