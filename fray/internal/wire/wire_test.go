package wire_test

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
	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]connect.Code{
		wire.ReasonInvalid: connect.CodeInvalidArgument, wire.ReasonUnknownTask: connect.CodeNotFound,
		wire.ReasonUnknownWorker: connect.CodeNotFound, wire.ReasonSpecDiffers: connect.CodeAlreadyExists,
		wire.ReasonSessionStale: connect.CodeFailedPrecondition, wire.ReasonCursorAhead: connect.CodeFailedPrecondition,
		wire.ReasonQueueFull: connect.CodeResourceExhausted, wire.ReasonTooMany: connect.CodeResourceExhausted,
		wire.ReasonSuperseded: connect.CodeAborted, wire.ReasonShuttingDown: connect.CodeUnavailable,
		wire.ReasonBug: connect.CodeInternal, "A_LATER_ONE": connect.CodeInternal,
	} {
		err := wire.Error(reason, 1500*time.Millisecond, "task %q", "a")
		if err.Code() != want || err.Message() != `task "a"` {
			t.Errorf("%s: %v, want %v", reason, err, want)
		}
		if got, after := wire.Info(fmt.Errorf("call: %w", err)); got != reason || after != 1500*time.Millisecond {
			t.Errorf("info of %s = %q, %v", reason, got, after)
		}
	}
	if reason, _ := wire.Info(errors.New("plain")); reason != "" {
		t.Errorf("a plain error has reason %q", reason)
	}
}

func TestFromCore(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]connect.Code{
		core.ErrSessionStale: connect.CodeFailedPrecondition, core.ErrUnknownTask: connect.CodeNotFound,
		core.ErrUnknownWorker: connect.CodeNotFound, core.ErrCursorAhead: connect.CodeFailedPrecondition,
		core.ErrSuperseded: connect.CodeAborted, core.ErrTooManySessions: connect.CodeResourceExhausted, core.ErrTooManyWatchers: connect.CodeResourceExhausted,
	} {
		if got := wire.FromCore("x", err); got.Code() != want || !errors.Is(got, err) {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	if got := wire.FromCore("x", errors.New("secret path /etc/x")); got.Code() != connect.CodeInternal || strings.Contains(got.Error(), "secret") {
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
		{frayv1.ReportVerdict(0).Descriptor(), "REPORT_VERDICT_", func(n protoreflect.EnumNumber) string { return core.Verdict(n).String() }},
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
func TestCheckSpecIsTheSchema(t *testing.T) {
	t.Parallel()
	v, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	around := func(low, high int64) *rapid.Generator[int64] {
		return rapid.SampledFrom([]int64{low - 1, low, low + 1, (low + high) / 2, high - 1, high, high + 1})
	}
	text := func(limit int) *rapid.Generator[string] {
		return rapid.OneOf(
			rapid.SampledFrom([]string{"", "a", "json", "a b", "Ä", "_a", "a/b:c.d-e_f", "9", "A"}),
			rapid.Map(rapid.IntRange(limit-1, limit+1), func(n int) string { return strings.Repeat("x", n) }),
			rapid.Map(rapid.IntRange(limit-1, limit+1), func(n int) string { return strings.Repeat("é", n) }),
		)
	}
	valid := func() *frayv1.TaskSpec {
		return &frayv1.TaskSpec{TaskId: "a", Function: "f", Payload: &frayv1.Payload{}, RetryPolicy: &frayv1.RetryPolicy{}}
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := valid()
		switch rapid.IntRange(0, 12).Draw(rt, "field") {
		case 0:
			s.TaskId = text(128).Draw(rt, "task_id")
		case 1:
			s.Function = text(256).Draw(rt, "function")
		case 2:
			s.Payload.Encoding = text(64).Draw(rt, "encoding")
		case 3:
			s.Priority = int32(around(-1000, 1000).Draw(rt, "priority")) //nolint:gosec // Small.
		case 4:
			s.Resources = map[string]int64{text(64).Draw(rt, "name"): around(0, 1_000_000_000_000).Draw(rt, "amount")}
		case 5:
			s.RequiredLabels = map[string]string{text(64).Draw(rt, "name"): text(256).Draw(rt, "value")}
		case 6:
			s.RetryPolicy.MaxRetries = uint32(around(1, 10000).Draw(rt, "retries")) //nolint:gosec // Not negative.
		case 7:
			s.RetryPolicy.BackoffBaseMs = around(0, 86400000).Draw(rt, "base")
		case 8:
			s.RetryPolicy.BackoffFactor = rapid.SampledFrom([]float64{-1, 0, 0.5, 1, 2, 100, 100.1}).Draw(rt, "factor")
		case 9:
			s.RetryPolicy.BackoffCapMs = around(0, 86400000).Draw(rt, "cap")
		case 10:
			s.RetryPolicy.BackoffJitter = proto.Float64(rapid.SampledFrom([]float64{-0.1, 0, 0.5, 1, 1.1}).Draw(rt, "jitter"))
		case 11:
			s.MaxWorkerLosses = proto.Uint32(uint32(around(1, 1000).Draw(rt, "losses"))) //nolint:gosec // Not negative.
		default:
			s.ExecutionTimeoutMs = around(0, 2592000000).Draw(rt, "execution")
			s.SchedulingTimeoutMs = around(0, 2592000000).Draw(rt, "scheduling")
		}
		got, want := wire.CheckSpec(s), v.Validate(s)
		if (got == nil) != (want == nil) {
			rt.Fatalf("%v\nCheckSpec: %v\nschema:    %v", s, got, want)
		}
	})
	many := valid()
	many.Resources, many.RequiredLabels = map[string]int64{}, map[string]string{}
	for i := range 17 {
		many.Resources[fmt.Sprint(i)] = 1
	}
	if wire.CheckSpec(many) == nil {
		t.Error("17 resources pass")
	}
	many.Resources = nil
	for i := range 17 {
		many.RequiredLabels[fmt.Sprint(i)] = ""
	}
	if wire.CheckSpec(many) == nil {
		t.Error("17 labels pass")
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	s := &frayv1.TaskSpec{
		TaskId: "a", Function: "f", Priority: 3, Resources: map[string]int64{"gpu": 1, "cpu": 500},
		RequiredLabels: map[string]string{"zone": "b", "arch": "arm"}, ExecutionTimeoutMs: 1500,
	}
	sh := wire.Shape(s)
	if fmt.Sprint(sh.Resources, sh.Labels) != "[{cpu 500} {gpu 1}] [{arch arm} {zone b}]" || sh.ExecutionTimeout != 1500*time.Millisecond {
		t.Errorf("shape = %+v", sh)
	}
	if sh.MaxRetries != 0 || sh.MaxWorkerLosses != 3 || sh.BackoffBase != 100*time.Millisecond || sh.BackoffCap != time.Minute ||
		sh.BackoffFactor != 2 || sh.BackoffJitter != 0.2 {
		t.Errorf("defaults = %+v", sh)
	}
	s.RetryPolicy = &frayv1.RetryPolicy{MaxRetries: 4, BackoffBaseMs: 7, BackoffFactor: 1, BackoffCapMs: 9, BackoffJitter: proto.Float64(0)}
	s.MaxWorkerLosses = proto.Uint32(0)
	sh = wire.Shape(s)
	if sh.MaxRetries != 4 || sh.MaxWorkerLosses != 0 || sh.BackoffBase != 7*time.Millisecond || sh.BackoffCap != 9*time.Millisecond ||
		sh.BackoffFactor != 1 || sh.BackoffJitter != 0 {
		t.Errorf("policy = %+v", sh)
	}
}

func TestSameShapeNeverLies(t *testing.T) {
	t.Parallel()
	spec := rapid.Custom(func(rt *rapid.T) *frayv1.TaskSpec {
		s := &frayv1.TaskSpec{Function: rapid.SampledFrom([]string{"f", "g"}).Draw(rt, "function"), Priority: rapid.Int32Range(0, 1).Draw(rt, "priority")}
		if rapid.Bool().Draw(rt, "retry") {
			s.RetryPolicy = &frayv1.RetryPolicy{MaxRetries: rapid.Uint32Range(0, 1).Draw(rt, "retries")}
			if rapid.Bool().Draw(rt, "jittered") {
				s.RetryPolicy.BackoffJitter = proto.Float64(rapid.SampledFrom([]float64{0, 0.2}).Draw(rt, "jitter"))
			}
		}
		if rapid.Bool().Draw(rt, "losing") {
			s.MaxWorkerLosses = proto.Uint32(rapid.Uint32Range(0, 3).Draw(rt, "losses"))
		}
		if rapid.Bool().Draw(rt, "hungry") {
			s.Resources = map[string]int64{"cpu": rapid.Int64Range(1, 2).Draw(rt, "cpu")}
		}
		return s
	})
	rapid.Check(t, func(rt *rapid.T) {
		a, b := spec.Draw(rt, "a"), spec.Draw(rt, "b")
		if wire.SameShape(a, b) && fmt.Sprint(wire.Shape(a)) != fmt.Sprint(wire.Shape(b)) {
			rt.Fatalf("%v and %v have shapes\n%+v\n%+v", a, b, wire.Shape(a), wire.Shape(b))
		}
	})
}

func TestTask(t *testing.T) {
	t.Parallel()
	got := wire.Task(&core.View{
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
