package scenario

import (
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/frayrpc/fray/faults"
	// Registers the descriptors of fray.v1.
	_ "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/glob"
)

// procedures returns the full names of all procedures of fray.v1, sorted.
func procedures() []string {
	var files []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("fray.v1", func(file protoreflect.FileDescriptor) bool {
		files = append(files, file)
		return true
	})
	return faults.Procedures(files...)
}

// callers says which roles call a procedure in a run; without an entry, nobody does. The controller
// calls nobody.
func (v *validator) callers(procedure string) []string {
	switch path.Base(procedure) {
	case "RegisterWorker", "LeaseTasks", "ReportTasks", "Heartbeat", "UnregisterWorker":
		return []string{RoleWorker}
	case "SubmitTasks", "WatchJob", "GetTaskResult":
		if slices.ContainsFunc(v.Workload.Mix, func(k TaskKind) bool { return k.Children > 0 }) {
			return []string{RoleClient, RoleWorker}
		}
		return []string{RoleClient}
	case "CancelTasks":
		if slices.ContainsFunc(v.Workload.Mix, func(k TaskKind) bool { return k.Cancel != nil }) {
			return []string{RoleClient}
		}
	}
	return nil
}

// procedurePattern returns the pattern that a fault rule has for what a file says.
func procedurePattern(text string) string {
	switch {
	case text == "" || strings.HasPrefix(text, "/") || strings.HasPrefix(text, "*"):
		return text
	case strings.Contains(text, "."):
		return "/" + text
	}
	return "*/" + text
}

// matchProcedures returns the procedures that a file's text stands for.
func matchProcedures(text string) []string {
	if text == "" {
		return procedures()
	}
	pattern := procedurePattern(text)
	return slices.DeleteFunc(procedures(), func(name string) bool { return !glob.Match(pattern, name) })
}

// nearProcedures returns what a procedure that does not exist may have been meant to be, written as
// it was.
func nearProcedures(text string) []string {
	var names []string
	for _, name := range procedures() {
		switch base := path.Base(name); {
		case strings.HasPrefix(text, "/"):
			names = append(names, name)
		case strings.Contains(text, "."):
			names = append(names, name[1:])
		case strings.HasPrefix(text, "*/"):
			names = append(names, "*/"+base)
		default:
			if !slices.Contains(names, base) {
				names = append(names, base)
			}
		}
	}
	return names
}

// nearestProcedure suggests a procedure: by its last part too, which is what people remember.
func nearestProcedure(c *complaint, text string) *complaint {
	known := nearProcedures(text)
	if near := nearest(text, known); near != "" {
		return c.suggest("did you mean %s?", near)
	}
	var bases []string
	for _, name := range procedures() {
		bases = append(bases, path.Base(name))
	}
	if near := nearest(path.Base(text), bases); near != "" {
		for _, name := range procedures() {
			if path.Base(name) == near {
				return c.suggest("did you mean %s?", name)
			}
		}
	}
	return c.suggestName(text, known)
}
