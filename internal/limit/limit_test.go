package limit_test

import (
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

// rules returns what the schema says of a field.
func rules(t *testing.T, m proto.Message, field protoreflect.Name) *validate.FieldRules {
	t.Helper()
	f := m.ProtoReflect().Descriptor().Fields().ByName(field)
	if f == nil {
		t.Fatalf("%s has no field %s", m.ProtoReflect().Descriptor().FullName(), field)
	}
	r, err := protovalidate.ResolveFieldRules(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSchemaHasTheseLimits(t *testing.T) {
	spec, policy := &frayv1.TaskSpec{}, &frayv1.RetryPolicy{}
	for _, c := range []struct {
		what      string
		got, want int64
	}{
		{"retries", int64(rules(t, policy, "max_retries").GetUint32().GetLte()), limit.Retries},
		{"worker losses", int64(rules(t, spec, "max_worker_losses").GetUint32().GetLte()), limit.WorkerLosses},
		{"priority", int64(rules(t, spec, "priority").GetInt32().GetLte()), limit.Priority},
		{"least priority", int64(rules(t, spec, "priority").GetInt32().GetGte()), -limit.Priority},
		{"backoff base", rules(t, policy, "backoff_base_ms").GetInt64().GetLte(), int64(limit.Backoff / time.Millisecond)},
		{"backoff cap", rules(t, policy, "backoff_cap_ms").GetInt64().GetLte(), int64(limit.Backoff / time.Millisecond)},
		{"execution timeout", rules(t, spec, "execution_timeout_ms").GetInt64().GetLte(), int64(limit.Timeout / time.Millisecond)},
		{"scheduling timeout", rules(t, spec, "scheduling_timeout_ms").GetInt64().GetLte(), int64(limit.Timeout / time.Millisecond)},
		{"not before", rules(t, spec, "not_before_unix_ms").GetInt64().GetLte(), limit.NotBefore},
		{"needed tasks", int64(rules(t, spec, "needed_task_ids").GetRepeated().GetMaxItems()), limit.Needs},
		{"needed objects", int64(rules(t, spec, "needed_object_ids").GetRepeated().GetMaxItems()), limit.Needs},
		{"resources", int64(rules(t, spec, "resources").GetMap().GetMaxPairs()), limit.Pairs},
		{"labels", int64(rules(t, spec, "required_labels").GetMap().GetMaxPairs()), limit.Pairs},
		{"amount", rules(t, spec, "resources").GetMap().GetValues().GetInt64().GetLte(), limit.Resource},
		{"resource name", int64(rules(t, spec, "resources").GetMap().GetKeys().GetString().GetMaxLen()), limit.NameLength},
		{"label name", int64(rules(t, spec, "required_labels").GetMap().GetKeys().GetString().GetMaxLen()), limit.NameLength},
		{"label value", int64(rules(t, spec, "required_labels").GetMap().GetValues().GetString().GetMaxLen()), limit.LabelLength},
		{"payload", int64(rules(t, &frayv1.Payload{}, "data").GetBytes().GetMaxLen()), limit.Payload},
		{"tasks of a call", int64(rules(t, &frayv1.SubmitTasksRequest{}, "tasks").GetRepeated().GetMaxItems()), limit.Submit},
		{"environment", int64(rules(t, &frayv1.JobOptions{}, "environment").GetMap().GetMaxPairs()), limit.Environment},
		{"weight", int64(rules(t, &frayv1.JobOptions{}, "weight").GetUint32().GetLte()), limit.JobWeight},
		{"slots", int64(rules(t, &frayv1.RegisterWorkerRequest{}, "slots").GetUint32().GetLte()), limit.Slots},
		{"free slots", int64(rules(t, &frayv1.LeaseTasksRequest{}, "free_slots").GetUint32().GetLte()), limit.Slots},
		{"held attempts of a poll", int64(rules(t, &frayv1.LeaseTasksRequest{}, "held_attempts").GetUint32().GetLte()), limit.Outbox},
		{"tasks of a poll", int64(rules(t, &frayv1.LeaseTasksRequest{}, "max_tasks").GetUint32().GetLte()), limit.Slots},
		{"held", int64(rules(t, &frayv1.RegisterWorkerRequest{}, "held").GetRepeated().GetMaxItems()), limit.Held},
		{"queued", int64(rules(t, &frayv1.HeartbeatRequest{}, "queued_lease_tokens").GetRepeated().GetMaxItems()), limit.Held},
		{"running", int64(rules(t, &frayv1.HeartbeatRequest{}, "running_lease_tokens").GetRepeated().GetMaxItems()), limit.Held},
		{"finished", int64(rules(t, &frayv1.HeartbeatRequest{}, "finished_lease_tokens").GetRepeated().GetMaxItems()), limit.Outbox},
		{"progress", int64(rules(t, &frayv1.HeartbeatRequest{}, "progress").GetRepeated().GetMaxItems()), limit.ProgressCount},
		{"progress message", int64(rules(t, &frayv1.Progress{}, "message").GetString().GetMaxBytes()), limit.ProgressMessage},
		{"reports", int64(rules(t, &frayv1.ReportTasksRequest{}, "reports").GetRepeated().GetMaxItems()), limit.Reports},
		{"reports of a poll", int64(rules(t, &frayv1.LeaseTasksRequest{}, "reports").GetRepeated().GetMaxItems()), limit.Reports},
		{"drain grace", rules(t, &frayv1.DrainWorkerRequest{}, "grace_ms").GetInt64().GetLte(), int64(limit.Drain / time.Millisecond)},
		{"retry after", rules(t, &frayv1.TaskError{}, "retry_after_ms").GetInt64().GetLte(), int64(limit.RetryGap / time.Millisecond)},
		{"type of an error", int64(rules(t, &frayv1.TaskError{}, "type").GetString().GetMaxLen()), limit.ErrorType},
		{"sentinel", int64(rules(t, &frayv1.TaskError{}, "sentinel").GetString().GetMaxLen()), limit.Sentinel},
	} {
		if c.got != c.want {
			t.Errorf("%s: the schema has %d, package limit %d", c.what, c.got, c.want)
		}
	}
}
