package hostile

import (
	"bytes"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// How deeply mutations nest messages, and groups and lists, which no schema has.
const (
	nesting     = 500
	deepNesting = 20_000
)

// invalid puts bytes that are no UTF-8 where a message asks for them.
func invalid(body []byte) []byte {
	return bytes.ReplaceAll(body, []byte(notUTF8), []byte("\xff\xc0\x80\xf5\xed\xa0"))
}

// mutateProto returns a protobuf message with something wrong in it.
func mutateProto(r *rand.Rand, body []byte) []byte {
	switch r.IntN(9) {
	case 0:
		return flip(r, body)
	case 1:
		return cut(r, body)
	case 2: // What no schema has, before and after.
		unknown := protowire.AppendTag(nil, protowire.Number(1+r.IntN(1<<20)), protowire.BytesType) // within: positive
		return append(protowire.AppendBytes(unknown, body), body...)
	case 3: // Fields of another type.
		return append(protowire.AppendVarint(protowire.AppendTag(body, protowire.Number(1+r.IntN(12)), protowire.VarintType), r.Uint64()), 0x0d, 1, 2, 3, 4) // within: positive
	case 4: // The whole again and again: the last value counts, lists grow, messages merge.
		return bytes.Repeat(body, 1+r.IntN(20))
	case 5: // A message in itself.
		body = body[:min(len(body), 1<<14)]
		number := protowire.Number(1 + r.IntN(8)) // within: positive
		for range 1 + r.IntN(nesting) {           // Each copies what is within.
			body = protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), body)
		}
		return body
	case 6: // Groups in groups, which may not end.
		return append(bytes.Repeat([]byte{0x0b}, r.IntN(deepNesting)), bytes.Repeat([]byte{0x0c}, r.IntN(deepNesting))...)
	case 7: // Lengths that are too large.
		return protowire.AppendVarint(append(body, byte(r.IntN(16)<<3|2)), []uint64{math.MaxUint64, math.MaxInt64, math.MaxUint32, math.MaxInt32}[r.IntN(4)]) // within: 7 bits
	}
	return noise(r)
}

var jsonTokens = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null`)

// jsonValues take the place of a value, or of a name.
var jsonValues = []string{
	"null", "true", "{}", "[]", `""`, `"\ud800"`, `"\u0000"`, `"` + "\xff" + `"`, "1e400", "-1", "1.5", "1e3", "-0", "18446744073709551616", `"NaN"`, `"-Infinity"`, "NaN",
	`"1e1000000000"`, "1e1000000000", `"@type"`, "0x10", "01", `"==="`, `"` + strings.Repeat("9", 400) + `"`, `{"@type":"type.googleapis.com/x"}`,
}

// mutateJSON returns a text of JSON with something wrong in it.
func mutateJSON(r *rand.Rand, body []byte) []byte {
	switch r.IntN(9) {
	case 0:
		return flip(r, body)
	case 1:
		return cut(r, body)
	case 2, 3, 4:
		places := jsonTokens.FindAllIndex(body[:min(len(body), 1<<14)], -1)
		if len(places) == 0 {
			return []byte(jsonValues[r.IntN(len(jsonValues))])
		}
		at := places[r.IntN(len(places))]
		return bytes.Join([][]byte{body[:at[0]], []byte(jsonValues[r.IntN(len(jsonValues))]), body[at[1]:]}, nil)
	case 5: // Names twice.
		return bytes.Join([][]byte{bytes.TrimSuffix(body, []byte("}")), bytes.TrimPrefix(body, []byte("{"))}, []byte(","))
	case 6:
		open := []string{"[", "{", `{"a":`, `{"task":`, `{"tasks":[`}[r.IntN(5)]
		return append(bytes.Repeat([]byte(open), 1+r.IntN(deepNesting)), body...)
	case 7:
		return append(append([]byte("\xef\xbb\xbf \t\r\n"), body...), " \x00{}"...)
	}
	return noise(r)
}

// flip changes a few bits.
func flip(r *rand.Rand, body []byte) []byte {
	if len(body) == 0 {
		return noise(r)
	}
	body = bytes.Clone(body)
	for range 1 + r.IntN(4) {
		body[r.IntN(len(body))] ^= 1 << r.IntN(8)
	}
	return body
}

// cut leaves the end out.
func cut(r *rand.Rand, body []byte) []byte { return body[:r.IntN(len(body)+1)] }

// noise is random bytes.
func noise(r *rand.Rand) []byte {
	body := make([]byte, r.IntN(1<<(1+r.IntN(12))))
	for i := range body {
		body[i] = byte(r.Uint32()) // within: one byte of it is wanted
	}
	return body
}
