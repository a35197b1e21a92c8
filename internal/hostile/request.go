package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Method is a procedure with its schema.
type Method struct {
	protoreflect.MethodDescriptor

	// Procedure is its path, such as "/fray.v1.ControllerService/GetTask". The schema may be under another name.
	Procedure string
}

// Service is the name of the service that has it.
func (m Method) Service() string {
	service, _, _ := strings.Cut(strings.TrimPrefix(m.Procedure, "/"), "/")
	return service
}

// connectext is what Connect's own packages for health and reflection have before the names of gRPC's schemas. What
// they serve is theirs, and differs in the names that JSON has; v1alpha is served with the schema of v1.
const connectext = "connectext."

// Methods returns procedures by their paths. The program has to have their schemas linked in.
func Methods(procedures ...string) ([]Method, error) {
	list := make([]Method, 0, len(procedures))
	for _, procedure := range procedures {
		name := strings.ReplaceAll(strings.TrimPrefix(procedure, "/"), "/", ".")
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(connectext + strings.Replace(name, ".v1alpha.", ".v1.", 1)))
		if err != nil {
			d, err = protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		}
		if err != nil {
			return nil, fmt.Errorf("find the schema of %s: %w: import the package that is made from it", procedure, err)
		}
		m, ok := d.(protoreflect.MethodDescriptor)
		if !ok {
			return nil, fmt.Errorf("%s is no procedure", procedure)
		}
		list = append(list, Method{m, procedure})
	}
	return list, nil
}

// Encodings are all ways to say a message. Each has its binary and its JSON form.
var Encodings = []string{"connect", "connect-get", "connect-stream", "grpc", "grpc-web"}

// Request is one drawn request.
type Request struct {
	Method   Method
	Encoding string // one of Encodings
	Codec    string // "proto" or "json"
	// Flaws names what is wrong with it, beside the values of its message. Empty: nothing.
	Flaws []string
	// Message is what it says, as far as it was not spoilt afterwards.
	Message protoreflect.Message

	HTTP2  bool
	Verb   string
	Target string // the path and the query
	Header http.Header
	Body   []byte
}

// Patient says that its answer may be long in coming: how long it is waited for is part of what is wrong with it.
func (q *Request) Patient() bool { return slices.Contains(q.Flaws, flawTimeout) }

// flawTimeout is what is wrong with a timeout.
const flawTimeout = "a timeout"

// flaw decides, once in so many requests, that something is wrong.
func (q *Request) flaw(r *rand.Rand, of int, name string) bool {
	if r.IntN(of) != 0 {
		return false
	}
	q.Flaws = append(q.Flaws, name)
	return true
}

// Draw draws a request for a procedure.
func Draw(r *rand.Rand, m Method, pool *Pool) *Request {
	q := &Request{Method: m, Verb: http.MethodPost, Header: http.Header{}, Codec: []string{"proto", "proto", "json"}[r.IntN(3)]}
	q.Target = m.Procedure
	streams := m.IsStreamingClient() || m.IsStreamingServer()
	q.Encoding = q.pickEncoding(r, streams)
	q.HTTP2 = r.IntN(2) == 0 || q.Encoding == "grpc" || m.IsStreamingClient()
	if q.flaw(r, 50, "the other HTTP") {
		q.HTTP2 = !q.HTTP2
	}
	message := Message(r, m.Input(), pool)
	q.Message = message
	q.Body = q.encode(r, message)
	switch q.Encoding {
	case "connect-get":
		q.asQuery(r)
	case "connect":
		q.asUnary(r)
	default:
		q.asEnvelopes(r, m.IsStreamingClient(), pool)
	}
	q.timeout(r)
	q.spoil(r)
	return q
}

func (q *Request) pickEncoding(r *rand.Rand, streams bool) string {
	switch {
	case streams && q.flaw(r, 10, "a stream as unary"):
		return "connect"
	case streams:
		return []string{"connect-stream", "grpc", "grpc-web"}[r.IntN(3)]
	case isPure(q.Method) && r.IntN(6) == 0, q.flaw(r, 100, "GET of what changes"):
		return "connect-get"
	case q.flaw(r, 30, "unary as a stream"):
		return "connect-stream"
	}
	return []string{"connect", "connect", "grpc", "grpc-web"}[r.IntN(4)]
}

// isPure says whether a procedure can be asked for with GET.
func isPure(m Method) bool {
	options, ok := m.Options().(*descriptorpb.MethodOptions)
	return ok && options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// encode returns the message in the request's codec, often with something wrong in it.
func (q *Request) encode(r *rand.Rand, message proto.Message) []byte {
	var body []byte
	var err error
	mutate := mutateProto
	if q.Codec == "json" {
		var text []byte
		text, err = protojson.MarshalOptions{UseProtoNames: r.IntN(2) == 0, UseEnumNumbers: r.IntN(4) == 0}.Marshal(message)
		var compact bytes.Buffer
		err = errors.Join(err, json.Compact(&compact, text)) // protojson varies its spaces by program.
		body, mutate = compact.Bytes(), mutateJSON
	} else {
		body, err = proto.MarshalOptions{Deterministic: true}.Marshal(message)
	}
	if err != nil {
		panic(fmt.Sprintf("drawn message of %s: %v", q.Method.Procedure, err))
	}
	body = invalid(body)
	if q.flaw(r, 4, "mutated") {
		body = mutate(r, body)
	}
	return body
}

func zip(data []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		panic(err) // The level is one that there is.
	}
	_, _ = w.Write(data) // Memory takes it.
	_ = w.Close()
	return b.Bytes()
}

// pack compresses data, or not, and returns how that is to be called. What it is called may be a lie.
func (q *Request) pack(r *rand.Rand, data []byte) (packed []byte, encoding string) {
	if r.IntN(3) == 0 {
		data, encoding = zip(data), "gzip"
		switch {
		case q.flaw(r, 30, "broken gzip"):
			data = flip(r, data)
		case q.flaw(r, 30, "cut gzip"):
			data = cut(r, data)
		case q.flaw(r, 30, "gzip, and more"):
			data = append(data, noise(r)...)
		case q.flaw(r, 30, "gzip twice"):
			data = append(data, data...)
		}
	}
	if q.flaw(r, 40, "a lie about compression") {
		encoding = []string{"", "gzip", "identity", "br", "gzip, gzip", "GZIP", " ", "deflate"}[r.IntN(8)]
	}
	return data, encoding
}

func (q *Request) asUnary(r *rand.Rand) {
	q.Header.Set("Content-Type", "application/"+q.Codec)
	if q.Codec == "json" && r.IntN(4) == 0 {
		q.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	q.version(r)
	var encoding string
	if q.Body, encoding = q.pack(r, q.Body); encoding != "" {
		q.Header.Set("Content-Encoding", encoding)
	}
	if r.IntN(3) == 0 {
		q.Header.Set("Accept-Encoding", "gzip")
	}
}

func (q *Request) version(r *rand.Rand) {
	if r.IntN(2) == 0 {
		q.Header.Set("Connect-Protocol-Version", "1")
	} else if q.flaw(r, 20, "a version of Connect") {
		q.Header.Set("Connect-Protocol-Version", []string{"0", "2", "one", ""}[r.IntN(4)])
	}
}

// queryBytes is how long a message in a query is at most: servers bound their headers.
const queryBytes = 128 << 10

func (q *Request) asQuery(r *rand.Rand) {
	q.Verb = http.MethodGet
	body, encoding := q.pack(r, q.Body)
	body = body[:min(len(body), queryBytes)]
	v := url.Values{"encoding": {q.Codec}, "connect": {"v1"}}
	if encoding != "" {
		v.Set("compression", encoding)
	}
	if q.Codec == "json" && encoding == "" && r.IntN(2) == 0 {
		v.Set("message", string(body))
	} else {
		v.Set("message", base64.RawURLEncoding.EncodeToString(body))
		v.Set("base64", "1")
	}
	if q.flaw(r, 10, "a query") {
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch r.IntN(6) {
			case 0:
				v.Del(name)
			case 1:
				v.Set(name, []string{"", "2", "v1", "%", "!!!!", "true", "\x00"}[r.IntN(7)])
			case 2:
				v.Add(name, "again")
			}
		}
	}
	q.Target += "?" + v.Encode()
	q.Body = nil
}

// Envelope puts a message between others of a stream.
func envelope(flags byte, data []byte) []byte {
	head := append([]byte{flags}, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(head[1:], uint32(min(len(data), math.MaxUint32))) // within: by min
	return append(head, data...)
}

// asEnvelopes says the message in an envelope, and in streams some more of them.
func (q *Request) asEnvelopes(r *rand.Rand, several bool, pool *Pool) {
	compression := "Grpc-Encoding"
	switch q.Encoding {
	case "connect-stream":
		compression = "Connect-Content-Encoding"
		q.Header.Set("Content-Type", "application/connect+"+q.Codec)
		q.version(r)
	case "grpc":
		q.Header.Set("Te", "trailers")
		q.Header.Set("Content-Type", "application/grpc+"+q.Codec)
	default:
		q.Header.Set("Content-Type", "application/grpc-web+"+q.Codec)
	}
	if q.Codec == "proto" && q.Encoding != "connect-stream" && r.IntN(2) == 0 {
		q.Header.Set("Content-Type", "application/"+q.Encoding)
	}
	messages := [][]byte{q.Body}
	if several {
		for range r.IntN(3) {
			messages = append(messages, q.encode(r, Message(r, q.Method.Input(), pool)))
		}
	} else if q.flaw(r, 60, "a second message") {
		messages = append(messages, q.Body)
	}
	q.Body = nil
	for _, data := range messages {
		packed, encoding := q.pack(r, data)
		var flags byte
		if encoding != "" {
			q.Header.Set(compression, encoding)
			flags = 1
		}
		if q.flaw(r, 40, "flags of an envelope") {
			flags = byte(r.Uint32()) // within: one byte of it is wanted
		}
		one := envelope(flags, packed)
		if q.flaw(r, 40, "length of an envelope") {
			binary.BigEndian.PutUint32(one[1:5], uint32(edges[r.IntN(len(edges))])) // within: cut on purpose
		}
		q.Body = append(q.Body, one...)
	}
	if q.flaw(r, 60, "no message") {
		q.Body = nil
	}
	if q.flaw(r, 60, "more after the last") {
		q.Body = append(q.Body, noise(r)...)
	}
	if r.IntN(3) == 0 {
		q.Header.Set(strings.Replace(compression, "-Encoding", "-Accept-Encoding", 1), "gzip")
	}
}

// timeout has most requests end soon, because many would wait.
func (q *Request) timeout(r *rand.Rand) {
	name, value := "Connect-Timeout-Ms", strconv.Itoa(50+r.IntN(400))
	strange := []string{"", "-1", "0", "1", "+5", "1.5", "9999999999", "99999999999", "abc", "١", "0x10", " 5", "5m"}
	if strings.HasPrefix(q.Encoding, "grpc") {
		name, value = "Grpc-Timeout", value+"m"
		strange = []string{"", "-1m", "0n", "1n", "m", "5", "5x", "99999999H", "123456789S", "1.5S", "٣S", " 5m", "5M5M"}
	}
	if q.flaw(r, 20, flawTimeout) {
		value = strange[r.IntN(len(strange))]
	}
	q.Header.Set(name, value)
}

// strangeHeaders are said beside the others.
var strangeHeaders = [][2]string{
	{"Content-Type", ""},
	{"Content-Type", "text/plain"},
	{"Content-Type", "application/"},
	{"Content-Type", "application/grpc+"},
	{"Content-Type", "application/grpc-web-text"},
	{"Content-Type", "application/grpc+xml"},
	{"Content-Type", "application/connect+"},
	{"Content-Type", "application/json; charset=latin1"},
	{"Content-Type", "APPLICATION/PROTO"},
	{"Content-Type", "application/proto; a=\"b"},
	{"Accept-Encoding", "gzip;q=0, br"},
	{"Grpc-Accept-Encoding", "nothing"},
	{"Origin", "http://elsewhere.example"},
	{"Sec-Fetch-Site", "cross-site"},
	{"Host", "elsewhere.example"},
	{"Authorization", "Bearer " + "x"},
	{"Authorization", "Basic eDp5"},
	{"Authorization", ""},
	{"Traceparent", "00-zz-zz-zz"},
	{"X-Forwarded-For", strings.Repeat("1.1.1.1,", 500)},
	{"X-Long", strings.Repeat("a", 70<<10)},
	{"Expect", "100-continue"},
	{"Expect", "something"},
	{"Range", "bytes=0-1"},
	{"User-Agent", ""},
	{"Some-Bin", "!!"},
}

// spoil changes what is around the message.
func (q *Request) spoil(r *rand.Rand) {
	if q.flaw(r, 25, "a header") {
		h := strangeHeaders[r.IntN(len(strangeHeaders))]
		q.Header.Set(h[0], h[1])
	}
	if q.flaw(r, 60, "the verb") {
		q.Verb = []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace, "FRAY"}[r.IntN(7)]
	}
	if q.flaw(r, 60, "the body ends early") {
		q.Body = cut(r, q.Body)
	}
	if q.flaw(r, 100, "the path") {
		q.Target = []string{q.Target + "/", q.Target + "x", "/" + q.Target, strings.ToLower(q.Target), "/" + q.Method.Service() + "/", "/", "*", q.Target + "/../..", q.Target + "%2f"}[r.IntN(9)]
	}
	if q.flaw(r, 60, "bytes only") {
		q.Body = noise(r)
	}
}

// String tells what a request is, so that a report can name it. Its body is not in it.
func (q *Request) String() string {
	version := "HTTP/1.1"
	if q.HTTP2 {
		version = "HTTP/2"
	}
	var head strings.Builder
	_ = q.Header.Write(&head) // Memory takes it.
	flaws := "nothing is wrong with it but values"
	if len(q.Flaws) > 0 {
		flaws = "what is wrong: " + strings.Join(q.Flaws, ", ")
	}
	return fmt.Sprintf("%s as %s, %s; %s\n%s %.2000s %s\n%.4000s", q.Method.Procedure, q.Encoding, q.Codec, flaws, q.Verb, q.Target, version, head.String())
}

// Dump writes the request as it stands on the wire of HTTP/1.1, in which it can be sent again: nc HOST PORT <FILE.
// The credential and the version of HTTP are the sender's.
func (q *Request) Dump(w io.Writer, host string) error {
	header := q.Header.Clone()
	if header.Get("Host") == "" {
		header.Set("Host", host)
	}
	header.Set("Content-Length", strconv.Itoa(len(q.Body)))
	if _, err := fmt.Fprintf(w, "%s %s HTTP/1.1\r\n", q.Verb, q.Target); err != nil {
		return err
	}
	if err := header.Write(w); err != nil {
		return err
	}
	_, err := w.Write(append([]byte("\r\n"), q.Body...))
	return err
}

// Framings are ways to say wrongly over HTTP/1.1 how long a request is, or to break off.
var framings = []string{"length too large", "length too small", "two lengths", "chunks", "broken chunks", "cut", "two in one"}

// Raw returns the request as bytes of HTTP/1.1 with something wrong in their framing, which it names.
func (q *Request) Raw(r *rand.Rand, host string) (wire []byte, flaw string) {
	var b bytes.Buffer
	_ = q.Dump(&b, host) // Memory takes it.
	wire = b.Bytes()
	head, body := wire[:len(wire)-len(q.Body)], q.Body
	length := []byte(fmt.Sprintf("Content-Length: %d", len(body)))
	replaced := func(with string, after []byte) []byte {
		return append(bytes.Replace(head, length, []byte(with), 1), after...)
	}
	flaw = framings[r.IntN(len(framings))]
	switch flaw {
	case "length too large":
		return replaced(fmt.Sprintf("Content-Length: %d", []int{len(body) + 1, 1 << 20, 1 << 30, math.MaxInt64}[r.IntN(4)]), body), flaw
	case "length too small":
		return replaced(fmt.Sprintf("Content-Length: %d", r.IntN(max(1, len(body)))), body), flaw
	case "two lengths":
		return replaced(string(length)+"\r\nContent-Length: 7", body), flaw
	case "chunks":
		return replaced("Transfer-Encoding: chunked", append(fmt.Appendf(nil, "%x\r\n%s", len(body), body), "\r\n0\r\n\r\n"...)), flaw
	case "broken chunks":
		return replaced("Transfer-Encoding: chunked", append(fmt.Appendf(nil, "%x\r\n", r.Uint64()), body...)), flaw
	case "two in one":
		return append(bytes.Clone(wire), wire...), flaw
	}
	return cut(r, wire), flaw
}

// Serves says whether a procedure can be asked for in an encoding.
func Serves(m Method, encoding string) bool {
	streams := m.IsStreamingClient() || m.IsStreamingServer()
	switch encoding {
	case "connect":
		return !streams
	case "connect-get":
		return isPure(m)
	case "connect-stream":
		return streams
	}
	return true
}
