package outgoing_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"
	"go.uber.org/goleak"

	"github.com/frayrpc/fray/internal/outgoing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTransportSpeaksHTTP1WithoutCompression(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+r.Header.Get("Accept-Encoding"))
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	transport := outgoing.NewTransport()
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil || string(body) != "HTTP/1.1" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestShowToken(t *testing.T) {
	t.Parallel()
	req := connect.NewRequest(new(struct{}))
	call := outgoing.ShowToken(func() string { return "secret" }).WrapUnary(func(context.Context, connect.AnyRequest) (connect.AnyResponse, error) { return nil, nil })
	if _, err := call(t.Context(), req); err != nil || req.Header().Get("Authorization") != "Bearer secret" {
		t.Errorf("%v, headers %v", err, req.Header())
	}
}
