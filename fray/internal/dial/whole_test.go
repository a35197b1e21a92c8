package dial_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/frayrpc/fray/fray/internal/dial"
)

// writes counts those to a connection.
type writes struct {
	net.Conn

	n *atomic.Int32
}

func (w *writes) Write(p []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(p)
}

// The head of a small request goes out with its body, which the server has whole.
func TestSmallRequestIsOneWrite(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // To answer before would cut the rest off.
		_, _ = w.Write(body)
	}))
	defer server.Close()
	var n atomic.Int32
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return &writes{conn, &n}, err
	}}
	defer transport.CloseIdleConnections()
	for _, size := range []int{1, 32 << 10} {
		n.Store(0)
		sent := strings.Repeat("x", size)
		// As connect-go has it: of a type of its own, and of a size that is known.
		body := struct{ io.ReadCloser }{io.NopCloser(strings.NewReader(sent))}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = int64(size)
		res, err := dial.Paced(&http.Client{Transport: transport}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
		if err != nil || string(got) != sent {
			t.Errorf("%d bytes of %d have come back, %v", len(got), size, err)
		}
		if size == 1 && n.Load() != 1 {
			t.Errorf("a request of a byte took %d writes", n.Load())
		}
	}
}
