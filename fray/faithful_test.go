package fray_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/fray"
)

type (
	inner struct {
		Text  string
		Skip  string `json:"-"`
		plain string
	}
	embedded struct {
		inner
		*Outer
		Any any
	}
	Outer struct{ Deep map[string][]*inner }
	tree  struct {
		Left, Right *tree
		Label       string
	}
	ownJSON  struct{ s string }
	ownText  string
	asNeeded struct{ S string } // marshals itself where it has an address
	number   int64
	ints     struct{ A, B []int }
	hidden   struct{ a, b int } //nolint:unused // That they are there is what is tested.
	marked   struct {
		A int `json:"-"`
	}
)

func (o ownJSON) MarshalJSON() ([]byte, error) { return json.Marshal([]byte(o.s)) }
func (o *ownJSON) UnmarshalJSON(b []byte) error {
	var d []byte
	err := json.Unmarshal(b, &d)
	o.s = string(d)
	return err
}
func (ownText) MarshalText() ([]byte, error)   { return []byte("text"), nil }
func (*asNeeded) MarshalJSON() ([]byte, error) { return []byte(`{}`), nil }

// encode is what becomes of a value as an input.
func encode[T any](t *testing.T, v T) error {
	t.Helper()
	jc := newJobContext(t, fray.KindSync)
	task := fray.Define("encode", func(context.Context, T) (int, error) { return 1, nil })
	_, err := task.Call(fray.NewContext(t.Context(), jc), v)
	return err
}

func TestWhatJSONWouldChangeIsRefused(t *testing.T) {
	t.Parallel()
	const bad = "\xff"
	loop := &tree{}
	loop.Left = loop
	for name, tt := range map[string]struct {
		err  error
		want string // in the text; "": it is taken
	}{
		"string":                       {encode(t, "a"+bad), `value: string "a\xff" is not UTF-8, and would come back changed: use []byte`},
		"good string":                  {encode(t, "\ufffd\u2028\x00é"), ""},
		"bytes":                        {encode(t, []byte(bad)), ""},
		"bytes in a struct":            {encode(t, struct{ B []byte }{[]byte(bad)}), ""},
		"list":                         {encode(t, []string{"", bad}), "value[1]: "},
		"array":                        {encode(t, [2]string{bad}), "value[0]: "},
		"nil pointer":                  {encode[*string](t, nil), ""},
		"map value":                    {encode(t, map[string]string{"k": bad}), `value["k"]: `},
		"map key":                      {encode(t, map[string]int{bad: 1}), `value[key "\xff"]: `},
		"map of numbers":               {encode(t, map[int]int{1: 1}), ""},
		"field":                        {encode(t, inner{Text: bad}), "value.Text: "},
		"fields that do not travel":    {encode(t, inner{Skip: bad, plain: bad}), ""},
		"promoted":                     {encode(t, embedded{inner: inner{Text: bad}}), "value.inner.Text: "},
		"deep":                         {encode(t, embedded{Outer: &Outer{map[string][]*inner{"x": {nil, {Text: bad}}}}}), `value.Outer.Deep["x"][1].Text: `},
		"nil embedded":                 {encode(t, embedded{}), ""},
		"any string":                   {encode[any](t, bad), "value: "},
		"nil any":                      {encode[any](t, nil), ""},
		"any map":                      {encode(t, embedded{Any: map[string]any{"a": []any{1, bad}}}), `value.Any["a"][1]: `},
		"any integer":                  {encode[any](t, int64(1<<53+1)), "9007199254740993 in an interface would come back as a float64"},
		"any least integer":            {encode[any](t, int64(math.MinInt64)), "in an interface"},
		"any unsigned":                 {encode[any](t, uint64(math.MaxUint64)), "in an interface"},
		"any number of a type":         {encode(t, []any{number(1 << 60)}), "value[0]: "},
		"any exact integer":            {encode[any](t, int64(-1<<53)), ""},
		"integer of its type":          {encode(t, int64(1<<53+1)), ""},
		"any bytes":                    {encode(t, map[string]any{"b": []byte("x")}), `value["b"]: a []byte in an interface`},
		"any struct":                   {encode[any](t, inner{Text: "x"}), ""},
		"any time":                     {encode[any](t, time.Now()), ""},
		"tree":                         {encode(t, &tree{Left: &tree{Right: &tree{Label: bad}}}), "value.Left.Right.Label: "},
		"tree without an end":          {encode(t, loop), "cycle"},
		"JSON of its own":              {encode(t, ownJSON{bad}), ""},
		"text of its own":              {encode(t, ownText(bad)), ""},
		"no address":                   {encode(t, asNeeded{bad}), "value.S: "},
		"an address":                   {encode(t, &asNeeded{bad}), ""},
		"an address in a list":         {encode(t, []asNeeded{{bad}}), ""},
		"raw JSON":                     {encode(t, json.RawMessage(`"x"`)), ""},
		"number of JSON":               {encode(t, json.Number("12")), ""},
		"time":                         {encode(t, time.Now()), ""},
		"message":                      {encode(t, wrapperspb.String(bad)), "UTF-8"},
		"no number":                    {encode(t, math.NaN()), "NaN"},
		"fields that are left by hand": {encode(t, marked{1}), ""},
	} {
		switch {
		case tt.want == "" && tt.err != nil:
			t.Errorf("%s: %v", name, tt.err)
		case tt.want != "" && (!errors.Is(tt.err, fray.ErrUndecodable) || !strings.Contains(tt.err.Error(), tt.want)):
			t.Errorf("%s: %v; want %q", name, tt.err, tt.want)
		}
	}
}

func TestTypesOfWhichNothingTravelsAreRefused(t *testing.T) {
	t.Parallel()
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "fray_test.hidden has no exported field") {
			t.Errorf("got %q", text)
		}
	}()
	fray.Define("hidden", func(context.Context, *hidden) (int, error) { return 0, nil })
}

// What others wrote is taken as it is, or not at all.
func TestTextOfOthersIsCheckedToo(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		`"é"`: true, `"\u00e9"`: true, `"\ud83d\ude00"`: true, `"\\ud83d"`: true, `"\\\\ud83d"`: true, `""`: true, `"\ufffd"`: true, `"\n\\"`: true,
		"\"\xe9\"": false, `"\ud83d"`: false, `"\ude00"`: false, `"\ud83d\ud83d"`: false, `"\\\ud83d"`: false, `"\ud83dx"`: false, `"\uZZZZ"`: false,
		`"\`: false, `"\u12`: false,
	} {
		v, err := echo.Invoke(t.Context(), fray.Payload{Encoding: "json", Data: []byte(text)})
		if ok != (err == nil) || (err != nil && !errors.Is(err, fray.ErrUndecodable)) {
			t.Errorf("%s: %q, %v", text, v.Data, err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	record := document{Name: "a name", Nested: map[string]map[string][]int{"x": {"y": {1, 2}}}, List: []*document{{Name: "one"}}, At: time.Now()}
	b.Run("document", func(b *testing.B) { invoke(b, deep, record) })
	b.Run("ints", func(b *testing.B) {
		invoke(b, fray.Define("ints", func(context.Context, ints) (ints, error) { return ints{make([]int, 100), nil}, nil }), ints{})
	})
	b.Run("struct", func(b *testing.B) {
		type plain struct {
			Name, Kind string
			Size       int
			At         time.Time
		}
		v := plain{"01J9Z3V4QXRT8MZC8EXAMPLE00", "thumbnail", 17, time.Now()}
		invoke(b, fray.Define("plain", func(context.Context, plain) (plain, error) { return v, nil }), v)
	})
}

func invoke[T, Out any](b *testing.B, task *fray.Task[T, Out], v T) {
	b.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	in := fray.Payload{Encoding: "json", Data: data}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := task.Invoke(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}
