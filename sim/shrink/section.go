package shrink

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/frayrpc/fray/sim/scenario"
)

// An of finds a value in a scenario, each time in another copy of it. It returns the zero Value if it
// is no longer there.
type of func(*scenario.Scenario) reflect.Value

// list takes items out of a list: halves of it, then smaller parts, down to one item at a time.
func (k *shrinker) list(ctx context.Context, what string, find of) {
	for size := length(find(k.now)); size > 0; size /= 2 {
		for at := 0; at < length(find(k.now)); {
			removed := k.try(ctx, fmt.Sprintf("%d of %s", size, what), func(s *scenario.Scenario) bool {
				v := find(s)
				if at >= length(v) {
					return false
				}
				end := min(at+size, v.Len())
				v.Set(reflect.AppendSlice(v.Slice(0, at), v.Slice(end, v.Len())))
				unusedTargets(s) // Which a scenario cannot have.
				return true
			})
			if !removed {
				at += size
			}
			if k.over(ctx) {
				return
			}
		}
	}
}

func length(v reflect.Value) int {
	if !v.IsValid() {
		return 0
	}
	return v.Len()
}

// section makes what is in a struct smaller, field by field.
func (k *shrinker) section(ctx context.Context, what string, find of) {
	v := find(k.now)
	if !v.IsValid() {
		return
	}
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		key := f.Tag.Get("yaml")
		if key == "name" || key == "id" || strings.HasPrefix(key, ",") {
			continue
		}
		name := what
		if key != "" {
			name = what + "." + key
			// A fault that acts once is not to act always.
			if key != "nth" && k.initial(ctx, name, &f, inner(find, i)) {
				continue // No line says less.
			}
		}
		k.value(ctx, name, inner(find, i))
	}
}

// inner finds a field of what another finds.
func inner(find of, field int) of {
	return func(s *scenario.Scenario) reflect.Value {
		v := find(s)
		if !v.IsValid() {
			return v
		}
		return v.Field(field)
	}
}

// initial tries what a field has where a file says nothing, and says whether it has that now.
func (k *shrinker) initial(ctx context.Context, what string, f *reflect.StructField, find of) bool {
	if f.Tag.Get("required") == "true" || f.Type.Kind() == reflect.Struct && !scenario.IsScalar(f.Type) {
		return false
	}
	initial := scenario.Initial(k.now.About(), *f)
	if v := find(k.now); !v.IsValid() || reflect.DeepEqual(v.Interface(), initial.Interface()) {
		return v.IsValid()
	}
	return k.try(ctx, what, func(s *scenario.Scenario) bool {
		find(s).Set(scenario.Initial(s.About(), *f))
		return true
	})
}

// value makes a value smaller.
func (k *shrinker) value(ctx context.Context, what string, find of) {
	v := find(k.now)
	if !v.IsValid() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			k.value(ctx, what, func(s *scenario.Scenario) reflect.Value {
				p := find(s)
				if !p.IsValid() || p.IsNil() {
					return reflect.Value{}
				}
				return p.Elem()
			})
		}
	case reflect.Struct:
		k.section(ctx, what, find)
	case reflect.Slice:
		k.list(ctx, what, find)
		for i := range length(find(k.now)) {
			k.value(ctx, fmt.Sprintf("%s[%d]", what, i), func(s *scenario.Scenario) reflect.Value {
				if list := find(s); length(list) > i {
					return list.Index(i)
				}
				return reflect.Value{}
			})
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			k.try(ctx, fmt.Sprintf("%s[%v]", what, key), func(s *scenario.Scenario) bool {
				m := find(s)
				if !m.IsValid() || !m.MapIndex(key).IsValid() {
					return false
				}
				m.SetMapIndex(key, reflect.Value{})
				return true
			})
		}
	case reflect.Int, reflect.Int64:
		k.number(ctx, what, find)
	default:
	}
}

// leastTime is the shortest time that is tried: shorter ones say no more.
const leastTime = int64(time.Millisecond)

// number makes a whole number, a time or a size smaller: to the least there is, and then to ever
// smaller parts of it.
func (k *shrinker) number(ctx context.Context, what string, find of) {
	least := int64(1)
	switch find(k.now).Interface().(type) {
	case scenario.Duration, scenario.Step:
		least = leastTime
	}
	for _, part := range []func(int64) int64{
		func(int64) int64 { return least },
		func(n int64) int64 { return n / 8 },
		func(n int64) int64 { return n / 2 },
		func(n int64) int64 { return n * 3 / 4 },
		func(n int64) int64 {
			if n > fewEnough {
				return n // Of no use.
			}
			return n - 1
		},
	} {
		for k.try(ctx, what, func(s *scenario.Scenario) bool {
			v := find(s)
			if !v.IsValid() {
				return false
			}
			next := round(part(v.Int()))
			if next < least || next >= v.Int() {
				return false
			}
			v.SetInt(next)
			return true
		}) {
		}
	}
}

// fewEnough is how few of something are taken away one by one.
const fewEnough = 64

// round returns a number that is good to read, and not larger.
func round(n int64) int64 {
	for unit := int64(1_000_000_000_000); unit >= 1000; unit /= 10 {
		if n >= 10*unit {
			return n / unit * unit
		}
	}
	return n
}
