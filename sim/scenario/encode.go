package scenario

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Marshal writes the scenario as YAML that [Subjects.Parse] reads back as the same scenario. Keys
// whose default is nothing are left out.
func (s *Scenario) Marshal() ([]byte, error) {
	return s.marshal(&encoder{decoder: decoder{newSource("", nil, s.about)}})
}

// MarshalShort is Marshal without the keys that say what a scenario without them says.
func (s *Scenario) MarshalShort() ([]byte, error) {
	return s.marshal(&encoder{short: true, decoder: decoder{newSource("", nil, s.about)}})
}

func (s *Scenario) marshal(e *encoder) ([]byte, error) {
	text, err := yaml.MarshalWithOptions(e.encode(reflect.ValueOf(s).Elem()), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("marshal scenario: %w", err)
	}
	return text, nil
}

// An encoder writes scenarios.
type encoder struct {
	decoder

	// What is as it would be without its key is left out.
	short bool
}

// Initial returns what a field of a section means in a file about the subject that does not have its
// key.
func Initial(of *Subject, f reflect.StructField) reflect.Value {
	d := &decoder{newSource("", nil, of)}
	return d.initial(f.Type, parseField(0, f.Tag))
}

// initial returns what a key of a type means when it is absent.
func (d *decoder) initial(t reflect.Type, f field) reflect.Value {
	v := reflect.New(t).Elem()
	d.setDefault(v, &f)
	return v
}

// isInitial says whether a value is what its key means when it is absent.
func (d *decoder) isInitial(f field, v reflect.Value) bool {
	return reflect.DeepEqual(v.Interface(), d.initial(v.Type(), f).Interface())
}

// A native is a scalar that YAML has a type of its own for.
type native interface{ native() any }

func (p Probability) native() any { return float64(p) }

func (s Seeds) native() any {
	if s.First == s.Last {
		return s.First
	}
	return s.String()
}

func (p Pick) native() any {
	if p.N > 1 {
		return p.N
	}
	return p.String()
}

// encode returns a value as the YAML package takes it.
func (e *encoder) encode(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case native:
		return value.native()
	case fmt.Stringer:
		return value.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return e.encode(v.Elem())
	case reflect.Struct:
		section := yaml.MapSlice{}
		for _, f := range keysOf(v) {
			value := f.value
			// A section without a key has the defaults of its own keys, which need not be nothing.
			if f.initial == "" && !f.required && value.IsZero() && (value.Kind() != reflect.Struct || e.isInitial(f.field, value)) {
				continue
			}
			if e.short && !f.required && value.Kind() != reflect.Pointer && e.isInitial(f.field, value) {
				continue
			}
			encoded := e.encode(value)
			if inner, ok := encoded.(yaml.MapSlice); ok && len(inner) == 0 && value.Kind() == reflect.Struct && !f.required {
				continue
			}
			section = append(section, yaml.MapItem{Key: f.key, Value: encoded})
		}
		return section
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = e.encode(v.Index(i))
		}
		return list
	case reflect.Map:
		table := yaml.MapSlice{}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			table = append(table, yaml.MapItem{Key: key.String(), Value: e.encode(v.MapIndex(key))})
		}
		return table
	}
	return v.Interface()
}
