package cluster_test

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

var update = flag.Bool("update", false, "rewrite golden files, the schema and the tables of docs/scenario-reference.md")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden compares a text with a file, or writes it there.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { // It is committed.
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	is, should := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(is), len(should)) {
		if i >= len(is) || i >= len(should) || is[i] != should[i] {
			t.Errorf("%s is not what it should be from line %d on (go test ./sim/cluster -update rewrites it); from there it should be\n%s",
				path, i+1, strings.Join(should[min(i, len(should)):min(i+10, len(should))], "\n"))
			return
		}
	}
}

func load(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	s, err := cluster.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fieldsOf returns the exported fields of a type, in place of one that is inlined those that it has
// in scenarios about clusters.
func fieldsOf(typ reflect.Type) (fields []reflect.StructField) {
	inlined := map[reflect.Type]reflect.Type{
		reflect.TypeFor[scenario.Topology](): reflect.TypeFor[cluster.Topology](),
		reflect.TypeFor[scenario.Workload](): reflect.TypeFor[cluster.Workload](),
		reflect.TypeFor[scenario.Always]():   reflect.TypeFor[cluster.Always](),
	}
	for field := range typ.Fields() {
		switch {
		case field.Tag.Get("yaml") == ",inline":
			fields = append(fields, fieldsOf(inlined[typ])...)
		case field.IsExported() && field.Name != "Sections":
			fields = append(fields, field)
		}
	}
	return fields
}
