package access

import (
	"context"
	"log/slog"
	"strings"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Bounds of what an audit tells of a call.
const (
	// MaxAuditTasks is how many task ids it names; it counts all.
	MaxAuditTasks = 16
	// MaxAuditField is how many bytes it has of each text.
	MaxAuditField = 256
	// MaxAuditLine is how long a line of it is at most as JSON, where each byte of a text may take six.
	MaxAuditLine = 6*MaxAuditField*(MaxAuditTasks+8) + 1024
)

// Audit returns an interceptor of servers that tells a log of every call that changes something, as
// the table has it, and of every one that is refused to its caller: who, from where, what, and what
// came of it. It stands before all others, so that what these refuse is told, too. Reads are not told
// of, nor are the leases, heartbeats and reports of workers, which are the work itself.
func Audit(log *slog.Logger) connect.Interceptor {
	return connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			res, err := next(ctx, req)
			procedure := req.Spec().Procedure
			n := 0
			if err == nil && res != nil {
				n = refusedIn(res.Any())
			}
			if table[procedure].Changes || refused(err) || n > 0 {
				what := subject(req.Any())
				if n > 0 {
					what = append(what, slog.Int("refused_count", n))
				}
				record(ctx, log, From(ctx), req.Peer().Addr, procedure, err, what...)
			}
			return res, err
		}
	})
}

func refused(err error) bool {
	if err == nil {
		return false
	}
	code := connect.CodeOf(err)
	return code == connect.CodePermissionDenied || code == connect.CodeUnauthenticated
}

// record writes one line.
func record(ctx context.Context, log *slog.Logger, c Caller, address, procedure string, err error, what ...slog.Attr) {
	code := "ok"
	if err != nil {
		code = connect.CodeOf(err).String()
	}
	attrs := append([]slog.Attr{
		slog.String("caller", clip(c.Name)), slog.String("credential", string(c.Shown)), slog.String("address", clip(address)),
		slog.String("procedure", clip(procedure)), slog.String("code", code),
	}, what...)
	log.LogAttrs(ctx, slog.LevelInfo, "call", attrs...)
}

// clip shortens a text that its author chose.
func clip(text string) string {
	if len(text) <= MaxAuditField {
		return text
	}
	return strings.ToValidUTF8(text[:MaxAuditField-len("…")], "") + "…"
}

// subject is what a request is about.
func subject(message any) []slog.Attr {
	switch m := message.(type) {
	case *frayv1.SubmitTaskRequest:
		return tasks(m.GetJobId(), 1, func(int) string { return m.GetTask().GetTaskId() })
	case *frayv1.SubmitTasksRequest:
		return tasks(m.GetJobId(), len(m.GetTasks()), func(i int) string { return m.GetTasks()[i].GetTaskId() })
	case *frayv1.CancelTasksRequest:
		return tasks(m.GetJobId(), len(m.GetTaskIds()), func(i int) string { return m.GetTaskIds()[i] })
	case *frayv1.RetryTasksRequest:
		return tasks("", len(m.GetTaskIds()), func(i int) string { return m.GetTaskIds()[i] })
	case *frayv1.GetTaskRequest:
		return tasks("", 1, func(int) string { return m.GetTaskId() })
	case *frayv1.GetTaskResultRequest:
		return tasks("", 1, func(int) string { return m.GetTaskId() })
	case *frayv1.GetTaskResultsRequest:
		return tasks("", len(m.GetTaskIds()), func(i int) string { return m.GetTaskIds()[i] })
	case *frayv1.WatchJobRequest:
		return tasks(m.GetJobId(), 0, nil)
	case *frayv1.ListTasksRequest:
		return tasks(m.GetJobId(), 0, nil)
	case *frayv1.ListObjectsRequest:
		return tasks(m.GetJobId(), 0, nil)
	case *frayv1.RegisterWorkerRequest:
		return []slog.Attr{slog.String("worker_id", clip(m.GetWorkerId()))}
	case *frayv1.DrainWorkerRequest:
		return []slog.Attr{slog.String("worker_id", clip(m.GetWorkerId()))}
	case *frayv1.CreateBackupRequest:
		return []slog.Attr{slog.String("backup", clip(m.GetName()))}
	case *frayv1.StepDownRequest:
		return []slog.Attr{slog.Uint64("epoch", m.GetEpoch())}
	}
	return nil
}

func tasks(job string, n int, id func(int) string) []slog.Attr {
	var attrs []slog.Attr
	if job != "" {
		attrs = append(attrs, slog.String("job_id", clip(job)))
	}
	if n == 0 {
		return attrs
	}
	ids := make([]string, min(n, MaxAuditTasks))
	for i := range ids {
		ids[i] = clip(id(i))
	}
	return append(attrs, slog.Any("task_ids", ids), slog.Int("task_count", n))
}

// refusedIn counts the tasks that a response says were refused one by one.
func refusedIn(message any) (n int) {
	switch m := message.(type) {
	case *frayv1.SubmitTasksResponse:
		n = len(m.GetFailures())
	case *frayv1.GetTaskResultsResponse:
		n = len(m.GetRefusedTaskIds())
	case *frayv1.CancelTasksResponse:
		for _, v := range m.GetVerdicts() {
			if v == frayv1.CancelVerdict_CANCEL_VERDICT_REFUSED {
				n++
			}
		}
	}
	return n
}
