package scenario

import (
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Registers the descriptors of fray.v1.
	_ "github.com/frayrpc/fray/gen/fray/v1"
)

// procedures returns the full names of all procedures of fray.v1, sorted.
func procedures() []string {
	var names []string
	protoregistry.GlobalFiles.RangeFilesByPackage("fray.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				names = append(names, "/"+string(service.FullName())+"/"+string(service.Methods().Get(j).Name()))
			}
		}
		return true
	})
	slices.Sort(names)
	return names
}

// callers says which roles call a procedure in a run; without an entry, nobody does. The controller calls nobody.
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
	return slices.DeleteFunc(procedures(), func(name string) bool { return !matchGlob(pattern, name) })
}

// nearProcedures returns what a procedure that does not exist may have been meant to be, written as it was.
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

// matchGlob says whether a text is what a pattern describes, in which each * stands for any text.
func matchGlob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}
