package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// smallMessage is a size in bytes below which a message cannot list enough to hurt, so that nothing
// is counted in it.
const smallMessage = 16 << 10

// Bounded returns the option that has a handler refuse messages that are too large for their
// procedure, see Config.RequestBytes, or that list too much. It counts what a message lists before
// it makes room for it: two bytes can stand for an item that takes a hundred in memory, and a
// compressed body says a million of them in a few.
func Bounded(requestBytes map[string]int) connect.HandlerOption {
	return connect.WithHandlerOptions(
		connect.WithCodec(protoCodec{}), connect.WithCodec(jsonCodec{"json"}), connect.WithCodec(jsonCodec{"json; charset=utf-8"}),
		connect.WithConditionalHandlerOptions(func(spec connect.Spec) []connect.HandlerOption {
			most, named := requestBytes[spec.Procedure]
			if !named {
				most = DefaultRequestBytes
			}
			return []connect.HandlerOption{connect.WithReadMaxBytes(most)}
		}),
	)
}

// maxJSONDepth is how deeply lists are told apart; what is nested more deeply is in no schema here.
const maxJSONDepth = 4 * maxNesting

var errNoMessage = errors.New("not a protobuf message")

// protoCodec is Connect's own, and counts.
type protoCodec struct{}

func (protoCodec) Name() string   { return "proto" }
func (protoCodec) IsBinary() bool { return true }

func (protoCodec) Marshal(message any) ([]byte, error) {
	return protoCodec{}.MarshalAppend(nil, message)
}

func (protoCodec) MarshalAppend(dst []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("marshal %T: %w", message, errNoMessage)
	}
	// The order of a map must not show: a run that is repeated gives the same bytes.
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, m)
}

func (protoCodec) MarshalStable(message any) ([]byte, error) {
	return protoCodec{}.MarshalAppend(nil, message)
}

func (protoCodec) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("unmarshal %T: %w", message, errNoMessage)
	}
	if len(data) > smallMessage {
		if err := shapeOf(m.ProtoReflect().Descriptor()).count(data, maxNesting); err != nil {
			return err
		}
	}
	return proto.Unmarshal(data, m)
}

// jsonCodec is Connect's own, and counts.
type jsonCodec struct{ name string }

func (c jsonCodec) Name() string { return c.name }
func (jsonCodec) IsBinary() bool { return false }

func (c jsonCodec) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

func (jsonCodec) MarshalAppend(dst []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("marshal %T: %w", message, errNoMessage)
	}
	return protojson.MarshalOptions{}.MarshalAppend(dst, m)
}

func (c jsonCodec) MarshalStable(message any) ([]byte, error) {
	text, err := c.Marshal(message)
	if err != nil {
		return nil, err
	}
	// protojson varies its spaces on purpose.
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, err
	}
	return compact.Bytes(), nil
}

func (jsonCodec) Unmarshal(text []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("unmarshal %T: %w", message, errNoMessage)
	}
	if len(text) == 0 {
		return errors.New("zero-length payload is not a valid JSON object")
	}
	if len(text) > smallMessage {
		s := shapeOf(m.ProtoReflect().Descriptor())
		if c := countJSON(text); c.objects > s.objects || c.values > s.values || c.longest > s.longest {
			return fmt.Errorf("%s has %d objects, %d values and a list of %d items, more than its lists have room for: send several calls",
				m.ProtoReflect().Descriptor().Name(), c.objects, c.values, c.longest)
		}
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, m)
}

// jsonCounts are what a text of JSON has, at most: objects, values that stand behind a comma or in
// a list, and items of its longest list or object.
type jsonCounts struct{ objects, values, longest int }

func countJSON(text []byte) (n jsonCounts) {
	var commas [maxJSONDepth]int // of each list and object that is open
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{', c == '[':
			if c == '{' {
				n.objects++
			} else {
				n.values++
			}
			if depth++; depth < maxJSONDepth {
				commas[depth] = 0
			}
		case c == '}', c == ']':
			depth = max(depth-1, 0)
		case c == ',':
			n.values++
			if depth < maxJSONDepth {
				commas[depth]++
				n.longest = max(n.longest, commas[depth]+1)
			}
		}
	}
	return n
}
