package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	conformancev1 "github.com/frayrpc/fray/integration/conformance/gen/connectrpc/conformance/v1"
	"github.com/frayrpc/fray/integration/conformance/gen/connectrpc/conformance/v1/conformancev1connect"
)

// A calling is one call as the runner asks for it.
type calling struct {
	req    *conformancev1.ClientCompatRequest
	client conformancev1connect.ConformanceServiceClient
	cancel context.CancelFunc
	result *conformancev1.ClientResponseResult
}

// call makes one call by a transport to a URL.
func call(
	ctx context.Context, req *conformancev1.ClientCompatRequest, transport http.RoundTripper, url string, a *adapters,
) (*conformancev1.ClientResponseResult, error) {
	opts, err := options(req)
	if err != nil {
		return nil, err
	}
	if req.TimeoutMs != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(req.GetTimeoutMs())*time.Millisecond)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &calling{
		req: req, cancel: cancel, result: &conformancev1.ClientResponseResult{},
		client: conformancev1connect.NewConformanceServiceClient(
			&http.Client{Transport: transport}, url, append(opts, a.interceptor(clientHost))...),
	}
	switch method := req.GetMethod(); method {
	case "Unary":
		err = unary(ctx, c, c.client.Unary)
	case "IdempotentUnary":
		err = unary(ctx, c, c.client.IdempotentUnary)
	case "Unimplemented":
		err = unary(ctx, c, c.client.Unimplemented)
	case "ServerStream":
		err = c.serverStream(ctx)
	case "ClientStream":
		err = c.clientStream(ctx)
	case "BidiStream":
		err = c.bidiStream(ctx)
	default:
		err = fmt.Errorf("method %s is unknown", method)
	}
	return c.result, err
}

// unary makes a call with one request and one answer.
func unary[Req, Res any](ctx context.Context, c *calling, do func(context.Context, *connect.Request[Req]) (*connect.Response[Res], error)) error {
	message := new(Req)
	if err := c.message(0, message); err != nil {
		return err
	}
	req := connect.NewRequest(message)
	addHeaders(req.Header(), c.req.GetRequestHeaders())
	wait(c.req.GetRequestDelayMs())
	c.cancelLater()
	take(c, do)(ctx, req)
	return nil
}

// take returns a call that notes its one answer.
func take[Req, Res any](
	c *calling, do func(context.Context, *connect.Request[Req]) (*connect.Response[Res], error),
) func(context.Context, *connect.Request[Req]) {
	return func(ctx context.Context, req *connect.Request[Req]) {
		res, err := do(ctx, req)
		answered(c, res, err)
	}
}

// answered notes the one answer of a call.
func answered[Res any](c *calling, res *connect.Response[Res], err error) {
	if err != nil {
		c.fail(err)
		// connect-go tells headers and trailers as one.
		if coded := new(connect.Error); errors.As(err, &coded) {
			c.result.ResponseTrailers = fromHeaders(coded.Meta())
		}
		return
	}
	c.result.ResponseHeaders, c.result.ResponseTrailers = fromHeaders(res.Header()), fromHeaders(res.Trailer())
	if message, ok := any(res.Msg).(interface {
		GetPayload() *conformancev1.ConformancePayload
	}); ok {
		c.received(message.GetPayload())
	}
}

func (c *calling) serverStream(ctx context.Context) error {
	message := new(conformancev1.ServerStreamRequest)
	if err := c.message(0, message); err != nil {
		return err
	}
	req := connect.NewRequest(message)
	addHeaders(req.Header(), c.req.GetRequestHeaders())
	wait(c.req.GetRequestDelayMs())
	stream, err := c.client.ServerStream(ctx, req)
	if err != nil {
		answered[conformancev1.ServerStreamResponse](c, nil, err)
		return nil
	}
	c.cancelNow()
	for stream.Receive() {
		c.received(stream.Msg().GetPayload())
	}
	c.fail(stream.Err())
	c.fail(stream.Close())
	c.headers(ctx, stream)
	return nil
}

func (c *calling) clientStream(ctx context.Context) error {
	stream := c.client.ClientStream(ctx)
	addHeaders(stream.RequestHeader(), c.req.GetRequestHeaders())
	for n := range c.req.GetRequestMessages() {
		message := new(conformancev1.ClientStreamRequest)
		if err := c.message(n, message); err != nil {
			return err
		}
		wait(c.req.GetRequestDelayMs())
		if err := stream.Send(message); errors.Is(err, io.EOF) {
			c.unsent(n)
			break
		}
	}
	if c.beforeClose() {
		c.cancel()
	} else {
		c.cancelLater()
	}
	res, err := stream.CloseAndReceive()
	answered(c, res, err)
	return nil
}

func (c *calling) bidiStream(ctx context.Context) error {
	stream := c.client.BidiStream(ctx)
	addHeaders(stream.RequestHeader(), c.req.GetRequestHeaders())
	receive := func() error {
		message, err := stream.Receive()
		if err == nil {
			c.received(message.GetPayload())
		} else if !errors.Is(err, io.EOF) {
			c.fail(err)
		}
		return err
	}
	full := c.req.GetStreamType() == conformancev1.StreamType_STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM
	for n := range c.req.GetRequestMessages() {
		message := new(conformancev1.BidiStreamRequest)
		if err := c.message(n, message); err != nil {
			return err
		}
		wait(c.req.GetRequestDelayMs())
		if err := stream.Send(message); errors.Is(err, io.EOF) {
			c.unsent(n)
			_ = receive() // It has the error.
			break
		}
		if full && receive() != nil {
			break
		}
	}
	if c.beforeClose() {
		c.cancel()
	}
	if err := stream.CloseRequest(); err != nil && ctx.Err() == nil {
		return err
	}
	c.cancelNow()
	for c.result.GetError() == nil && receive() == nil { //nolint:revive // receive does it all.
	}
	c.fail(stream.CloseResponse())
	c.headers(ctx, stream)
	return nil
}

// headers notes the headers and trailers of a stream, unless the call has ended before there were
// any: connect-go then returns them while it may still set them.
func (c *calling) headers(ctx context.Context, stream interface {
	ResponseHeader() http.Header
	ResponseTrailer() http.Header
},
) {
	if ctx.Err() == nil || len(c.result.GetPayloads()) > 0 {
		c.result.ResponseHeaders, c.result.ResponseTrailers = fromHeaders(stream.ResponseHeader()), fromHeaders(stream.ResponseTrailer())
	}
}

// message reads the n-th request.
func (c *calling) message(n int, into any) error {
	message, ok := into.(proto.Message)
	if !ok || n >= len(c.req.GetRequestMessages()) {
		return fmt.Errorf("request %d is not there, or no message", n)
	}
	return c.req.GetRequestMessages()[n].UnmarshalTo(message)
}

// unsent notes that from the n-th on no request could be sent.
func (c *calling) unsent(n int) {
	c.result.NumUnsentRequests = int32(len(c.req.GetRequestMessages()) - n) //nolint:gosec // A message has no room for more.
}

// received notes an answer, and cancels if it was the last that is wanted.
func (c *calling) received(payload *conformancev1.ConformancePayload) {
	c.result.Payloads = append(c.result.Payloads, payload)
	if after := c.req.GetCancel().GetAfterNumResponses(); after > 0 && len(c.result.Payloads) == int(after) {
		c.cancel()
	}
}

// fail notes how the call ended, unless err is nil or an end is known.
func (c *calling) fail(err error) {
	if err == nil || c.result.GetError() != nil {
		return
	}
	code := conformancev1.Code(connect.CodeOf(err)) //nolint:gosec // They are below 17.
	failure := &conformancev1.Error{Code: code, Message: proto.String(err.Error())}
	if coded := new(connect.Error); errors.As(err, &coded) {
		failure.Message = proto.String(coded.Message())
		for _, detail := range coded.Details() {
			failure.Details = append(failure.Details, &anypb.Any{TypeUrl: "type.googleapis.com/" + detail.Type(), Value: detail.Bytes()})
		}
	}
	c.result.Error = failure
}

func (c *calling) beforeClose() bool { return c.req.GetCancel().GetBeforeCloseSend() != nil }

// afterClose says whether, and how long after the last request, the call is to be cancelled.
func (c *calling) afterClose() (time.Duration, bool) {
	cancel := c.req.GetCancel()
	_, timed := cancel.GetCancelTiming().(*conformancev1.ClientCompatRequest_Cancel_AfterCloseSendMs)
	timed = timed || cancel != nil && cancel.GetCancelTiming() == nil
	return time.Duration(cancel.GetAfterCloseSendMs()) * time.Millisecond, timed
}

// cancelLater cancels in a while if that is asked for, cancelNow waits for it.
func (c *calling) cancelLater() {
	if after, ok := c.afterClose(); ok {
		time.AfterFunc(after, c.cancel)
	}
}

func (c *calling) cancelNow() {
	if after, ok := c.afterClose(); ok {
		time.Sleep(after)
		c.cancel()
	}
}
