package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/faults"
)

// Plans in force that change nothing.
var harmless = map[string]string{
	"no plan":                "",
	"another procedure":      "a: drop procedure=/other/*\nb: drop procedure=/other/* side=client\nc: drop procedure=/other/* side=server",
	"matches and never acts": allPhases("drop", "nth=1000000"),
	"acts and changes nothing": allPhases("delay(1ns)", "") + `
g: truncate(1GiB) phase=request-in-flight
h: reset(1GiB) phase=response-in-flight
i: throttle(1GiB/s) phase=response-in-flight`,
}

func allPhases(action, clauses string) string {
	var b strings.Builder
	for i, where := range []string{
		"phase=request-before-send", "phase=request-in-flight", "phase=before-handler", "phase=after-handler",
		"phase=response-in-flight", "phase=response-in-flight side=client",
		"phase=request-before-send message=*", "phase=before-handler message=*", "phase=after-handler message=*",
		"phase=response-in-flight side=client message=*",
	} {
		fmt.Fprintf(&b, "r%d: %s %s %s\n", i, action, where, clauses)
	}
	return b.String()
}

// TestTransparent compares what callers and handlers see with adapters and without them.
func TestTransparent(t *testing.T) {
	t.Parallel()
	for _, protocol := range []struct {
		name    string
		h2      bool
		options []connect.ClientOption
	}{
		{"Connect over HTTP/1.1", false, nil},
		{"Connect", true, nil},
		{"Connect JSON", true, []connect.ClientOption{connect.WithProtoJSON()}},
		{"Connect GET", true, []connect.ClientOption{connect.WithHTTPGet()}},
		{"gRPC", true, []connect.ClientOption{connect.WithGRPC()}},
		{"gRPC-Web", true, []connect.ClientOption{connect.WithGRPCWeb()}},
		{"gRPC with gzip", true, []connect.ClientOption{connect.WithGRPC(), connect.WithSendGzip()}},
		{"Connect with gzip", true, []connect.ClientOption{connect.WithSendGzip()}},
	} {
		t.Run(protocol.name, func(t *testing.T) {
			t.Parallel()
			want := observe(t, newWire(t, nil, nowhere, protocol.h2, protocol.options...), protocol.h2)
			if len(want) < 9 {
				t.Fatalf("saw only %q", want)
			}
			for name, plan := range harmless {
				got := observe(t, newWire(t, newInjector(t, faults.Config{}, plan), everywhere, protocol.h2, protocol.options...), protocol.h2)
				if !slices.Equal(got, want) {
					t.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
				}
			}
		})
	}
}

// observe makes all sorts of calls and returns all that can be seen of them.
func observe(t *testing.T, w *wire, h2 bool) []string {
	t.Helper()
	var seen []string
	note := func(format string, args ...any) {
		seen = append(seen, strings.ReplaceAll(fmt.Sprintf(format, args...), w.url, "URL"))
	}
	ask := func(ctx context.Context, what string) (*connect.Response[text], error) {
		req := connect.NewRequest(wrapperspb.String(what))
		req.Header().Set("X-Ask", "a")
		return w.unary().CallUnary(ctx, req)
	}
	res, err := ask(t.Context(), strings.Repeat("long ", 500))
	if err != nil {
		t.Fatal(err)
	}
	header := res.Header()
	header.Del("Date")
	note("%v %v %v", len(res.Msg.GetValue()), header, res.Trailer())

	_, err = ask(t.Context(), "fail")
	note("%s", describe(err))

	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	_, err = ask(ctx, "timed")
	cancel()
	note("%s", describe(err))

	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	_, err = ask(ctx, "block")
	cancel()
	note("%v", connect.CodeOf(err)) // told by caller or callee, whoever was first

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = ask(ctx, "cancelled")
	note("%s", describe(err))

	sum := w.stream(sumProcedure).CallClientStream(t.Context())
	for n := range 3 {
		if err := sum.Send(wrapperspb.String(fmt.Sprint(n))); err != nil {
			t.Error(err)
		}
	}
	res, err = sum.CloseAndReceive()
	if err != nil {
		t.Fatal(err)
	}
	note("%s %v", res.Msg.GetValue(), res.Trailer())

	for _, what := range []string{"c", "fail"} {
		count, err := w.stream(countProcedure).CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String(what)))
		if err != nil {
			t.Fatal(err)
		}
		for count.Receive() {
			note("%s", count.Msg().GetValue())
		}
		note("%s %v %v %v", describe(count.Err()), count.ResponseHeader().Get("X-Answer"), count.ResponseTrailer(), count.Close())
	}
	served := func() []string {
		at := w.echo.take()
		slices.Sort(at)
		return append(seen, at...)
	}
	if !h2 {
		return served()
	}
	for _, half := range []bool{false, true} {
		duplex := w.stream(duplexProcedure).CallBidiStream(t.Context())
		receive := func() {
			answer, err := duplex.Receive()
			note("%s %s", answer.GetValue(), describe(err))
		}
		for n := range 3 {
			if err := duplex.Send(wrapperspb.String(fmt.Sprint("d", n))); err != nil {
				t.Error(err)
			}
			if !half {
				receive()
			}
		}
		if err := duplex.CloseRequest(); err != nil {
			t.Error(err)
		}
		for half {
			answer, err := duplex.Receive()
			if err != nil {
				note("half %s", describe(err))
				break
			}
			note("half %s", answer.GetValue())
		}
		if !half {
			receive()
		}
		note("%v %v %v", duplex.ResponseHeader().Get("X-Answer"), duplex.ResponseTrailer().Get("X-End"), duplex.CloseResponse())
	}

	ctx, cancel = context.WithCancel(t.Context())
	duplex := w.stream(duplexProcedure).CallBidiStream(ctx)
	if err := duplex.Send(wrapperspb.String("c")); err != nil {
		t.Error(err)
	}
	_, _ = duplex.Receive()
	cancel()
	_, err = duplex.Receive()
	for range 3 {
		<-w.echo.left // the handler of this stream too
	}
	_ = duplex.CloseRequest() // not before, or the handler may see that rather
	_ = duplex.CloseResponse()
	note("%v", connect.CodeOf(err))
	return served()
}

// describe returns all that an error says.
func describe(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Sprint(err)
	}
	var coded *connect.Error
	if !errors.As(err, &coded) {
		return err.Error()
	}
	out := fmt.Sprintf("%v meta=%q", coded, coded.Meta().Values("X-Meta"))
	for _, detail := range coded.Details() {
		out += fmt.Sprintf(" %s=%x", detail.Type(), detail.Bytes())
	}
	return out
}
