package faults_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

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

// echoOver returns a unary call over TCP to a service of its own, with an injector all the way, or
// without one.
func echoOver(b *testing.B, injector *faults.Injector) func() {
	b.Helper()
	var handling []connect.HandlerOption
	var calling []connect.ClientOption
	transport := http.RoundTripper(new(http.Transport))
	wrap := func(h http.Handler) http.Handler { return h }
	if injector != nil {
		handling = append(handling, connect.WithInterceptors(injector.Interceptor("server")))
		calling = append(calling, connect.WithInterceptors(injector.Interceptor("client")))
		transport = injector.RoundTripper(transport, "client")
		wrap = func(h http.Handler) http.Handler { return injector.Handler(h, "server") }
	}
	handler := connect.NewUnaryHandlerSimple(unaryProcedure, func(_ context.Context, in *text) (*text, error) { return in, nil }, handling...)
	server := httptest.NewServer(wrap(handler))
	b.Cleanup(server.Close)
	client := connect.NewClient[text, text](&http.Client{Transport: transport}, server.URL+unaryProcedure, calling...)
	in := wrapperspb.String("sixty-four bytes, or about as many as a small call has in practice")
	return func() {
		if _, err := client.CallUnary(b.Context(), connect.NewRequest(in)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLinked tells what it costs a unary call over TCP that an injector without a plan is part of
// client and server. Calls with one and without take turns, some at a time, so that what else the
// machine does concerns both; the ratio is the median of those of neighbours.
func BenchmarkLinked(b *testing.B) {
	const turn = 20 // calls
	injector := faults.New(faults.Config{})
	defer injector.Close()
	calls := [2]func(){echoOver(b, nil), echoOver(b, injector)}
	var took [2][]float64
	var allocs [2]uint64
	var ratios []float64
	var before, after runtime.MemStats
	for b.Loop() {
		for side := range 2 {
			side = (side + len(ratios)) % 2 // neither is always the first
			runtime.ReadMemStats(&before)
			begun := time.Now()
			for range turn {
				calls[side]()
			}
			took[side] = append(took[side], float64(time.Since(begun))/turn)
			runtime.ReadMemStats(&after)
			allocs[side] += after.Mallocs - before.Mallocs
		}
		last := len(ratios)
		ratios = append(ratios, took[1][last]/took[0][last])
	}
	median := func(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }
	each := func(n uint64) float64 { return float64(n) / float64(turn*len(ratios)) }
	b.ReportMetric(0, "ns/op") // It is of both together.
	b.ReportMetric(median(took[0]), "bare-ns/call")
	b.ReportMetric(median(took[1]), "linked-ns/call")
	b.ReportMetric(median(ratios), "linked/bare")
	b.ReportMetric(each(allocs[0]), "bare-allocs/call")
	b.ReportMetric(each(allocs[1]), "linked-allocs/call")
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
