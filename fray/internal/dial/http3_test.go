package dial_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// quiet answers nothing, and tells when its connections are closed.
type quiet struct {
	files  certs.Files
	called string
	closed bool
}

var errQuiet = errors.New("no answer")

func (q *quiet) RoundTrip(r *http.Request) (*http.Response, error) {
	q.called = r.URL.Scheme + "://" + r.URL.Host
	return nil, errQuiet
}

func (q *quiet) CloseIdleConnections() { q.closed = true }

func (q *quiet) dial(files certs.Files, _ *slog.Logger) (http.RoundTripper, error) {
	q.files = files
	return q, nil
}

// What is to make connections in place of TCP gets the certificates, makes all of them, and is closed
// with the client.
func TestHTTP3CarriesTheCalls(t *testing.T) {
	t.Parallel()
	q := new(quiet)
	files := certs.Files{CA: "ca.pem"}
	client, owned, err := dial.Controller(dial.Target{URL: "https://10.0.0.5:7070", TLS: files, HTTP3: q.dial})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "t"}); !errors.Is(err, errQuiet) {
		t.Errorf("the call ended with %v", err)
	}
	owned.CloseIdleConnections()
	if q.called != "https://10.0.0.5:7070" || q.files != files || !q.closed {
		t.Errorf("it was called as %+v", q)
	}
}

func TestHTTP3IsRefused(t *testing.T) {
	t.Parallel()
	q := new(quiet)
	for name, tt := range map[string]struct {
		target dial.Target
		want   string
	}{
		"without TLS":           {dial.Target{URL: "http://10.0.0.5:7070", HTTP3: q.dial}, "call http://10.0.0.5:7070 by https://"},
		"beside another client": {dial.Target{URL: "https://10.0.0.5:7070", HTTP3: q.dial, Via: http.DefaultClient}, "by the HTTP client that is given"},
	} {
		if _, _, err := dial.Controller(tt.target); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
