package cluster_test

import (
	"os"
	"reflect"
	"testing"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// everything is a file that gives each key.
func everything(t *testing.T) *scenario.Scenario {
	t.Helper()
	return valid(t, "everything")
}

func valid(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	text, err := os.ReadFile("testdata/valid/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

func TestEverythingMarshals(t *testing.T) {
	t.Parallel()
	s := everything(t)
	text, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := cluster.Parse("again.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !same(s, again) {
		t.Errorf("it reads back as something else:\n%s", text)
	}
}

// A key that no file gives is read by nobody's test.
func TestEverythingGivesEachKey(t *testing.T) {
	t.Parallel()
	given := map[string]bool{}
	var look func(v reflect.Value, path string)
	look = func(v reflect.Value, path string) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				given[path] = true
				look(v.Elem(), path)
			}
		case reflect.Slice:
			for i := range v.Len() {
				given[path] = true
				look(v.Index(i), path)
			}
		case reflect.Interface:
			look(v.Elem(), path)
		case reflect.Struct:
			for i := range v.NumField() {
				key, ok := v.Type().Field(i).Tag.Lookup("yaml")
				if !ok {
					continue
				}
				name := v.Type().Name() + "." + key
				given[name] = given[name] || !v.Field(i).IsZero()
				look(v.Field(i), name)
			}
		}
	}
	look(reflect.ValueOf(everything(t)).Elem(), "")
	look(reflect.ValueOf(valid(t, "everything-shared")).Elem(), "")
	for name, ok := range given {
		if !ok {
			t.Errorf("no file in testdata/valid gives %s", name)
		}
	}
}
