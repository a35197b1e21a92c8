package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	conformancev1 "github.com/frayrpc/fray/integration/conformance/gen/connectrpc/conformance/v1"
	"github.com/frayrpc/fray/integration/conformance/gen/connectrpc/conformance/v1/conformancev1connect"
)

// A service answers as its requests say, and tells what it saw of them.
type service struct {
	conformancev1connect.UnimplementedConformanceServiceHandler
}

// newHandler returns the service with adapters around it. limit is the longest message that it
// takes, in bytes; 0: any.
func newHandler(a *adapters, limit uint32) http.Handler {
	path, handler := conformancev1connect.NewConformanceServiceHandler(service{},
		connect.WithReadMaxBytes(int(limit)), a.interceptor(serverHost))
	mux := http.NewServeMux()
	mux.Handle(path, handler)
	return a.handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && r.URL.Path == conformancev1connect.ConformanceServiceBidiStreamProcedure {
			// connect-go refuses these over HTTP/1.1, where they can be had if one speaks after the other.
			r.ProtoMajor, r.ProtoMinor = 2, 0
		}
		mux.ServeHTTP(w, r)
	}), serverHost)
}

const serverHost = "server"

// Unary implements conformancev1connect.ConformanceServiceHandler.
func (service) Unary(ctx context.Context, req *connect.Request[conformancev1.UnaryRequest]) (*connect.Response[conformancev1.UnaryResponse], error) {
	return answer(req.Msg.GetResponseDefinition(), sight(ctx, req.Header(), req.Peer(), req.Msg),
		func(p *conformancev1.ConformancePayload) *conformancev1.UnaryResponse {
			return &conformancev1.UnaryResponse{Payload: p}
		})
}

// IdempotentUnary implements conformancev1connect.ConformanceServiceHandler.
func (service) IdempotentUnary(
	ctx context.Context, req *connect.Request[conformancev1.IdempotentUnaryRequest],
) (*connect.Response[conformancev1.IdempotentUnaryResponse], error) {
	return answer(req.Msg.GetResponseDefinition(), sight(ctx, req.Header(), req.Peer(), req.Msg),
		func(p *conformancev1.ConformancePayload) *conformancev1.IdempotentUnaryResponse {
			return &conformancev1.IdempotentUnaryResponse{Payload: p}
		})
}

// ClientStream implements conformancev1connect.ConformanceServiceHandler.
func (service) ClientStream(
	ctx context.Context, stream *connect.ClientStream[conformancev1.ClientStreamRequest],
) (*connect.Response[conformancev1.ClientStreamResponse], error) {
	var all []proto.Message
	var definition *conformancev1.UnaryResponseDefinition
	for stream.Receive() {
		if len(all) == 0 {
			definition = stream.Msg().GetResponseDefinition()
		}
		all = append(all, proto.Clone(stream.Msg()))
	}
	if err := stream.Err(); err != nil {
		return nil, err
	}
	return answer(definition, sight(ctx, stream.RequestHeader(), stream.Peer(), all...),
		func(p *conformancev1.ConformancePayload) *conformancev1.ClientStreamResponse {
			return &conformancev1.ClientStreamResponse{Payload: p}
		})
}

// answer returns the one answer that is asked for.
func answer[Res any](
	definition *conformancev1.UnaryResponseDefinition, seen *conformancev1.ConformancePayload_RequestInfo,
	message func(*conformancev1.ConformancePayload) *Res,
) (*connect.Response[Res], error) {
	if definition.GetError() != nil {
		err := toError(definition.GetError(), seen)
		addHeaders(err.Meta(), definition.GetResponseHeaders())
		addHeaders(err.Meta(), definition.GetResponseTrailers())
		return nil, err
	}
	wait(definition.GetResponseDelayMs())
	res := connect.NewResponse(message(&conformancev1.ConformancePayload{Data: definition.GetResponseData(), RequestInfo: seen}))
	addHeaders(res.Header(), definition.GetResponseHeaders())
	addHeaders(res.Trailer(), definition.GetResponseTrailers())
	return res, nil
}

// ServerStream implements conformancev1connect.ConformanceServiceHandler.
func (service) ServerStream(
	ctx context.Context, req *connect.Request[conformancev1.ServerStreamRequest], stream *connect.ServerStream[conformancev1.ServerStreamResponse],
) error {
	seen := sight(ctx, req.Header(), req.Peer(), req.Msg)
	s := &answers{definition: req.Msg.GetResponseDefinition(), send: func(p *conformancev1.ConformancePayload) error {
		if p == nil {
			return stream.Send(nil)
		}
		return stream.Send(&conformancev1.ServerStreamResponse{Payload: p})
	}}
	s.begin(stream.ResponseHeader(), stream.ResponseTrailer())
	if err := s.open(); err != nil {
		return err
	}
	return s.rest(func() *conformancev1.ConformancePayload_RequestInfo { return seen })
}

// BidiStream implements conformancev1connect.ConformanceServiceHandler.
func (service) BidiStream(
	ctx context.Context, stream *connect.BidiStream[conformancev1.BidiStreamRequest, conformancev1.BidiStreamResponse],
) error {
	s := &answers{send: func(p *conformancev1.ConformancePayload) error {
		if p == nil {
			return stream.Send(nil)
		}
		return stream.Send(&conformancev1.BidiStreamResponse{Payload: p})
	}}
	var unanswered []proto.Message
	see := func() *conformancev1.ConformancePayload_RequestInfo {
		return sight(ctx, stream.RequestHeader(), stream.Peer(), unanswered...)
	}
	full := false
	for first := true; ; first = false {
		req, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		unanswered = append(unanswered, req)
		if first {
			full, s.definition = req.GetFullDuplex(), req.GetResponseDefinition()
			s.begin(stream.ResponseHeader(), stream.ResponseTrailer())
			if full {
				if err := s.open(); err != nil {
					return err
				}
			}
		}
		if !full {
			continue
		}
		if s.done() {
			break
		}
		seen := see()
		if !first {
			seen = &conformancev1.ConformancePayload_RequestInfo{Requests: seen.GetRequests()}
		}
		if err := s.next(seen); err != nil {
			return err
		}
		unanswered = nil
	}
	if !full {
		if err := s.open(); err != nil {
			return err
		}
	}
	return s.rest(see)
}

// answers are those that are asked of a stream.
type answers struct {
	definition *conformancev1.StreamResponseDefinition
	send       func(*conformancev1.ConformancePayload) error // nil: headers alone
	sent       int
}

// begin sets headers and trailers.
func (s *answers) begin(header, trailer http.Header) {
	addHeaders(header, s.definition.GetResponseHeaders())
	addHeaders(trailer, s.definition.GetResponseTrailers())
}

// open sends the headers if something will follow.
func (s *answers) open() error {
	if s.done() {
		return nil
	}
	return s.send(nil)
}

func (s *answers) done() bool { return s.sent >= len(s.definition.GetResponseData()) }

// next sends one answer.
func (s *answers) next(seen *conformancev1.ConformancePayload_RequestInfo) error {
	wait(s.definition.GetResponseDelayMs())
	payload := &conformancev1.ConformancePayload{Data: s.definition.GetResponseData()[s.sent], RequestInfo: seen}
	s.sent++
	return s.send(payload)
}

// rest sends what is left. The first answer of all tells what was seen, or the error does.
func (s *answers) rest(see func() *conformancev1.ConformancePayload_RequestInfo) error {
	for !s.done() {
		var seen *conformancev1.ConformancePayload_RequestInfo
		if s.sent == 0 {
			seen = see()
		}
		if err := s.next(seen); err != nil {
			return err
		}
	}
	failure := s.definition.GetError()
	switch {
	case failure == nil:
		return nil
	case s.sent == 0:
		return toError(failure, see())
	}
	return toError(failure, nil)
}

// sight returns what can be seen of a request.
func sight(ctx context.Context, header http.Header, peer connect.Peer, messages ...proto.Message) *conformancev1.ConformancePayload_RequestInfo {
	seen := &conformancev1.ConformancePayload_RequestInfo{RequestHeaders: fromHeaders(header)}
	if deadline, ok := ctx.Deadline(); ok {
		seen.TimeoutMs = proto.Int64(time.Until(deadline).Milliseconds())
	}
	if len(peer.Query) > 0 {
		seen.ConnectGetInfo = &conformancev1.ConformancePayload_ConnectGetInfo{QueryParams: fromHeaders(peer.Query)}
	}
	for _, message := range messages {
		packed, err := anypb.New(message)
		if err != nil {
			panic(err) // What was unmarshalled can be marshalled.
		}
		seen.Requests = append(seen.Requests, packed)
	}
	return seen
}

// toError returns an error as connect-go has it, with what was seen of the request, if anything.
func toError(failure *conformancev1.Error, seen *conformancev1.ConformancePayload_RequestInfo) *connect.Error {
	code := connect.Code(failure.GetCode()) //nolint:gosec // They are from 0 to 16.
	err := connect.NewError(code, errors.New(failure.GetMessage()))
	var details []proto.Message
	for _, detail := range failure.GetDetails() {
		details = append(details, detail)
	}
	if seen != nil {
		details = append(details, seen)
	}
	for _, message := range details {
		detail, packErr := connect.NewErrorDetail(message)
		if packErr != nil {
			return connect.NewError(connect.CodeInternal, packErr)
		}
		err.AddDetail(detail)
	}
	return err
}

func addHeaders(to http.Header, headers []*conformancev1.Header) {
	for _, header := range headers {
		for _, value := range header.GetValue() {
			to.Add(header.GetName(), value)
		}
	}
}

func fromHeaders(from map[string][]string) []*conformancev1.Header {
	var headers []*conformancev1.Header
	for name, values := range from {
		headers = append(headers, &conformancev1.Header{Name: name, Value: values})
	}
	return headers
}

func wait(ms uint32) { time.Sleep(time.Duration(ms) * time.Millisecond) }
