package serve

import (
	"fmt"
	"sync"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// defaultItems bounds a list whose schema does not.
	defaultItems = 10_000
	// maxNesting bounds how deeply what is counted is nested. Schemas here are not recursive.
	maxNesting = 16
	// slack times what the schema allows is decoded, so that who is a little above is told by the
	// rule itself.
	slack = 2
	// maxValues keeps products of bounds within range.
	maxValues = 1 << 30
)

// shape is what a message may list, by the rules of its schema.
type shape struct {
	// Those fields that list something, or lead to one that does.
	fields map[protowire.Number]*fieldShape
	// How many objects the whole message has at most, written as JSON, and how many commas and
	// lists.
	objects, values int
	// Of the longest list in it, at any depth; fields of one object count as such.
	longest int
}

type fieldShape struct {
	name protoreflect.Name
	// A list, or a map, is decoded up to so many items. 0: it is neither.
	most   int
	packed protowire.Type // of the items of a list of numbers
	inner  *shape         // nil: it leads nowhere
}

var shapes sync.Map // of protoreflect.FullName to *shape

func shapeOf(d protoreflect.MessageDescriptor) *shape {
	if s, ok := shapes.Load(d.FullName()); ok {
		return s.(*shape) //nolint:errcheck // Nothing else is in it.
	}
	s, _ := shapes.LoadOrStore(d.FullName(), newShape(d, maxNesting))
	return s.(*shape) //nolint:errcheck // Nothing else is in it.
}

func newShape(d protoreflect.MessageDescriptor, depth int) *shape {
	s := &shape{fields: make(map[protowire.Number]*fieldShape), objects: 1, longest: max(d.Fields().Len(), 64)}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		field := &fieldShape{name: f.Name(), packed: protowire.BytesType, most: itemsOf(f)}
		objects, values := 0, 2 // A comma, and the brackets of a list.
		switch {
		case f.IsMap():
			s.objects++
		case f.Message() != nil && depth > 0:
			inner := newShape(f.Message(), depth-1)
			objects, values = inner.objects, values+inner.values
			s.longest = max(s.longest, inner.longest)
			if len(inner.fields) > 0 {
				field.inner = inner
			}
		case f.Message() == nil:
			field.packed = wireType(f.Kind())
		}
		s.longest = max(s.longest, field.most)
		s.objects = min(s.objects+objects*max(field.most, 1), maxValues)
		s.values = min(s.values+values*max(field.most, 1), maxValues)
		if field.most > 0 || field.inner != nil {
			s.fields[f.Number()] = field
		}
	}
	return s
}

// itemsOf returns how many items the schema lets a field have; 0: it is no list and no map.
func itemsOf(f protoreflect.FieldDescriptor) int {
	if f.Cardinality() != protoreflect.Repeated {
		return 0
	}
	rules, err := protovalidate.ResolveFieldRules(f)
	if err != nil {
		return defaultItems
	}
	most := rules.GetRepeated().GetMaxItems()
	if f.IsMap() {
		most = rules.GetMap().GetMaxPairs()
	}
	if most == 0 || most > maxValues {
		return defaultItems
	}
	return slack * int(most)
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind, protoreflect.GroupKind:
		return protowire.BytesType
	default:
		return protowire.VarintType
	}
}

// count reports a list of an encoded message that is too long. What is not well-formed it leaves to
// the decoder.
func (s *shape) count(data []byte, depth int) error {
	if len(s.fields) == 0 || depth == 0 {
		return nil
	}
	var counts map[protowire.Number]int
	for len(data) > 0 {
		num, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil
		}
		data = data[n:]
		n = protowire.ConsumeFieldValue(num, kind, data)
		if n < 0 {
			return nil
		}
		value := data[:n]
		data = data[n:]
		field := s.fields[num]
		if field == nil {
			continue
		}
		if field.most > 0 {
			if counts == nil {
				counts = make(map[protowire.Number]int)
			}
			if counts[num] += field.items(kind, value); counts[num] > field.most {
				return fmt.Errorf("%s: must have at most %d items: send several calls", field.name, field.most/slack)
			}
		}
		if field.inner != nil && kind == protowire.BytesType {
			inner, _ := protowire.ConsumeBytes(value)
			if err := field.inner.count(inner, depth-1); err != nil {
				return fmt.Errorf("%s: %w", field.name, err)
			}
		}
	}
	return nil
}

// items returns how many items one occurrence of a field has.
func (f *fieldShape) items(kind protowire.Type, value []byte) int {
	if kind != protowire.BytesType || f.packed == protowire.BytesType {
		return 1
	}
	packed, _ := protowire.ConsumeBytes(value)
	switch f.packed {
	case protowire.Fixed64Type:
		return len(packed) / 8
	case protowire.Fixed32Type:
		return len(packed) / 4
	}
	n := 0
	for _, b := range packed { // Each number ends with the one byte that has no upper bit.
		if b < 0x80 {
			n++
		}
	}
	return n
}
