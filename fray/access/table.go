package access

import (
	"fmt"
	"iter"
	"strings"

	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// Row says who may call a procedure, or ask for a path of HTTP.
type Row struct {
	Procedure string
	// Any of them will do.
	Roles Roles
	// Those that may do it with jobs of others; of a procedure that is about jobs.
	AnyJob Roles
	// It needs no credential.
	Open bool
	// It changes something that an audit tells of. What workers say all the time does not count: it is
	// the work itself.
	Changes bool
}

// Paths that are no procedures.
const (
	HealthPath  = "/healthz"
	ReadyPath   = "/readyz"
	MetricsPath = "/metrics"
	PagePath    = "/"
)

// The procedures of faults.v1.FaultService, which the runtime does not import.
const faultService = "/faults.v1.FaultService/"

const (
	readsOwn  = Client | Worker | Operator | Reader // Clients and workers: what they may wait for.
	readsAny  = Worker | Operator | Reader
	readsAll  = Operator | Reader
	changes   = Client | Worker | Operator
	changeAny = Worker | Operator
)

// rows are in the order in which they are documented. What is not here nobody may call.
var rows = []Row{
	{Procedure: frayv1connect.ControllerServiceSubmitTaskProcedure, Roles: changes, AnyJob: changeAny, Changes: true},
	{Procedure: frayv1connect.ControllerServiceSubmitTasksProcedure, Roles: changes, AnyJob: changeAny, Changes: true},
	{Procedure: frayv1connect.ControllerServiceGetTaskProcedure, Roles: readsOwn, AnyJob: readsAny},
	{Procedure: frayv1connect.ControllerServiceGetTaskResultProcedure, Roles: readsOwn, AnyJob: readsAny},
	{Procedure: frayv1connect.ControllerServiceGetTaskResultsProcedure, Roles: readsOwn, AnyJob: readsAny},
	{Procedure: frayv1connect.ControllerServiceWatchJobProcedure, Roles: readsOwn, AnyJob: readsAny},
	{Procedure: frayv1connect.ControllerServiceGetJobProcedure, Roles: readsOwn, AnyJob: readsAny},
	{Procedure: frayv1connect.ControllerServiceListTasksProcedure, Roles: Client | readsAll, AnyJob: readsAll},
	{Procedure: frayv1connect.ControllerServiceRetryTasksProcedure, Roles: changes, AnyJob: changeAny, Changes: true},
	{Procedure: frayv1connect.ControllerServiceCancelTasksProcedure, Roles: changes, AnyJob: changeAny, Changes: true},
	{Procedure: frayv1connect.ControllerServicePutObjectProcedure, Roles: changes, AnyJob: changeAny, Changes: true},
	{Procedure: frayv1connect.ControllerServiceGetObjectProcedure, Roles: readsOwn, AnyJob: readsAny},
	{Procedure: frayv1connect.ControllerServiceHoldObjectsProcedure, Roles: changes, AnyJob: changeAny, Changes: true},
	{Procedure: frayv1connect.ControllerServiceReleaseObjectsProcedure, Roles: changes, AnyJob: changeAny, Changes: true},
	{Procedure: frayv1connect.ControllerServiceListActorsProcedure, Roles: readsOwn, AnyJob: readsAny},
	{Procedure: frayv1connect.ControllerServiceListSchedulesProcedure, Roles: readsOwn, AnyJob: readsAny},

	{Procedure: frayv1connect.ControllerServiceRegisterWorkerProcedure, Roles: Worker, Changes: true},
	{Procedure: frayv1connect.ControllerServiceLeaseTasksProcedure, Roles: Worker},
	{Procedure: frayv1connect.ControllerServiceReportTasksProcedure, Roles: Worker},
	{Procedure: frayv1connect.ControllerServiceHeartbeatProcedure, Roles: Worker},
	{Procedure: frayv1connect.ControllerServiceUnregisterWorkerProcedure, Roles: Worker, Changes: true},

	{Procedure: frayv1connect.ControllerServiceListWorkersProcedure, Roles: readsAll | Injector},
	{Procedure: frayv1connect.ControllerServiceDrainWorkerProcedure, Roles: Operator, Changes: true},
	{Procedure: frayv1connect.ControllerServiceGetClusterInfoProcedure, Roles: readsAll},
	{Procedure: frayv1connect.ControllerServiceCreateBackupProcedure, Roles: Operator, Changes: true},
	{Procedure: frayv1connect.ControllerServiceStepDownProcedure, Roles: Operator, Changes: true},

	{Procedure: frayv1connect.WorkerServiceHealthCheckProcedure, Roles: readsAll},
	{Procedure: frayv1connect.WorkerServiceListTasksProcedure, Roles: readsAll},

	{Procedure: faultService + "ApplyPlan", Roles: Injector, Changes: true},
	{Procedure: faultService + "GetPlan", Roles: readsAll | Injector},
	{Procedure: faultService + "ClearPlan", Roles: Injector, Changes: true},
	{Procedure: faultService + "SignalEvent", Roles: Injector, Changes: true},

	{Procedure: "/" + grpchealth.HealthV1ServiceName + "/Check", Open: true},
	{Procedure: "/" + grpchealth.HealthV1ServiceName + "/Watch", Open: true},
	{Procedure: "/" + grpcreflect.ReflectV1ServiceName + "/ServerReflectionInfo", Roles: readsAll},
	{Procedure: "/" + grpcreflect.ReflectV1AlphaServiceName + "/ServerReflectionInfo", Roles: readsAll},

	{Procedure: PagePath, Open: true},
	{Procedure: HealthPath, Open: true},
	{Procedure: ReadyPath, Open: true},
	{Procedure: MetricsPath, Roles: readsAll},
}

var table = func() map[string]Row {
	t := make(map[string]Row, len(rows))
	for _, r := range rows {
		t[r.Procedure] = r
	}
	return t
}()

// Procedures yields the table: who may call what. What it does not have nobody may call.
func Procedures() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for _, r := range rows {
			if !yield(r) {
				return
			}
		}
	}
}

// Lookup returns the row of a procedure; false: nobody may call it.
func Lookup(procedure string) (Row, bool) {
	r, ok := table[procedure]
	return r, ok
}

// Markdown returns the table as docs/SECURITY.md has it.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| procedure or path |")
	for _, name := range roleNames {
		b.WriteString(" " + name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(roleNames)) + "\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` |", strings.TrimPrefix(r.Procedure, "/"))
		for i := range roleNames {
			b.WriteString(" " + r.cell(1<<i) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// cell says what one role may do.
func (r Row) cell(role Roles) string {
	switch {
	case r.Open:
		return "all"
	case !r.Roles.Any(role):
		return "no"
	case r.AnyJob != 0 && !r.AnyJob.Any(role):
		return "own jobs"
	default:
		return "yes"
	}
}
