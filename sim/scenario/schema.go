package scenario

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// SchemaID is the identity of the schema.
const SchemaID = "https://github.com/frayrpc/fray/docs/scenario.schema.json"

// Schema returns the JSON Schema (draft 2020-12) of files about the subject, for editors. It
// describes all of the structure; names, times and expressions are checked by [Subjects.Parse]
// only.
func (s *Subject) Schema() []byte {
	all := schemas{s, map[string]any{}}
	root := all.section(reflect.ValueOf(s.New()).Elem())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = SchemaID
	root["title"] = "Fray scenario"
	root["$defs"] = all.defs
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("scenario: marshal schema: " + err.Error()) // It is made of maps and texts.
	}
	return append(text, '\n')
}

// schemas are those of the sections, by the names of their types.
type schemas struct {
	subject *Subject
	defs    map[string]any
}

func textSchema(pattern string) map[string]any {
	return map[string]any{"type": "string", "pattern": pattern}
}

func (s schemas) section(v reflect.Value) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, k := range keysOf(v) {
		properties[k.key] = s.field(k.value, &k.field)
		if k.required {
			required = append(required, k.key)
		}
	}
	section := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		section["required"] = required
	}
	if v.Type() == reflect.TypeFor[Actions]() {
		section["minProperties"], section["maxProperties"] = 1, 1
	}
	return section
}

// field returns the schema of a key's value, with what its tags say.
func (s schemas) field(v reflect.Value, f *field) map[string]any {
	schema := s.value(v, f)
	schema["description"] = s.subject.Text(f.doc)
	if initial := s.subject.Text(f.initial); initial != "" {
		schema["default"] = yamlValue(initial)
	}
	if f.example != "" {
		schema["examples"] = []any{yamlValue(f.example)}
	}
	return schema
}

func (s schemas) value(v reflect.Value, f *field) map[string]any {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		return s.value(reflect.Zero(t.Elem()), f)
	}
	zero := reflect.New(t).Interface()
	if described, ok := zero.(interface{ schema() map[string]any }); ok {
		return described.schema()
	}
	schema := map[string]any{}
	switch t.Kind() {
	case reflect.Struct:
		if _, known := s.defs[t.Name()]; !known {
			s.defs[t.Name()] = nil // Types that contain themselves would end here.
			s.defs[t.Name()] = s.section(v)
		}
		schema["$ref"] = "#/$defs/" + t.Name()
	case reflect.Slice:
		schema["type"], schema["maxItems"] = "array", MaxListed
		schema["items"] = s.value(reflect.Zero(t.Elem()), &field{enum: f.enum})
		if f.minItems > 0 {
			schema["minItems"] = f.minItems
		}
	case reflect.Map:
		schema["type"], schema["maxProperties"] = "object", maxTable
		schema["propertyNames"] = map[string]any{"minLength": 1, "maxLength": 64}
		schema["additionalProperties"] = s.value(reflect.Zero(t.Elem()), &field{min: new(float64), max: &maxAmount})
	case reflect.String:
		schema["type"] = "string"
		if f.required {
			schema["minLength"] = 1
		}
		if len(f.enum) > 0 {
			schema["enum"] = s.subject.enum(f.enum)
		}
		if f.pattern != nil {
			schema["pattern"] = f.pattern.String()
		}
	case reflect.Bool:
		schema["type"] = "boolean"
	case reflect.Int, reflect.Int64, reflect.Float64:
		schema["type"] = "integer"
		if t.Kind() == reflect.Float64 {
			schema["type"] = "number"
		}
		if f.min != nil {
			schema["minimum"] = *f.min
		}
		if f.max != nil {
			schema["maximum"] = *f.max
		}
	default:
		panic("scenario: no schema for a " + t.String())
	}
	return schema
}

// yamlValue returns what a text means in YAML.
func yamlValue(text string) any {
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil || value == nil {
		return strings.TrimSpace(text)
	}
	return value
}
