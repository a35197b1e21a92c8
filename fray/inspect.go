package fray

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// maxExactInteger is the greatest integer up to which a float64, which is what JSON makes of a
// number where the type is an interface, has all of them.
const maxExactInteger = 1 << 53

// inspector walks over a value of one type: before it is encoded, and after it was decoded, see aim. What
// it finds it shows to a visitor, which may be nil.
type inspector func(v reflect.Value, to visitor) error

// visitor is shown the futures and refs that a value has.
type visitor interface {
	meetFuture(f *call) error
	meetRef(id string) error
	// again has the value walked over once more, with its maps in the order of their keys: who has met
	// several things wants to know their order.
	again() bool
	ordered() bool
}

// aim is what a walk is for.
type aim int

const (
	// outbound is before a value is encoded. Package encoding/json puts U+FFFD in the place of what is
	// not UTF-8, and reads numbers into interfaces as float64, without an error: an outbound walk
	// refuses what JSON would not bring back as it was. Futures and refs are shown.
	outbound aim = iota
	// inbound is after a value was decoded. Futures are shown.
	inbound
	// misplaced is of types, and no walk: it looks for futures that are not behind pointers.
	misplaced

	aims
)

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonNumber    = reflect.TypeFor[json.Number]()
	anyFuture     = reflect.TypeFor[interface{ asCall() *call }]()
	thisPackage   = reflect.TypeFor[call]().PkgPath()
)

// inspectors has the inspectors of each type that was met, so that they are planned once.
var inspectors [aims]sync.Map // reflect.Type to *plannedInspector

// plannedInspector is an inspector that is planned once, when it is first asked for; a type that holds
// itself finds it under way.
type plannedInspector struct {
	once    sync.Once
	inspect inspector
}

// inspector returns what walks over the values of a type, or nil if there is nothing to find in any.
func (a aim) inspector(t reflect.Type) inspector {
	if !a.finds(t, make(map[reflect.Type]bool)) {
		return nil
	}
	found, ok := inspectors[a].Load(t)
	if !ok {
		found, _ = inspectors[a].LoadOrStore(t, &plannedInspector{})
	}
	p, _ := found.(*plannedInspector) // nothing else is stored
	return func(v reflect.Value, to visitor) error {
		p.once.Do(func() { p.inspect = a.plan(t) })
		return p.inspect(v, to)
	}
}

// finds says whether a type has a place for something to find, other than by the types that were looked
// at before.
func (a aim) finds(t reflect.Type, before map[reflect.Type]bool) bool {
	switch {
	case isFuture(t):
		return a != misplaced
	case isFuture(reflect.PointerTo(t)):
		return a != inbound // codecOf has refused it
	case before[t] || marshalsItself(t):
		return false
	}
	before[t] = true
	switch t.Kind() {
	case reflect.String, reflect.Interface:
		return a == outbound
	case reflect.Slice, reflect.Array:
		return !isBytes(t) && a.finds(t.Elem(), before)
	case reflect.Pointer:
		return a.finds(t.Elem(), before)
	case reflect.Map:
		return a.finds(t.Key(), before) || a.finds(t.Elem(), before)
	case reflect.Struct:
		for f := range t.Fields() {
			if travels(&f) && a.finds(f.Type, before) {
				return true
			}
		}
	default:
	}
	return false
}

// isFuture says whether a type is that of a [Future], as it is handed about: a pointer.
func isFuture(t reflect.Type) bool { return t.Kind() != reflect.Interface && t.Implements(anyFuture) }

// isRef says whether a type is a [Ref].
func isRef(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() == thisPackage && strings.HasPrefix(t.Name(), "Ref[")
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

// plan makes the inspector of a type in which there is something to find.
func (a aim) plan(t reflect.Type) inspector {
	switch {
	case isFuture(t):
		return inspectFuture
	case isFuture(reflect.PointerTo(t)):
		return func(reflect.Value, visitor) error { return errFutureByValue }
	}
	inspect := a.planKind(t)
	if t.Kind() != reflect.Pointer && (reflect.PointerTo(t).Implements(jsonMarshaler) || reflect.PointerTo(t).Implements(textMarshaler)) {
		return func(v reflect.Value, to visitor) error {
			if v.CanAddr() {
				return nil // It marshals itself where it has an address.
			}
			return inspect(v, to)
		}
	}
	return inspect
}

func (a aim) planKind(t reflect.Type) inspector {
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value, _ visitor) error { return checkString(v.String()) }
	case reflect.Interface:
		return inspectDynamic
	case reflect.Pointer:
		inspect := a.inspector(t.Elem())
		return func(v reflect.Value, to visitor) error {
			if v.IsNil() {
				return nil
			}
			return inspect(v.Elem(), to)
		}
	case reflect.Slice, reflect.Array:
		inspect := a.inspector(t.Elem())
		return func(v reflect.Value, to visitor) error {
			for i := range v.Len() {
				if err := inspect(v.Index(i), to); err != nil {
					return at("["+strconv.Itoa(i)+"]", err)
				}
			}
			return nil
		}
	case reflect.Map:
		return planMap(a.inspector(t.Key()), a.inspector(t.Elem()))
	default: // A struct, as finds says.
		if a == outbound && isRef(t) {
			return planRef(a.planStruct(t))
		}
		return a.planStruct(t)
	}
}

func planMap(key, elem inspector) inspector {
	step := func(k reflect.Value) string { return fmt.Sprintf("[%q]", fmt.Sprint(k)) }
	return func(v reflect.Value, to visitor) error {
		if to != nil && to.ordered() { // Then the keys are known to be good.
			keys := v.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(keyText(a), keyText(b)) })
			for i := 0; i < len(keys) && elem != nil; i++ {
				if err := elem(v.MapIndex(keys[i]), to); err != nil {
					return at(step(keys[i]), err)
				}
			}
			return nil
		}
		for i := v.MapRange(); i.Next(); { // A copy is made of each key and value that is asked for.
			if key != nil {
				if err := key(i.Key(), to); err != nil {
					return at(fmt.Sprintf("[key %q]", i.Key()), err)
				}
			}
			if elem != nil {
				if err := elem(i.Value(), to); err != nil {
					return at(step(i.Key()), err)
				}
			}
		}
		return nil
	}
}

// keyText is a key of a map as JSON has it.
func keyText(k reflect.Value) string {
	if k.Kind() != reflect.String {
		if m, ok := k.Interface().(encoding.TextMarshaler); ok {
			text, _ := m.MarshalText() // It has been marshalled.
			return string(text)
		}
	}
	switch {
	case k.Kind() == reflect.String:
		return k.String()
	case k.CanInt():
		return strconv.FormatInt(k.Int(), 10)
	default: // Nothing else is a key.
		return strconv.FormatUint(k.Uint(), 10)
	}
}

func (a aim) planStruct(t reflect.Type) inspector {
	type field struct {
		index   int
		name    string
		inspect inspector
	}
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !travels(&f) {
			continue
		}
		if inspect := a.inspector(f.Type); inspect != nil {
			fields = append(fields, field{i, f.Name, inspect})
		}
	}
	return func(v reflect.Value, to visitor) error {
		for i := range fields {
			if err := fields[i].inspect(v.Field(fields[i].index), to); err != nil {
				return at("."+fields[i].name, err)
			}
		}
		return nil
	}
}

// planRef is the inspector of a ref, whose fields are inspected, too.
func planRef(fields inspector) inspector {
	return func(v reflect.Value, to visitor) error {
		err := fields(v, to)
		if err == nil && to != nil {
			err = to.meetRef(v.FieldByName("ID").String())
		}
		return err
	}
}

var errFutureByValue = errors.New("a fray.Future is no value: use *fray.Future")

func inspectFuture(v reflect.Value, to visitor) error {
	if to == nil || (v.Kind() == reflect.Pointer && v.IsNil()) {
		return nil
	}
	f, _ := v.Interface().(interface{ asCall() *call }) // isFuture says so
	if c := f.asCall(); c != nil {
		return to.meetFuture(c)
	}
	return nil
}

// inspectDynamic inspects what an interface holds. If the reader's type is an interface, too, it gets
// what JSON knows: numbers are float64, and base64 is a string.
func inspectDynamic(v reflect.Value, to visitor) error {
	if v.IsNil() {
		return nil
	}
	v = v.Elem()
	if marshalsItself(v.Type()) && !isFuture(v.Type()) {
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
		if inspect := outbound.inspector(v.Type()); inspect != nil {
			return inspect(v, to)
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
