package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/internal/serve"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/hostile"
)

// A body that cannot be read is its sender's mistake, and not INTERNAL or UNKNOWN.
func TestBodiesThatCannotBeReadAreInvalid(t *testing.T) {
	t.Parallel()
	server, err := serve.New(serve.Config{Address: "127.0.0.1:0", Services: []serve.Service{{
		Name: frayv1connect.ControllerServiceName, New: func(opts ...connect.HandlerOption) (string, http.Handler) {
			return frayv1connect.NewControllerServiceHandler(frayv1connect.UnimplementedControllerServiceHandler{}, opts...)
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	url, _ := run(t, server)
	methods, err := hostile.Methods(frayv1connect.ControllerServiceGetTaskProcedure)
	if err != nil {
		t.Fatal(err)
	}
	text, err := proto.Marshal(&frayv1.GetTaskRequest{TaskId: "a"})
	if err != nil {
		t.Fatal(err)
	}
	envelope := func(flags, length byte, data []byte) []byte { return append([]byte{flags, 0, 0, 0, length}, data...) }
	whole := envelope(0, byte(len(text)), text) // within: a few bytes
	for _, tt := range []struct {
		name string
		body []byte
		want string
	}{
		{"well", whole, "unimplemented"},
		{"empty message", envelope(0, 0, nil), "unimplemented"},
		{"flags of an end", envelope(2, byte(len(text)), text), "invalid_argument"},      // within: a few bytes
		{"flags of trailers", envelope(0x80, byte(len(text)), text), "invalid_argument"}, // within: a few bytes
		{"flags without a message", envelope(4, 0, nil), "invalid_argument"},
		{"compressed, and nothing says how", envelope(1, byte(len(text)), text), "invalid_argument"}, // within: a few bytes
		{"cut in the prefix", whole[:3], "invalid_argument"},
		{"cut after the prefix", whole[:5], "invalid_argument"},
		{"cut in the message", whole[:6], "invalid_argument"},
		{"cut in the second prefix", append(bytes.Clone(whole), 0), "invalid_argument"},
	} {
		for _, kind := range []string{"application/grpc", "application/grpc-web+proto"} {
			t.Run(tt.name+" as "+strings.TrimPrefix(kind, "application/"), func(t *testing.T) {
				t.Parallel()
				q := &hostile.Request{
					Method: methods[0], Verb: http.MethodPost, Target: frayv1connect.ControllerServiceGetTaskProcedure,
					Header: http.Header{"Content-Type": {kind}, "Te": {"trailers"}}, Body: tt.body,
				}
				req, err := q.HTTP(t.Context(), url, "")
				if err != nil {
					t.Fatal(err)
				}
				a, err := hostile.Send(httpClient(t, true), req)
				if err != nil {
					t.Fatal(err)
				}
				if code, _, err := a.Judge(q); err != nil || code != tt.want {
					t.Errorf("%s, %v", code, err)
				}
			})
		}
	}
}

// So is a unary one whose chunks are none.
func TestBrokenChunksAreInvalid(t *testing.T) {
	t.Parallel()
	url, _ := start(t, serve.Config{}, nil)
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST "+frayv1connect.WorkerServiceHealthCheckProcedure+" HTTP/1.1\r\nHost: "+strings.TrimPrefix(url, "http://")+
		"\r\nContent-Type: application/proto\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); res.StatusCode != http.StatusBadRequest || !bytes.Contains(text, []byte("invalid_argument")) {
		t.Errorf("%s: %s, %v", res.Status, text, err)
	}
}

// So is a query that has a message in what is no base64.
func TestBrokenQueriesAreInvalid(t *testing.T) {
	t.Parallel()
	url, _ := start(t, serve.Config{}, func(context.Context) (*frayv1.HealthCheckResponse, error) { return &frayv1.HealthCheckResponse{}, nil })
	for message, want := range map[string]int{
		"": http.StatusOK, "MgFh": http.StatusOK, "MgA": http.StatusOK, "MgA%3D": http.StatusOK,
		"!": http.StatusBadRequest, "%00": http.StatusBadRequest, "M": http.StatusBadRequest, "MgFh====": http.StatusBadRequest, "Mg=E": http.StatusBadRequest,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+frayv1connect.WorkerServiceHealthCheckProcedure+
			"?connect=v1&encoding=proto&base64=1&message="+message, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := httpClient(t, false).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if a := hostile.Read(res); a.Status != want {
			t.Errorf("message=%s: %s: %s", message, res.Status, a.Body)
		}
	}
}
