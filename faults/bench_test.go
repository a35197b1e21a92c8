package faults_test

import (
	"context"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/faults"
)

type nothing struct{ response *http.Response }

func (n nothing) RoundTrip(*http.Request) (*http.Response, error) { return n.response, nil }
func (nothing) ServeHTTP(http.ResponseWriter, *http.Request)      {}

type noStream struct{ connect.StreamingHandlerConn }

// idle returns one call through each adapter of an injector, and through what lies below it.
func idle(injector *faults.Injector) map[string]func() {
	ctx := context.Background()
	call := connect.NewRequest(wrapperspb.String("x"))
	answer := connect.NewResponse(wrapperspb.String("x"))
	unary := func(context.Context, connect.AnyRequest) (connect.AnyResponse, error) { return answer, nil }
	stream := func(context.Context, connect.StreamingHandlerConn) error { return nil }
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://server"+unaryProcedure, http.NoBody)
	bottom := nothing{&http.Response{}}
	interceptor := injector.Interceptor("client")
	wrapped, wrappedStream := interceptor.WrapUnary(unary), interceptor.WrapStreamingHandler(stream)
	opened := interceptor.WrapStreamingClient(func(context.Context, connect.Spec) connect.StreamingClientConn { return nil })
	transport, handler := injector.RoundTripper(bottom, "client"), injector.Handler(bottom, "server")
	conn := &noStream{}
	return map[string]func(){
		"Unary":         func() { _, _ = wrapped(ctx, call) },
		"StreamHandler": func() { _ = wrappedStream(ctx, conn) },
		"StreamClient":  func() { _ = opened(ctx, connect.Spec{}) },
		"RoundTripper":  func() { _, _ = transport.RoundTrip(request) },
		"Handler":       func() { handler.ServeHTTP(nil, request) },
	}
}

func BenchmarkIdle(b *testing.B) {
	for name, call := range idle(faults.New(faults.Config{})) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

func TestIdleAllocatesNothing(t *testing.T) {
	for name, call := range idle(faults.New(faults.Config{})) {
		if n := testing.AllocsPerRun(100, call); n != 0 {
			t.Errorf("%s allocates %v times a call", name, n)
		}
	}
}

func BenchmarkActive(b *testing.B) {
	injector := faults.New(faults.Config{})
	defer injector.Close()
	plan, err := faults.ParsePlan("a: drop procedure=/other/*\nb: drop nth=1000000000 side=client\nc: drop nth=1000000000 side=server\nd: drop nth=1000000000")
	if err == nil {
		err = injector.Apply(plan)
	}
	if err != nil {
		b.Fatal(err)
	}
	call := idle(injector)["RoundTripper"]
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}
