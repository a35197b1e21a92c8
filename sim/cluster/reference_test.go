package cluster_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/process"
	"github.com/frayrpc/fray/sim/scenario"
)

// docs/scenario-reference.md has, between the comments that name them, a table of each section's
// keys, of the variables of expressions, of the invariants and of the library. They are made from
// what they describe.
func TestReference(t *testing.T) {
	t.Parallel()
	const path = "../../docs/scenario-reference.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tables := referenceTables(t)
	seen := map[string]bool{}
	markers := regexp.MustCompile(`(?s)<!-- table (\w+) -->\n.*?<!-- end -->\n`)
	filled := markers.ReplaceAllStringFunc(string(text), func(block string) string {
		name := markers.FindStringSubmatch(block)[1]
		seen[name] = true
		if tables[name] == "" {
			t.Errorf("%s has a table of %s, which there is not", path, name)
		}
		return fmt.Sprintf("<!-- table %s -->\n%s<!-- end -->\n", name, tables[name])
	})
	for name := range tables {
		if !seen[name] {
			t.Errorf("%s has no table of %s", path, name)
		}
	}
	golden(t, path, filled)
}

func referenceTables(t *testing.T) map[string]string {
	t.Helper()
	tables := map[string]string{"library": libraryTable(t), "coverage": coverageTable(t), "simOnly": simOnlyTable(t)}
	var section func(reflect.Type)
	section = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if !isSection(typ) || tables[typ.Name()] != "" {
			return
		}
		if typ.NumField() == 0 {
			return // {}: there is nothing to tell.
		}
		tables[typ.Name()] = keyTable(typ)
		for _, field := range fieldsOf(typ) {
			section(field.Type)
		}
	}
	section(reflect.TypeFor[scenario.Scenario]())
	var variables strings.Builder
	variables.WriteString("| variable | type | is |\n|---|---|---|\n")
	for _, f := range cluster.Format().Variables() {
		name, typ := f.Tag.Get("cel"), f.Type
		row(&variables, "`"+name+"`", celKind(typ), f.Tag.Get("doc"))
		if typ.Kind() == reflect.Struct {
			for field := range typ.Fields() {
				row(&variables, "`"+name+"."+field.Tag.Get("cel")+"`", celKind(field.Type), field.Tag.Get("doc"))
			}
		}
	}
	tables["variables"] = variables.String()
	var invariants strings.Builder
	invariants.WriteString("| invariant | holds the system to |\n|---|---|\n")
	for _, i := range cluster.Format().Invariants {
		row(&invariants, "`"+i.Name+"`", i.Claim)
	}
	tables["invariants"] = invariants.String()
	return tables
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("|")
	for _, cell := range cells {
		cell = strings.ReplaceAll(strings.TrimSpace(cell), "|", `\|`)
		if cell == "" {
			b.WriteString(" |")
			continue
		}
		b.WriteString(" " + cell + " |")
	}
	b.WriteString("\n")
}

func keyTable(typ reflect.Type) string {
	var b strings.Builder
	b.WriteString("| key | type | default | example | meaning |\n|---|---|---|---|---|\n")
	for _, f := range fieldsOf(typ) {
		key := f.Tag.Get("yaml")
		initial := "`" + cluster.Format().Text(f.Tag.Get("default")) + "`"
		switch {
		case f.Tag.Get("required") == "true":
			initial = "required"
		case initial == "``":
			initial = ""
		}
		example := f.Tag.Get("example")
		if example != "" {
			example = "`" + example + "`"
		}
		row(&b, "`"+key+"`", kindName(f.Type, f.Tag), initial, example, cluster.Format().Text(f.Tag.Get("doc")))
	}
	return b.String()
}

func isSection(typ reflect.Type) bool {
	return typ.Kind() == reflect.Struct && scalarName(typ) == ""
}

// scalarName is what the reference calls a type that is written as one word.
func scalarName(typ reflect.Type) string {
	switch typ {
	case reflect.TypeFor[scenario.Duration]():
		return "duration"
	case reflect.TypeFor[scenario.Probability]():
		return "probability"
	case reflect.TypeFor[scenario.Rate]():
		return "rate"
	case reflect.TypeFor[scenario.Bytes]():
		return "size"
	case reflect.TypeFor[scenario.Throughput]():
		return "throughput"
	case reflect.TypeFor[scenario.Seeds]():
		return "seeds"
	case reflect.TypeFor[scenario.Pick]():
		return "`one`, `all` or a number"
	case reflect.TypeFor[scenario.Names]():
		return "name or names"
	}
	return ""
}

func kindName(typ reflect.Type, tag reflect.StructTag) string {
	if name := scalarName(typ); name != "" {
		return name
	}
	limits := ""
	switch low, high := tag.Get("min"), tag.Get("max"); {
	case low != "" && high != "":
		limits = fmt.Sprintf(", %s to %s", low, high)
	case low != "":
		limits = ", from " + low
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return kindName(typ.Elem(), tag)
	case reflect.Slice:
		return "list of " + kindName(typ.Elem(), tag)
	case reflect.Map:
		return "names with " + kindName(typ.Elem(), "") + "s"
	case reflect.Struct:
		if typ.NumField() == 0 {
			return "`{}`"
		}
		return fmt.Sprintf("[%s](#%s)", typ.Name(), strings.ToLower(typ.Name()))
	case reflect.String:
		if enum := cluster.Format().Values(tag.Get("enum")); len(enum) > 0 {
			return "`" + strings.Join(enum, "`, `") + "`"
		}
		return "text"
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.Float64:
		return "number" + limits
	}
	return "whole number" + limits
}

func celKind(typ reflect.Type) string {
	switch {
	case typ.String() == "time.Duration":
		return "duration"
	case typ.Kind() == reflect.Map && typ.Elem().Kind() == reflect.Struct:
		return "map of sections"
	case typ.Kind() == reflect.Map:
		return "map of int"
	case typ.Kind() == reflect.Struct:
		return "section"
	}
	return "int"
}

func libraryTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| scenario | shows |\n|---|---|\n")
	for _, name := range cluster.List() {
		s, err := cluster.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		row(&b, fmt.Sprintf("[%s](../sim/cluster/library/%s.yaml)", name, name), s.Metadata.Summary)
	}
	return b.String()
}

// simOnlyTable says why scenarios of the library do not run on processes.
func simOnlyTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| scenario | because |\n|---|---|\n")
	for _, name := range cluster.List() {
		s, err := cluster.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		listed := slices.Contains(s.Run.Backends, scenario.BackendProcess)
		var unsuitable *scenario.UnsuitableError
		switch errors.As(process.Suitable(s, process.DefaultMaxWall), &unsuitable); {
		case unsuitable != nil && listed:
			t.Errorf("%s lists %s, but %s", name, scenario.BackendProcess, unsuitable.Reason)
		case unsuitable != nil:
			row(&b, "`"+name+"`", unsuitable.Reason)
		case !listed:
			row(&b, "`"+name+"`", "its file does not list process: what it expects depends on times, or it has not been tried there")
		}
	}
	return b.String()
}
