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
	text, err := yaml.MarshalWithOptions(encode(reflect.ValueOf(s).Elem()), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("marshal scenario: %w", err)
	}
	return text, nil
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
func encode(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case native:
		return value.native()
	case fmt.Stringer:
		return value.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return encode(v.Elem())
	case reflect.Struct:
		section := yaml.MapSlice{}
		for _, f := range keysOf(v) {
			value := f.value
			if f.initial == "" && !f.required && value.IsZero() {
				continue
			}
			encoded := encode(value)
			if inner, ok := encoded.(yaml.MapSlice); ok && len(inner) == 0 && value.Kind() == reflect.Struct {
				continue
			}
			section = append(section, yaml.MapItem{Key: f.key, Value: encoded})
		}
		return section
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = encode(v.Index(i))
		}
		return list
	case reflect.Map:
		table := yaml.MapSlice{}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			table = append(table, yaml.MapItem{Key: key.String(), Value: encode(v.MapIndex(key))})
		}
		return table
	}
	return v.Interface()
}
