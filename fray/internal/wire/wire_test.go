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
	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/internal/corewire"
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
			s.Priority = int32(around(-1000, 1000).Draw(rt, "priority")) // Small.
		case 4:
			s.Resources = map[string]int64{text(64).Draw(rt, "name"): around(0, 1_000_000_000_000).Draw(rt, "amount")}
		case 5:
			s.RequiredLabels = map[string]string{text(64).Draw(rt, "name"): text(256).Draw(rt, "value")}
		case 6:
			s.RetryPolicy.MaxRetries = uint32(around(1, 10000).Draw(rt, "retries")) // Not negative.
		case 7:
			s.RetryPolicy.BackoffBaseMs = around(0, 86400000).Draw(rt, "base")
		case 8:
			s.RetryPolicy.BackoffFactor = rapid.SampledFrom([]float64{-1, 0, 0.5, 1, 2, 100, 100.1}).Draw(rt, "factor")
		case 9:
			s.RetryPolicy.BackoffCapMs = around(0, 86400000).Draw(rt, "cap")
		case 10:
			s.RetryPolicy.BackoffJitter = new(rapid.SampledFrom([]float64{-0.1, 0, 0.5, 1, 1.1}).Draw(rt, "jitter"))
		case 11:
			s.MaxWorkerLosses = new(uint32(around(1, 1000).Draw(rt, "losses"))) // Not negative.
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

func TestSameShapeNeverLies(t *testing.T) {
	t.Parallel()
	spec := rapid.Custom(func(rt *rapid.T) *frayv1.TaskSpec {
		s := &frayv1.TaskSpec{Function: rapid.SampledFrom([]string{"f", "g"}).Draw(rt, "function"), Priority: rapid.Int32Range(0, 1).Draw(rt, "priority")}
		if rapid.Bool().Draw(rt, "retry") {
			s.RetryPolicy = &frayv1.RetryPolicy{MaxRetries: rapid.Uint32Range(0, 1).Draw(rt, "retries")}
			if rapid.Bool().Draw(rt, "jittered") {
				s.RetryPolicy.BackoffJitter = new(rapid.SampledFrom([]float64{0, 0.2}).Draw(rt, "jitter"))
			}
		}
		if rapid.Bool().Draw(rt, "losing") {
			s.MaxWorkerLosses = new(rapid.Uint32Range(0, 3).Draw(rt, "losses"))
		}
		if rapid.Bool().Draw(rt, "hungry") {
			s.Resources = map[string]int64{"cpu": rapid.Int64Range(1, 2).Draw(rt, "cpu")}
		}
		return s
	})
	rapid.Check(t, func(rt *rapid.T) {
		a, b := spec.Draw(rt, "a"), spec.Draw(rt, "b")
		if wire.SameShape(a, b) && fmt.Sprint(corewire.Shape(a)) != fmt.Sprint(corewire.Shape(b)) {
			rt.Fatalf("%v and %v have shapes\n%+v\n%+v", a, b, corewire.Shape(a), corewire.Shape(b))
		}
	})
}
