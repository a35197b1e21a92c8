package fray

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// maxExactInteger is the greatest integer up to which a float64, which is what JSON makes of a
// number where the type is an interface, has all of them.
const maxExactInteger = 1 << 53

// faithful says whether JSON brings a value back as it was. Package encoding/json puts U+FFFD in
// the place of what is not UTF-8, and reads numbers into interfaces as float64, without an error.
type faithful func(v reflect.Value) error

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonNumber    = reflect.TypeFor[json.Number]()
)

// faithfulChecks has the check of each type that was met, so that it is planned once.
var faithfulChecks sync.Map // reflect.Type to *plannedCheck

// plannedCheck is a check that is planned once, when it is first asked for; a type that holds
// itself finds it under way.
type plannedCheck struct {
	once  sync.Once
	check faithful
}

// faithfulCheck returns what checks the values of a type, or nil if JSON changes none of them.
func faithfulCheck(t reflect.Type) faithful {
	if !mayChange(t, make(map[reflect.Type]bool)) {
		return nil
	}
	found, ok := faithfulChecks.Load(t)
	if !ok {
		found, _ = faithfulChecks.LoadOrStore(t, &plannedCheck{})
	}
	p, _ := found.(*plannedCheck) // nothing else is stored
	return func(v reflect.Value) error {
		p.once.Do(func() { p.check = planCheck(t) })
		return p.check(v)
	}
}

// mayChange says whether a type has a place for a value that JSON changes, other than by the types
// that were looked at before.
func mayChange(t reflect.Type, before map[reflect.Type]bool) bool {
	if before[t] || marshalsItself(t) {
		return false
	}
	before[t] = true
	switch t.Kind() {
	case reflect.String, reflect.Interface:
		return true
	case reflect.Slice, reflect.Array:
		return !isBytes(t) && mayChange(t.Elem(), before)
	case reflect.Pointer:
		return mayChange(t.Elem(), before)
	case reflect.Map:
		return mayChange(t.Key(), before) || mayChange(t.Elem(), before)
	case reflect.Struct:
		for f := range t.Fields() {
			if travels(&f) && mayChange(f.Type, before) {
				return true
			}
		}
	default:
	}
	return false
}

// marshalsItself says whether a type sees to its own encoding.
func marshalsItself(t reflect.Type) bool {
	return t == jsonNumber || (t.Kind() != reflect.Interface && (t.Implements(jsonMarshaler) || t.Implements(textMarshaler)))
}

// isBytes says whether JSON writes a type as base64.
func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !marshalsItself(t.Elem()) && !marshalsItself(reflect.PointerTo(t.Elem()))
}

// travels says whether encoding/json writes a field.
func travels(f *reflect.StructField) bool {
	if f.Tag.Get("json") == "-" {
		return false
	}
	if f.Anonymous {
		t := f.Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		return f.IsExported() || t.Kind() == reflect.Struct
	}
	return f.IsExported()
}

// planCheck makes the check of a type that may change.
func planCheck(t reflect.Type) faithful {
	check := planKind(t)
	if t.Kind() != reflect.Pointer && (reflect.PointerTo(t).Implements(jsonMarshaler) || reflect.PointerTo(t).Implements(textMarshaler)) {
		return func(v reflect.Value) error {
			if v.CanAddr() {
				return nil // It marshals itself where it has an address.
			}
			return check(v)
		}
	}
	return check
}

func planKind(t reflect.Type) faithful {
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value) error { return checkString(v.String()) }
	case reflect.Interface:
		return checkDynamic
	case reflect.Pointer:
		check := faithfulCheck(t.Elem())
		return func(v reflect.Value) error {
			if v.IsNil() {
				return nil
			}
			return check(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		check := faithfulCheck(t.Elem())
		return func(v reflect.Value) error {
			for i := range v.Len() {
				if err := check(v.Index(i)); err != nil {
					return at("["+strconv.Itoa(i)+"]", err)
				}
			}
			return nil
		}
	case reflect.Map:
		return planMap(faithfulCheck(t.Key()), faithfulCheck(t.Elem()))
	default: // A struct, as mayChange says.
		return planStruct(t)
	}
}

func planMap(key, elem faithful) faithful {
	return func(v reflect.Value) error {
		for i := v.MapRange(); i.Next(); {
			if key != nil {
				if err := key(i.Key()); err != nil {
					return at(fmt.Sprintf("[key %q]", i.Key()), err)
				}
			}
			if elem != nil {
				if err := elem(i.Value()); err != nil {
					return at(fmt.Sprintf("[%q]", fmt.Sprint(i.Key())), err)
				}
			}
		}
		return nil
	}
}

func planStruct(t reflect.Type) faithful {
	type field struct {
		index int
		name  string
		check faithful
	}
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !travels(&f) {
			continue
		}
		if check := faithfulCheck(f.Type); check != nil {
			fields = append(fields, field{i, f.Name, check})
		}
	}
	return func(v reflect.Value) error {
		for i := range fields {
			if err := fields[i].check(v.Field(fields[i].index)); err != nil {
				return at("."+fields[i].name, err)
			}
		}
		return nil
	}
}

// checkDynamic checks what an interface holds. If the reader's type is an interface, too, it gets
// what JSON knows: numbers are float64, and base64 is a string.
func checkDynamic(v reflect.Value) error {
	if v.IsNil() {
		return nil
	}
	v = v.Elem()
	if marshalsItself(v.Type()) {
		return nil
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n := v.Int(); n > maxExactInteger || n < -maxExactInteger {
			return fmt.Errorf("%d in an interface would come back as a float64, which does not have it: use a type with an integer", n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if n := v.Uint(); n > maxExactInteger {
			return fmt.Errorf("%d in an interface would come back as a float64, which does not have it: use a type with an integer", n)
		}
	default:
		if isBytes(v.Type()) {
			return errors.New("a []byte in an interface would come back as its base64 text: use a type with a []byte")
		}
		if check := faithfulCheck(v.Type()); check != nil {
			return check(v)
		}
	}
	return nil
}

func checkString(s string) error {
	if utf8.ValidString(s) {
		return nil
	}
	return fmt.Errorf("string %.40q is not UTF-8, and would come back changed: use []byte for bytes", s)
}

// changedError is a value that JSON would change, and where it is.
type changedError struct {
	path string
	err  error
}

func (e *changedError) Error() string { return "value" + e.path + ": " + e.err.Error() }
func (e *changedError) Unwrap() error { return e.err }

// at puts a step before the path of an error.
func at(step string, err error) error {
	var changed *changedError
	if errors.As(err, &changed) {
		return &changedError{step + changed.path, changed.err}
	}
	return &changedError{step, err}
}

// checkText refuses JSON of others that package encoding/json would read as something else: what is
// not UTF-8, and halves of surrogate pairs.
func checkText(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("JSON is not UTF-8")
	}
	for i := bytes.IndexByte(data, '\\'); i >= 0 && i+1 < len(data); {
		next := i + 2 // past the backslash and what it escapes
		if r, ok := escapedRune(data[i:]); ok && utf16.IsSurrogate(r) {
			next = i + 6
			low, _ := escapedRune(data[next:])
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return fmt.Errorf(`JSON has half of a character, \u%04x`, r)
			}
			next += 6
		}
		step := bytes.IndexByte(data[next:], '\\')
		if step < 0 {
			break
		}
		i = next + step
	}
	return nil
}

// escapedRune reads an escape such as \u00e9 at the start of data.
func escapedRune(data []byte) (rune, bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	return rune(n), err == nil
}

// checkFields refuses a struct of which nothing would travel.
func checkFields(t reflect.Type) error {
	for t.Kind() == reflect.Pointer && !marshalsItself(t) {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.NumField() == 0 || marshalsItself(t) || marshalsItself(reflect.PointerTo(t)) {
		return nil
	}
	for f := range t.Fields() {
		if travels(&f) || f.Tag.Get("json") == "-" {
			return nil
		}
	}
	return fmt.Errorf("type %v has no exported field: nothing of it would travel", t)
}
