package hostile

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	// messageDepth is how deeply messages are nested in a drawn one. Schemas here are no deeper.
	messageDepth = 4
	// manyItems and someItems are how many items long lists have at most.
	manyItems = 100_000
	someItems = 2_000
	// filledItems is how many items of a list of messages are not empty, at most.
	filledItems = 100
)

// notUTF8 stands in texts for as many bytes that are none; mutations put them there, because no encoder
// does.
const notUTF8 = "~utf8~"

// care is how a message is drawn.
type care int

const (
	// plain has values that a server could take.
	plain care = iota
	// odd is plain but for a few values at the edges.
	odd
	// wild has all values at the edges.
	wild
)

// Message draws a message for a schema. It can be encoded.
func Message(r *rand.Rand, d protoreflect.MessageDescriptor, pool *Pool) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	drawer{r, pool, [...]care{plain, plain, plain, odd, odd, wild}[r.IntN(6)]}.fill(m, messageDepth)
	return m
}

type drawer struct {
	*rand.Rand

	pool *Pool
	care care
}

func (d drawer) chance(of int) bool { return d.IntN(of) == 0 }

// fill sets fields of a message.
func (d drawer) fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		left := 8
		if d.care == plain {
			left = 32 // Many are required.
		}
		if d.chance(left) || f.HasPresence() && f.Message() == nil && d.chance(2) {
			continue
		}
		one := d
		if d.care == odd && !d.chance(4) {
			one = drawer{d.Rand, d.pool, plain}
		}
		one.set(m, f, depth)
	}
}

// set sets one field.
func (d drawer) set(m protoreflect.Message, f protoreflect.FieldDescriptor, depth int) {
	switch {
	case f.IsMap():
		entries := m.Mutable(f).Map()
		for range min(d.length(), someItems*4) {
			key, value := d.value(f.MapKey()).MapKey(), entries.NewValue()
			if f.MapValue().Message() == nil {
				value = d.value(f.MapValue())
			}
			entries.Set(key, value)
		}
	case f.IsList():
		d.list(f, m.Mutable(f).List(), depth)
	case f.Message() == nil:
		m.Set(f, d.value(f))
	case depth > 0:
		d.fill(m.Mutable(f).Message(), depth-1)
	}
}

// list adds items, in long lists often the same one.
func (d drawer) list(f protoreflect.FieldDescriptor, items protoreflect.List, depth int) {
	n, same := d.length(), d.chance(2)
	var item protoreflect.Value
	for i := range n {
		switch {
		case f.Message() != nil:
			item = items.NewElement()
			if depth > 0 && i < filledItems && (n <= someItems || !same) {
				d.fill(item.Message(), depth-1)
			}
		case i == 0 || !same:
			item = d.value(f)
		}
		items.Append(item)
	}
}

// length is a number of items.
func (d drawer) length() int {
	if d.care == plain {
		if d.chance(50) {
			return d.IntN(100)
		}
		return 1 + d.IntN(3)
	}
	switch d.IntN(16) {
	case 0:
		return d.IntN(manyItems)
	case 1, 2:
		return d.IntN(someItems)
	}
	return d.IntN(4)
}

func (d drawer) value(f protoreflect.FieldDescriptor) protoreflect.Value {
	if d.chance(2) || d.care == plain && (f.Kind() != protoreflect.StringKind || d.chance(2)) {
		if v, ok := d.pool.draw(d.Rand, f); ok {
			return v
		}
	}
	if d.care == plain {
		return d.plainValue(f)
	}
	return d.edge(f)
}

// plainValue is small, and what the rules of most fields allow.
func (d drawer) plainValue(f protoreflect.FieldDescriptor) protoreflect.Value {
	n := 1 + d.IntN(4)
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n > 3)
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(values.Len() - 1 - d.IntN(max(1, values.Len()-1))).Number()) // The first says nothing.
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n)) // within: at most 4
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n)) // within: 1 to 4
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n)) // within: 1 to 4
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(1)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(1)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(strconv.Itoa(n)))
	case protoreflect.StringKind, protoreflect.MessageKind, protoreflect.GroupKind:
	}
	if strings.HasSuffix(string(f.Name()), "token") {
		return protoreflect.ValueOfString("") // None was told.
	}
	return protoreflect.ValueOfString(fmt.Sprint("f", d.IntN(1<<16)))
}

var edges = []uint64{
	0, 1, 2, 1000, math.MaxInt32, 1 << 31, math.MaxUint32, 1 << 32, 1<<32 + 5, math.MaxInt64 / 1_000_000, math.MaxInt64 - 1, math.MaxInt64,
	1 << 63, math.MaxUint64,
}

var edgeFloats = []float64{0, 1, -1, 0.5, 100, 100.1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, math.Copysign(0, -1)}

// edge is a value at an edge of its kind.
func (d drawer) edge(f protoreflect.FieldDescriptor) protoreflect.Value {
	n := edges[d.IntN(len(edges))]
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(d.chance(2))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum([]protoreflect.EnumNumber{-1, 0, 1, 2, 3, 7, 8, 100, math.MaxInt32, math.MinInt32}[d.IntN(10)])
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n)) // within: cut on purpose
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n)) // within: cut on purpose
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(n)) // within: negative on purpose
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if d.chance(4) {
			n = d.Uint64()
		}
		return protoreflect.ValueOfUint64(n)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(edgeFloats[d.IntN(len(edgeFloats))]))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(edgeFloats[d.IntN(len(edgeFloats))])
	case protoreflect.BytesKind:
		if d.chance(50) {
			return protoreflect.ValueOfBytes(make([]byte, d.IntN(1<<20)))
		}
		return protoreflect.ValueOfBytes(binary.LittleEndian.AppendUint64(nil, n))
	case protoreflect.StringKind, protoreflect.MessageKind, protoreflect.GroupKind:
	}
	texts := []string{
		"", " ", "a", "/", "../../x", "%00", "\x00", "a\x00b", "\x1b[31m", "ä\u0301", "\U0001F600", "\u202e", "a\nb", notUTF8, "a" + notUTF8,
		strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("a/", 400), strings.Repeat("(", 2000), strconv.FormatUint(n, 10), strconv.FormatUint(n, 36),
	}
	return protoreflect.ValueOfString(texts[d.IntN(len(texts))])
}
