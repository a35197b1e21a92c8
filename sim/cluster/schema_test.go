package cluster_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(cluster.Format().Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(scenario.SchemaID, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(scenario.SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// instance returns a YAML file as a validator of JSON sees it.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestPublishedSchema(t *testing.T) {
	t.Parallel()
	golden(t, "../../docs/scenario.schema.json", string(cluster.Format().Schema()))
}

func TestFilesSatisfySchema(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	for _, name := range cluster.List() {
		text, err := cluster.Library().Text(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s, err := cluster.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if text, err = s.Marshal(); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance(t, text)); err != nil {
			t.Errorf("%s, marshalled: %v", name, err)
		}
	}
	text, err := os.ReadFile("testdata/valid/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(instance(t, text)); err != nil {
		t.Error(err)
	}
}

// What is wrong with the structure of a file is wrong to an editor, too.
func TestSchemaRefusesWhatTheReaderRefuses(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	for _, name := range []string{
		"unknown-key", "unknown-section", "missing", "wrong-types", "wrong-units", "probability", "probability-percent",
		"two-actions", "no-action", "version", "text",
	} {
		text, err := os.ReadFile(filepath.Join("testdata", "invalid", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance(t, text)); err == nil {
			t.Errorf("%s satisfies the schema", name)
		}
	}
}

// The types and the schema have the same keys, found on ways of their own: the schema's by walking
// it, the types' by the struct tags.
func TestSchemaHasTheKeysOfTheTypes(t *testing.T) {
	t.Parallel()
	var document struct {
		Properties map[string]any `json:"properties"`
		Defs       map[string]struct {
			Properties map[string]any `json:"properties"`
			Closed     *bool          `json:"additionalProperties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(cluster.Format().Schema(), &document); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var check func(reflect.Type)
	check = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ.Name()] || typ == reflect.TypeFor[scenario.Seeds]() ||
			typ == reflect.TypeFor[scenario.Rate]() || typ == reflect.TypeFor[scenario.Pick]() {
			return
		}
		seen[typ.Name()] = true
		properties := document.Defs[typ.Name()].Properties
		if typ == reflect.TypeFor[scenario.Scenario]() {
			properties = document.Properties
		} else if closed := document.Defs[typ.Name()].Closed; closed == nil || *closed {
			t.Errorf("%s allows unknown keys", typ.Name())
		}
		keys := 0
		for _, field := range fieldsOf(typ) {
			key, tagged := field.Tag.Lookup("yaml")
			if !tagged {
				t.Errorf("%s.%s is no key", typ.Name(), field.Name)
				continue
			}
			keys++
			if properties[key] == nil {
				t.Errorf("the schema of %s has no %s", typ.Name(), key)
			}
			if doc := cluster.Format().Text(field.Tag.Get("doc")); !strings.HasSuffix(doc, ".") {
				t.Errorf("%s.%s is not documented in sentences: %q", typ.Name(), key, doc)
			}
			check(field.Type)
		}
		if keys != len(properties) {
			t.Errorf("%s has %d keys, its schema %d", typ.Name(), keys, len(properties))
		}
	}
	check(reflect.TypeFor[scenario.Scenario]())
	if len(document.Defs)+1 != len(seen) {
		t.Errorf("the schema has %d sections, the types have %d", len(document.Defs)+1, len(seen))
	}
}
