package hostile

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// answerBytes is how much of an answer is read, in bytes. Longer ones are judged by their heads alone.
const answerBytes = 4 << 20

// Answer is what came back for a request.
type Answer struct {
	Status          int
	Header, Trailer http.Header
	Body            []byte
	// Whole says that all of it was read.
	Whole bool
}

// HTTP returns the request as one of net/http, to a server at a base URL, with a credential that is shown
// unless the request has one of its own; empty: none.
func (q *Request) HTTP(ctx context.Context, base, token string) (*http.Request, error) {
	target := base + q.Target
	if !strings.HasPrefix(q.Target, "/") {
		target = base
	}
	req, err := http.NewRequestWithContext(ctx, q.Verb, target, bytes.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	req.Header = q.Header.Clone()
	if host := q.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	if _, has := req.Header["Authorization"]; !has && token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// Send sends a request and reads the answer. An error says that there is none: the connection was closed, or
// the context is done.
func Send(client *http.Client, req *http.Request) (Answer, error) {
	res, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	return Read(res), nil
}

// Read reads an answer to its end, and closes it.
func Read(res *http.Response) Answer {
	a := Answer{Status: res.StatusCode, Header: res.Header}
	var err error
	if a.Body, err = io.ReadAll(io.LimitReader(res.Body, answerBytes)); err == nil && len(a.Body) < answerBytes {
		a.Whole = true
	}
	_, _ = io.Copy(io.Discard, res.Body) // So that the connection is good for the next.
	_ = res.Body.Close()
	a.Trailer = res.Trailer
	return a
}

// A FindingError says that an answer shows a bug of the server.
type FindingError struct{ Problem string }

// Error implements error.
func (f *FindingError) Error() string { return f.Problem }

// bugs are the codes that no request may get: they say that the server did not know what to do.
var bugs = map[string]bool{
	connect.CodeInternal.String(): true, connect.CodeUnknown.String(): true, connect.CodeDataLoss.String(): true,
}

// Judge returns the code of an answer: "ok", one of Connect, or the status of HTTP where there is no other;
// "cut" where it was not read to its end. Where the code is ok and the answer a message, that is the second
// result. The error is a *FindingError.
func (a Answer) Judge(q *Request) (code string, message *dynamicpb.Message, err error) {
	if a.Status == http.StatusInternalServerError || a.Status == http.StatusBadGateway {
		return "", nil, &FindingError{fmt.Sprintf("HTTP %d: %.400q", a.Status, a.Body)}
	}
	if !a.Whole || q.Verb == http.MethodHead {
		return "cut", nil, nil
	}
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	var text string
	switch kind = strings.TrimSpace(kind); {
	case strings.HasPrefix(kind, "application/grpc"):
		code, text, message, err = a.grpc(q, strings.HasPrefix(kind, "application/grpc-web"))
	case strings.HasPrefix(kind, "application/connect+"):
		code, text, message, err = a.stream(q)
	default:
		code, text, message, err = a.unary(q, kind)
	}
	switch {
	case err != nil:
		return code, nil, &FindingError{fmt.Sprintf("HTTP %d: an answer that cannot be read: %v: %.400q", a.Status, err, a.Body)}
	case bugs[code]:
		return code, nil, &FindingError{fmt.Sprintf("HTTP %d: %s: %s", a.Status, code, text)}
	}
	return code, message, nil
}

// unary reads an answer of Connect without envelopes, or of HTTP alone.
func (a Answer) unary(q *Request, kind string) (code, text string, message *dynamicpb.Message, err error) {
	body := a.Body
	if a.Header.Get("Content-Encoding") == "gzip" {
		if body, err = unzip(body); err != nil {
			return "", "", nil, err
		}
	}
	if a.Status == http.StatusOK && (kind == "application/proto" || kind == "application/json") {
		message, err = decode(q, strings.TrimPrefix(kind, "application/"), body)
		return "ok", "", message, err
	}
	if a.Status != http.StatusOK && kind == "application/json" {
		code, text, err = connectError(body)
		return code, text, nil, err
	}
	return fmt.Sprint("http ", a.Status), "", nil, nil
}

// connectError reads an error of Connect.
func connectError(body []byte) (code, text string, err error) {
	var e struct{ Code, Message string }
	if err := json.Unmarshal(body, &e); err != nil {
		return "", "", err
	}
	if e.Code == "" {
		return "", "", errors.New("an error without a code")
	}
	return e.Code, e.Message, nil
}

func decode(q *Request, codec string, body []byte) (*dynamicpb.Message, error) {
	message := dynamicpb.NewMessage(q.Method.Output())
	if codec == "json" {
		return message, protojson.Unmarshal(body, message)
	}
	return message, proto.Unmarshal(body, message)
}

func unzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, 16*answerBytes))
}

// envelopes splits a body, and unpacks what is packed. The last, with one of the flags of end, is returned by
// itself; nil: there is none.
func envelopes(body []byte, end byte) (messages [][]byte, last []byte, err error) {
	for len(body) > 0 {
		if len(body) < 5 || uint64(len(body)-5) < uint64(binary.BigEndian.Uint32(body[1:])) {
			return nil, nil, errors.New("an envelope is cut")
		}
		flags, n := body[0], 5+int(binary.BigEndian.Uint32(body[1:]))
		data := body[5:n]
		body = body[n:]
		if flags&1 != 0 {
			if data, err = unzip(data); err != nil {
				return nil, nil, err
			}
		}
		if flags&end != 0 {
			if len(body) > 0 {
				return nil, nil, errors.New("something stands behind the end")
			}
			return messages, append([]byte{}, data...), nil
		}
		messages = append(messages, data)
	}
	return messages, nil, nil
}

func (a Answer) grpc(q *Request, web bool) (code, text string, message *dynamicpb.Message, err error) {
	var end byte
	if web {
		end = 0x80
	}
	messages, last, err := envelopes(a.Body, end)
	if err != nil {
		return "", "", nil, err
	}
	from := []http.Header{a.Trailer, a.Header}
	if last != nil {
		from = append(from, lines(last))
	}
	status, text := "", ""
	for _, h := range from {
		if s := h.Get("Grpc-Status"); s != "" {
			status, text = s, h.Get("Grpc-Message")
		}
	}
	n, err := strconv.ParseUint(status, 10, 32)
	if err != nil {
		return "", "", nil, fmt.Errorf("its status is %q", status)
	}
	if n > 0 {
		return connect.Code(n).String(), text, nil, nil
	}
	message, err = first(q, a.Header.Get("Content-Type"), messages)
	return "ok", "", message, err
}

// lines reads the trailers that gRPC-Web has in its last envelope.
func lines(text []byte) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(string(text), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			h.Set(textproto.TrimString(name), textproto.TrimString(value))
		}
	}
	return h
}

func (a Answer) stream(q *Request) (code, text string, message *dynamicpb.Message, err error) {
	messages, last, err := envelopes(a.Body, 2)
	if err != nil {
		return "", "", nil, err
	}
	if last == nil {
		return "", "", nil, errors.New("the stream has no end")
	}
	var end struct{ Error json.RawMessage }
	if err := json.Unmarshal(last, &end); err != nil {
		return "", "", nil, err
	}
	if end.Error != nil {
		code, text, err = connectError(end.Error)
		return code, text, nil, err
	}
	message, err = first(q, a.Header.Get("Content-Type"), messages)
	return "ok", "", message, err
}

// first decodes the first message of a stream; nil: it has none.
func first(q *Request, kind string, messages [][]byte) (*dynamicpb.Message, error) {
	if len(messages) == 0 {
		return nil, nil //nolint:nilnil // A stream may be empty.
	}
	codec := "proto"
	if strings.Contains(kind, "+json") {
		codec = "json"
	}
	return decode(q, codec, messages[0])
}
