package scenario

import (
	"encoding"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// A scalar is a type that is written as one word of text.
type scalar interface {
	encoding.TextUnmarshaler
	schema() map[string]any
}

// A field is a key of a section: a field of a struct, as its tags describe it.
type field struct {
	index    int
	key      string
	doc      string
	required bool
	// What an absent key means, and what one might look like, as YAML; empty: nothing is said.
	initial, example string
	// The values that there are; empty: any.
	enum    []string
	pattern *regexp.Regexp
	// Bounds of a number, and the least number of items of a list.
	min, max *float64
	minItems int
}

var fieldCache sync.Map // reflect.Type to []field

// fieldsOf returns the fields of a struct type that are keys of the file, in their order.
func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldCache.Load(t); ok {
		return known.([]field) //nolint:errcheck // Nothing else is stored.
	}
	var fields []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		if _, ok := tag.Lookup("yaml"); !ok {
			continue
		}
		fields = append(fields, parseField(i, tag))
	}
	fieldCache.Store(t, fields)
	return fields
}

// parseField returns a field as its tags describe it.
func parseField(index int, tag reflect.StructTag) field {
	f := field{
		index: index, key: tag.Get("yaml"), doc: tag.Get("doc"), required: tag.Get("required") == "true",
		initial: tag.Get("default"), example: tag.Get("example"),
		min: bound(tag.Get("min")), max: bound(tag.Get("max")),
	}
	if enum := tag.Get("enum"); enum != "" {
		f.enum = strings.Split(enum, ",")
	}
	if pattern := tag.Get("pattern"); pattern != "" {
		f.pattern = regexp.MustCompile(pattern)
	}
	if n := bound(tag.Get("minItems")); n != nil {
		f.minItems = int(*n)
	}
	return f
}

func bound(tag string) *float64 {
	if tag == "" {
		return nil
	}
	n, err := strconv.ParseFloat(tag, 64)
	if err != nil {
		panic("scenario: bound in a struct tag: " + err.Error())
	}
	return &n
}

// A keyed is a key of a section in a file, and the field that it is read into.
type keyed struct {
	field

	value reflect.Value
}

// keysOf returns the keys of a section, which is a struct: those of its fields, and in place of one
// that is inlined those of the struct that it points to.
func keysOf(v reflect.Value) (keys []keyed) {
	for _, f := range fieldsOf(v.Type()) {
		value := v.Field(f.index)
		switch {
		case f.key != inlined:
			keys = append(keys, keyed{f, value})
		case !value.IsNil():
			keys = append(keys, keysOf(value.Elem().Elem())...)
		}
	}
	return keys
}

// inlined is the tag of a field that holds a pointer to a struct with more keys of its section.
const inlined = ",inline"

// IsScalar says whether a type is one that files write as one word.
func IsScalar(t reflect.Type) bool { return reflect.PointerTo(t).Implements(reflect.TypeFor[scalar]()) }

// isSection says whether a type is a mapping with keys of its own.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[scalar]())
}
