package corewire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFromCore(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]connect.Code{
		core.ErrSessionStale: connect.CodeFailedPrecondition, core.ErrUnknownTask: connect.CodeNotFound,
		core.ErrUnknownWorker: connect.CodeNotFound, core.ErrCursorAhead: connect.CodeFailedPrecondition,
		core.ErrSuperseded: connect.CodeAborted, core.ErrTooManySessions: connect.CodeResourceExhausted, core.ErrTooManyWatchers: connect.CodeResourceExhausted,
	} {
		if got := corewire.FromCore("x", err); got.Code() != want || !errors.Is(got, err) {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	if got := corewire.FromCore("x", errors.New("secret path /etc/x")); got.Code() != connect.CodeInternal || strings.Contains(got.Error(), "secret") {
		t.Errorf("an unknown error leaks: %v", got)
	}
}

// The core counts on its enumerations having the wire's numbers.
func TestEnumerationsAgree(t *testing.T) {
	t.Parallel()
	for _, e := range []struct {
		enum   protoreflect.EnumDescriptor
		prefix string
		name   func(n protoreflect.EnumNumber) string
	}{
		{frayv1.TaskStatus(0).Descriptor(), "TASK_STATUS_", func(n protoreflect.EnumNumber) string { return core.Status(n).String() }},
		{frayv1.PendingReason(0).Descriptor(), "PENDING_REASON_", func(n protoreflect.EnumNumber) string { return core.PendingReason(n).String() }},
		{frayv1.FailureReason(0).Descriptor(), "FAILURE_REASON_", func(n protoreflect.EnumNumber) string { return core.FailureReason(n).String() }},
		{frayv1.AttemptOutcome(0).Descriptor(), "ATTEMPT_OUTCOME_", func(n protoreflect.EnumNumber) string { return core.Outcome(n).String() }},
		{frayv1.ReportVerdict(0).Descriptor(), "REPORT_VERDICT_", func(n protoreflect.EnumNumber) string { return core.ReportVerdict(n).String() }},
		{frayv1.CancelVerdict(0).Descriptor(), "CANCEL_VERDICT_", func(n protoreflect.EnumNumber) string { return core.CancelVerdict(n).String() }},
	} {
		for i := 1; i < e.enum.Values().Len(); i++ {
			v := e.enum.Values().Get(i)
			if want := strings.TrimPrefix(string(v.Name()), e.prefix); e.name(v.Number()) != want {
				t.Errorf("%s %d is %s in core", v.Name(), v.Number(), e.name(v.Number()))
			}
		}
		if n := protoreflect.EnumNumber(e.enum.Values().Len()); e.name(n) != "UNKNOWN" {
			t.Errorf("core knows %s %d as %s", e.prefix, n, e.name(n))
		}
	}
}

// CheckSpec and the schema's rules refuse the same specs.
func TestShape(t *testing.T) {
	t.Parallel()
	s := &frayv1.TaskSpec{
		TaskId: "a", Function: "f", Priority: 3, Resources: map[string]int64{"gpu": 1, "cpu": 500},
		RequiredLabels: map[string]string{"zone": "b", "arch": "arm"}, ExecutionTimeoutMs: 1500,
	}
	sh := corewire.Shape(s)
	if fmt.Sprint(sh.Resources, sh.Labels) != "[{cpu 500} {gpu 1}] [{arch arm} {zone b}]" || sh.ExecutionTimeout != 1500*time.Millisecond {
		t.Errorf("shape = %+v", sh)
	}
	if sh.MaxRetries != 0 || sh.MaxWorkerLosses != 3 || sh.BackoffBase != 100*time.Millisecond || sh.BackoffCap != time.Minute ||
		sh.BackoffFactor != 2 || sh.BackoffJitter != 0.2 {
		t.Errorf("defaults = %+v", sh)
	}
	s.RetryPolicy = &frayv1.RetryPolicy{MaxRetries: 4, BackoffBaseMs: 7, BackoffFactor: 1, BackoffCapMs: 9, BackoffJitter: proto.Float64(0)}
	s.MaxWorkerLosses = proto.Uint32(0)
	sh = corewire.Shape(s)
	if sh.MaxRetries != 4 || sh.MaxWorkerLosses != 0 || sh.BackoffBase != 7*time.Millisecond || sh.BackoffCap != 9*time.Millisecond ||
		sh.BackoffFactor != 1 || sh.BackoffJitter != 0 {
		t.Errorf("policy = %+v", sh)
	}
}

func TestTask(t *testing.T) {
	t.Parallel()
	got := corewire.Task(&core.View{
		ID: "a", Job: "j", Function: "f", Status: core.Failed, Reason: core.Timeout, Attempts: 2, MaxAttempts: 3, Failures: 2, Losses: 1,
		Deliveries: 4, WorkerID: "w", Priority: -1, Submitted: core.Time(time.Second), LeasedAt: core.Time(2 * time.Second), Finished: core.Time(3 * time.Second),
	})
	want := &frayv1.Task{
		TaskId: "a", JobId: "j", Function: "f", Status: frayv1.TaskStatus_TASK_STATUS_FAILED, FailureReason: frayv1.FailureReason_FAILURE_REASON_TIMEOUT,
		AttemptNumber: 2, MaxAttempts: 3, FailureCount: 2, WorkerLossCount: 1, DeliveryFailureCount: 4, WorkerId: "w", Priority: -1,
		SubmittedUnixMs: 1000, LeasedUnixMs: 2000, FinishedUnixMs: 3000,
	}
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func BenchmarkValidation(b *testing.B) {
	s := &frayv1.TaskSpec{TaskId: "01J9Z3V4QXRT8MZC8EXAMPLE00", Function: "resize", Payload: &frayv1.Payload{Encoding: "json", Data: make([]byte, 64)}}
	b.Run("CheckSpec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := wire.CheckSpec(s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("protovalidate", func(b *testing.B) {
		v, err := protovalidate.New()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := v.Validate(s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestCoreHasTheBoundsOfJobs(t *testing.T) {
	t.Parallel()
	if core.MaxJobDepth != limit.JobDepth || core.MaxEnvironment != limit.Environment ||
		core.MaxEnvironmentBytes != limit.EnvironmentBytes {
		t.Errorf("core has %d, %d and %d", core.MaxJobDepth, core.MaxEnvironment, core.MaxEnvironmentBytes)
	}
}

func TestJobOptionsComeBack(t *testing.T) {
	t.Parallel()
	for _, o := range []*frayv1.JobOptions{
		nil,
		{ParentJobId: "p"},
		{Environment: map[string]string{"A": "1", "B": ""}},
		{MaxFailed: proto.Uint32(0)},
		{MaxFailed: proto.Uint32(7), MaxFailedShare: 0.5, Weight: 3},
	} {
		if got := corewire.JobOptionsMessage(corewire.JobOptions(o)); !proto.Equal(got, o) {
			t.Errorf("%v comes back as %v", o, got)
		}
	}
	if corewire.JobOptions(&frayv1.JobOptions{}) != nil {
		t.Error("options in which nothing is set say something")
	}
}
