package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/faults"
)

type text = wrapperspb.StringValue

// Procedures of the echo service.
const (
	unaryProcedure  = "/test.v1.EchoService/Unary"
	sumProcedure    = "/test.v1.EchoService/Sum"
	countProcedure  = "/test.v1.EchoService/Count"
	duplexProcedure = "/test.v1.EchoService/Duplex"
)

// An echo answers what it is asked, and remembers it.
type echo struct {
	mu   sync.Mutex
	seen []string
	left chan struct{} // hears of the end of each duplex handler
}

func (e *echo) saw(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, fmt.Sprintf(format, args...))
}

// take returns what was seen since the last time.
func (e *echo) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	seen := e.seen
	e.seen = nil
	return seen
}

// unary answers with what it got. "fail" fails with all that an error can have; "block" waits to be
// given up.
func (e *echo) unary(ctx context.Context, req *connect.Request[text]) (*connect.Response[text], error) {
	if req.Msg.GetValue() == "block" { // unseen: the caller may give up before it gets here
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, timed := ctx.Deadline()
	e.saw("unary %.5s timed=%v %s %q", req.Msg.GetValue(), timed, req.HTTPMethod(), req.Header().Values("X-Ask"))
	if req.Msg.GetValue() == "fail" {
		err := connect.NewError(connect.CodeResourceExhausted, errors.New("too much, 100%"))
		if detail, detailErr := connect.NewErrorDetail(wrapperspb.String("why")); detailErr == nil {
			err.AddDetail(detail)
		}
		err.Meta().Set("X-Meta", "m")
		return nil, err
	}
	res := connect.NewResponse(wrapperspb.String(req.Msg.GetValue()))
	res.Header().Set("X-Answer", "h")
	res.Trailer().Set("X-End", "t")
	return res, nil
}

func (e *echo) sum(_ context.Context, stream *connect.ClientStream[text]) (*connect.Response[text], error) {
	var all []string
	for stream.Receive() {
		all = append(all, stream.Msg().GetValue())
	}
	e.saw("sum %v %v", all, stream.Err())
	if err := stream.Err(); err != nil {
		return nil, err
	}
	res := connect.NewResponse(wrapperspb.String(strings.Join(all, "+")))
	res.Trailer().Set("X-End", "t")
	return res, nil
}

// count sends three answers, and then fails if asked to.
func (e *echo) count(_ context.Context, req *connect.Request[text], stream *connect.ServerStream[text]) error {
	e.saw("count %s", req.Msg.GetValue())
	stream.ResponseHeader().Set("X-Answer", "h")
	stream.ResponseTrailer().Set("X-End", "t")
	for n := range 3 {
		if err := stream.Send(wrapperspb.String(fmt.Sprint(req.Msg.GetValue(), n+1))); err != nil {
			return err
		}
	}
	if req.Msg.GetValue() == "fail" {
		return connect.NewError(connect.CodeAborted, errors.New("enough"))
	}
	return nil
}

// duplex answers each message at once.
func (e *echo) duplex(_ context.Context, stream *connect.BidiStream[text, text]) error {
	defer func() { e.left <- struct{}{} }()
	stream.ResponseHeader().Set("X-Answer", "h")
	for {
		req, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			stream.ResponseTrailer().Set("X-End", "t")
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(wrapperspb.String(req.GetValue())); err != nil {
			return err
		}
	}
}

// handler returns the service.
func (e *echo) handler(options ...connect.HandlerOption) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(unaryProcedure, connect.NewUnaryHandler(unaryProcedure, e.unary,
		append(options, connect.WithIdempotency(connect.IdempotencyNoSideEffects))...))
	mux.Handle(sumProcedure, connect.NewClientStreamHandler(sumProcedure, e.sum, options...))
	mux.Handle(countProcedure, connect.NewServerStreamHandler(countProcedure, e.count, options...))
	mux.Handle(duplexProcedure, connect.NewBidiStreamHandler(duplexProcedure, e.duplex, options...))
	return mux
}

// A wire is an echo service and its clients, over TCP or within a call.
type wire struct {
	echo   echo
	http   connect.HTTPClient
	url    string
	client []connect.ClientOption
}

// Where an injector is on a wire.
type place int

const (
	nowhere  place = iota
	inCalls        // interceptors of client and handler
	atCaller       // the client's transport
	atCallee       // the server's handler
	everywhere
)

// newWire returns a wire over HTTP/2 or HTTP/1.1, and TCP.
func newWire(t *testing.T, injector *faults.Injector, at place, h2 bool, options ...connect.ClientOption) *wire {
	t.Helper()
	w := &wire{client: options}
	w.echo.left = make(chan struct{}, 16)
	var handlerOptions []connect.HandlerOption
	if at == inCalls || at == everywhere {
		w.client = append(w.client, connect.WithInterceptors(injector.Interceptor("client")))
		handlerOptions = append(handlerOptions, connect.WithInterceptors(injector.Interceptor("server")))
	}
	handler := w.echo.handler(handlerOptions...)
	if at == atCallee || at == everywhere {
		handler = injector.Handler(handler, "server")
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = protocols
	server.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	w.url, w.http = server.URL, &http.Client{Transport: transport}
	if at == atCaller || at == everywhere {
		w.http = &http.Client{Transport: injector.RoundTripper(transport, "client")}
	}
	return w
}

func (w *wire) unary(options ...connect.ClientOption) *connect.Client[text, text] {
	return connect.NewClient[text, text](w.http, w.url+unaryProcedure, append(options, w.client...)...)
}

func (w *wire) stream(procedure string) *connect.Client[text, text] {
	return connect.NewClient[text, text](w.http, w.url+procedure, w.client...)
}

// ask makes a unary call.
func (w *wire) ask(ctx context.Context, what string) (string, error) {
	res, err := w.unary().CallUnary(ctx, connect.NewRequest(wrapperspb.String(what)))
	if err != nil {
		return "", err
	}
	return res.Msg.GetValue(), nil
}

// newInjector returns an injector with a plan.
func newInjector(t *testing.T, config faults.Config, plan string) *faults.Injector {
	t.Helper()
	injector := faults.New(config)
	t.Cleanup(injector.Close)
	apply(t, injector, plan)
	return injector
}

func apply(t *testing.T, injector *faults.Injector, plan string) {
	t.Helper()
	parsed, err := faults.ParsePlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := injector.Apply(parsed); err != nil {
		t.Fatal(err)
	}
}

// A direct calls a handler within the call of the transport, as fits a bubble.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(req *http.Request) (res *http.Response, err error) {
	recorder := httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil {
			res, err = nil, io.ErrUnexpectedEOF
		}
	}()
	req = req.Clone(req.Context())
	if req.RemoteAddr = "10.0.0.1:555"; req.Body == nil {
		req.Body = http.NoBody
	}
	d.handler.ServeHTTP(recorder, req)
	return recorder.Result(), nil
}

// newDirect is newWire without TCP.
func newDirect(injector *faults.Injector, at place) *wire {
	w := &wire{url: "http://server:80", client: []connect.ClientOption{connect.WithAcceptCompression("gzip", nil, nil)}}
	var options []connect.HandlerOption
	if at == inCalls {
		w.client = append(w.client, connect.WithInterceptors(injector.Interceptor("client")))
		options = append(options, connect.WithInterceptors(injector.Interceptor("server")))
	}
	handler := w.echo.handler(options...)
	if at == atCallee {
		handler = injector.Handler(handler, "server")
	}
	var transport http.RoundTripper = direct{handler}
	if at == atCaller {
		transport = injector.RoundTripper(transport, "client")
	}
	w.http = &http.Client{Transport: transport}
	return w
}
