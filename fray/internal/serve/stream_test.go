package serve_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/serve"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

const streamProcedure = "/test.Streams/List"

// streams is a service whose only method streams, and ends in what a test makes of it.
func streams(end func() error) serve.Service {
	return serve.Service{Name: "test.Streams", New: func(opts ...connect.HandlerOption) (string, http.Handler) {
		return streamProcedure, connect.NewServerStreamHandler(streamProcedure,
			func(_ context.Context, _ *connect.Request[frayv1.GetTaskRequest], s *connect.ServerStream[frayv1.Task]) error {
				if err := s.Send(&frayv1.Task{TaskId: "a"}); err != nil {
					return err
				}
				return end()
			}, opts...)
	}}
}

func TestBugsInStreamsDoNotLeak(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func() error
		want connect.Code // 0: none
	}{
		{name: "well", end: func() error { return nil }},
		{name: "panic", end: func() error { panic("secret") }, want: connect.CodeInternal},
		{name: "error without a code", end: func() error { return errors.New("secret") }, want: connect.CodeInternal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, err := serve.New(serve.Config{Address: "127.0.0.1:0", Services: []serve.Service{streams(tt.end)}})
			if err != nil {
				t.Fatal(err)
			}
			url, _ := run(t, server)
			client := connect.NewClient[frayv1.GetTaskRequest, frayv1.Task](httpClient(t, false), url+streamProcedure)
			stream, err := client.CallServerStream(t.Context(), connect.NewRequest(&frayv1.GetTaskRequest{TaskId: "a"}))
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for stream.Receive() {
				n++
			}
			err = stream.Err()
			if closed := stream.Close(); closed != nil && err == nil {
				err = closed
			}
			if tt.want == 0 {
				if err != nil || n != 1 {
					t.Errorf("%d messages, then %v", n, err)
				}
				return
			}
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v", err)
			}
			if connect.CodeOf(err) != tt.want {
				t.Errorf("code %v, want %v", connect.CodeOf(err), tt.want)
			}
		})
	}
}

func TestHandlerMayCutTheConnection(t *testing.T) {
	t.Parallel()
	url, _ := start(t, serve.Config{}, func(context.Context) (*frayv1.HealthCheckResponse, error) { panic(http.ErrAbortHandler) })
	client := frayv1connect.NewWorkerServiceClient(httpClient(t, false), url)
	_, err := client.HealthCheck(t.Context(), &frayv1.HealthCheckRequest{})
	if connect.CodeOf(err) != connect.CodeUnavailable || connect.IsWireError(err) {
		t.Errorf("error %v", err)
	}
}

func TestURLIsOneThatCanBeCalled(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:7070": "http://127.0.0.1:7070",
		"0.0.0.0:7070":   "http://127.0.0.1:7070",
		"[::]:7070":      "http://[::1]:7070",
		"[::1]:7070":     "http://[::1]:7070",
	} {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		server, err := serve.New(serve.Config{Listener: listener{addr: addr}, Services: []serve.Service{streams(nil)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := server.URL(); got != want {
			t.Errorf("URL of %s is %s, want %s", address, got, want)
		}
	}
}

// listener has an address and nothing else.
type listener struct {
	net.Listener

	addr net.Addr
}

func (l listener) Addr() net.Addr { return l.addr }
