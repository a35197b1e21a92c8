package fray

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/internal/attempt"
)

// The encodings of this package.
const (
	encodingJSON  = "json"
	encodingProto = "proto"
	encodingRaw   = "raw"
)

// codec encodes the values of one type. Which one a type has depends on the type alone, so that
// both sides choose the same without a word on the wire.
type codec[T any] struct {
	encoding string
	// marshal shows the visitor, which may be nil, what of the value it has to know of.
	marshal func(T, visitor) ([]byte, error)
	// unmarshal makes a value that shares no memory with data.
	unmarshal func(data []byte) (T, error)
	// inspect shows a visitor the futures of a value that was decoded; nil: the type has none.
	inspect func(T, visitor) error
}

// codecOf returns the codec of T: raw for []byte, proto for messages, JSON for the rest.
func codecOf[T any]() (codec[T], error) {
	typ := reflect.TypeFor[T]()
	message := reflect.TypeFor[proto.Message]()
	switch {
	case typ == reflect.TypeFor[[]byte]():
		return rawCodec[T](), nil
	case typ.Implements(message) && typ.Kind() == reflect.Pointer:
		return protoCodec[T](), nil
	case typ.Implements(message):
		return codec[T]{}, fmt.Errorf("type %v stands for any message: name one, such as *durationpb.Duration", typ)
	case reflect.PointerTo(typ).Implements(message):
		return codec[T]{}, fmt.Errorf("type %v is a message by value: use *%v", typ, typ)
	}
	var zero T
	var unsupported *json.UnsupportedTypeError
	if _, err := json.Marshal(zero); errors.As(err, &unsupported) {
		return codec[T]{}, fmt.Errorf("type %v has no encoding: %w", typ, err)
	}
	if err := checkFields(typ); err != nil {
		return codec[T]{}, err
	}
	if misplaced.finds(typ, make(map[reflect.Type]bool)) {
		return codec[T]{}, fmt.Errorf("type %v: %w", typ, errFutureByValue)
	}
	return jsonCodec[T](), nil
}

// encode encodes a value, and shows a visitor, which may be nil, the futures and refs in it.
func (c codec[T]) encode(v T, to visitor) (Payload, error) {
	data, err := c.marshal(v, to)
	if err != nil {
		return Payload{}, err
	}
	return Payload{Encoding: c.encoding, Data: data}, nil
}

// decode is the reverse of encode. An empty payload without an encoding is the zero value, and a
// message may come as JSON: both are what people write by hand.
func (c codec[T]) decode(p Payload) (T, error) {
	var v T
	switch {
	case p.Encoding == c.encoding:
		return c.unmarshal(p.Data)
	case p.Encoding == "" && len(p.Data) == 0:
		if c.encoding == encodingJSON {
			return v, nil
		}
		return c.unmarshal(nil)
	case p.Encoding == encodingJSON && c.encoding == encodingProto:
		v, m := newMessage[T]()
		return v, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(p.Data, m)
	default:
		return v, fmt.Errorf("payload is encoded as %q, not as %q", p.Encoding, c.encoding)
	}
}

// decodeResult decodes what a task ended with. A function always has a result, be it the zero
// value, and its worker says so: where there is nothing, none was reported.
func (c codec[T]) decodeResult(p Payload) (T, error) {
	if p.Encoding == "" && len(p.Data) == 0 {
		var none T
		return none, errors.New("there is no value: the worker reported none")
	}
	return c.decode(p)
}

// bind has the futures in a value that was decoded belong to a job context.
func (c codec[T]) bind(v T, jc *JobContext, values attempt.Needed[Payload]) {
	if c.inspect != nil {
		_ = c.inspect(v, &binder{jc, values}) // Nothing of it fails.
	}
}

func jsonCodec[T any]() codec[T] {
	check := outbound.inspector(reflect.TypeFor[T]())
	valueOf := func(v T) reflect.Value { return reflect.ValueOf(v) }
	if reflect.TypeFor[T]().Kind() == reflect.Interface {
		valueOf = func(v T) reflect.Value { return reflect.ValueOf(&v).Elem() }
	}
	c := codec[T]{
		encoding: encodingJSON,
		marshal: func(v T, to visitor) ([]byte, error) {
			data, err := json.Marshal(v)
			if err == nil && check != nil { // Not before: what has no end has no encoding.
				err = check(valueOf(v), to)
				if err == nil && to != nil && to.again() {
					err = check(valueOf(v), to)
				}
				if err != nil {
					err = at("", err)
				}
			}
			return data, err
		},
		unmarshal: func(data []byte) (v T, err error) {
			if err := checkText(data); err != nil {
				return v, err
			}
			err = json.Unmarshal(data, &v)
			return v, err
		},
	}
	if inspect := inbound.inspector(reflect.TypeFor[T]()); inspect != nil {
		c.inspect = func(v T, to visitor) error { return inspect(valueOf(v), to) }
	}
	return c
}

func protoCodec[T any]() codec[T] {
	return codec[T]{
		encoding: encodingProto,
		marshal: func(v T, _ visitor) ([]byte, error) {
			m, _ := any(v).(proto.Message) // codecOf saw to it
			// The same value is to make the same spec when it is submitted again under one task id.
			return proto.MarshalOptions{Deterministic: true}.Marshal(m)
		},
		unmarshal: func(data []byte) (T, error) {
			v, m := newMessage[T]()
			return v, proto.Unmarshal(data, m)
		},
	}
}

// newMessage returns an empty message, as what it is and as a message.
func newMessage[T any]() (T, proto.Message) {
	v, _ := reflect.New(reflect.TypeFor[T]().Elem()).Interface().(T) // T is a pointer
	m, _ := any(v).(proto.Message)                                   // codecOf saw to it
	return v, m
}

func rawCodec[T any]() codec[T] {
	clone := func(b []byte) T {
		v, _ := any(append(make([]byte, 0, len(b)), b...)).(T) // T is []byte
		return v
	}
	return codec[T]{
		encoding: encodingRaw,
		marshal: func(v T, _ visitor) ([]byte, error) {
			b, _ := any(v).([]byte) // T is []byte
			return bytes.Clone(b), nil
		},
		unmarshal: func(data []byte) (T, error) { return clone(data), nil },
	}
}
