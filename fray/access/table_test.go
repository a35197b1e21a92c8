package access_test

import (
	"os"
	"strings"
	"testing"

	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/frayrpc/fray/fray/access"
	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// served are the procedures of all services that there are.
func served() map[string]bool {
	all := make(map[string]bool)
	for _, file := range []protoreflect.FileDescriptor{
		frayv1.File_fray_v1_controller_proto, frayv1.File_fray_v1_worker_proto, frayv1.File_fray_v1_task_proto, faultsv1.File_faults_v1_faults_proto,
	} {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for k := range s.Methods().Len() {
				all["/"+string(s.FullName())+"/"+string(s.Methods().Get(k).Name())] = true
			}
		}
	}
	return all
}

func TestTableHasEveryProcedureAndNoOther(t *testing.T) {
	t.Parallel()
	all := served()
	for procedure := range all {
		row, ok := access.Lookup(procedure)
		if !ok {
			t.Errorf("the table does not say who may call %s", procedure)
		}
		if row.Open || row.Roles == 0 {
			t.Errorf("%s needs no credential, or no role may call it", procedure)
		}
	}
	beside := map[string]bool{
		access.PagePath: true, access.HealthPath: true, access.ReadyPath: true, access.MetricsPath: true,
		"/" + grpchealth.HealthV1ServiceName + "/Check": true, "/" + grpchealth.HealthV1ServiceName + "/Watch": true,
		"/" + grpcreflect.ReflectV1ServiceName + "/ServerReflectionInfo":      true,
		"/" + grpcreflect.ReflectV1AlphaServiceName + "/ServerReflectionInfo": true,
	}
	seen := make(map[string]bool)
	for row := range access.Procedures() {
		if !all[row.Procedure] && !beside[row.Procedure] {
			t.Errorf("there is no %s, which the table has", row.Procedure)
		}
		if seen[row.Procedure] {
			t.Errorf("%s is there twice", row.Procedure)
		}
		seen[row.Procedure] = true
		if row.AnyJob&^row.Roles != 0 {
			t.Errorf("%s: %v may do with any job what they may not do", row.Procedure, row.AnyJob&^row.Roles)
		}
	}
	if len(seen) != len(all)+len(beside) {
		t.Errorf("the table has %d rows, and there are %d procedures and %d paths", len(seen), len(all), len(beside))
	}
}

// TestReadersChangeNothing holds the table to the schema: what has a side effect is nothing for
// readers, and tells of itself, unless it is the work of workers itself.
func TestReadersChangeNothing(t *testing.T) {
	t.Parallel()
	for _, file := range []protoreflect.FileDescriptor{frayv1.File_fray_v1_controller_proto, frayv1.File_fray_v1_worker_proto, faultsv1.File_faults_v1_faults_proto} {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for k := range s.Methods().Len() {
				m := s.Methods().Get(k)
				row, _ := access.Lookup("/" + string(s.FullName()) + "/" + string(m.Name()))
				reads := strings.HasPrefix(string(m.Name()), "Get") || strings.HasPrefix(string(m.Name()), "List") || m.Name() == "WatchJob" || m.Name() == "HealthCheck"
				if reads != row.Roles.Any(access.Reader) {
					t.Errorf("%s: a reader may call it: %v; it reads: %v", row.Procedure, row.Roles.Any(access.Reader), reads)
				}
				if work := row.Roles == access.Worker; !reads && !work && !row.Changes || reads && row.Changes {
					t.Errorf("%s: the audit tells of it: %v; it reads: %v", row.Procedure, row.Changes, reads)
				}
			}
		}
	}
}

func TestDocumentsHaveTheTable(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), access.Markdown()) {
		t.Errorf("docs/SECURITY.md does not have the table as it is:\n%s", access.Markdown())
	}
}
