package dashboard_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/dashboard"
)

func ask(t *testing.T, header map[string]string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	dashboard.Handler().ServeHTTP(w, r)
	return w.Result()
}

// The page is one document: nothing in it leads elsewhere, and a browser is told to let nothing in.
func TestPageIsOfOnePiece(t *testing.T) {
	t.Parallel()
	res := ask(t, nil)
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	text := strings.ReplaceAll(string(body), `"http://www.w3.org/2000/svg"`, "")
	for _, elsewhere := range []string{"http://", "https://", "src=", "@import", "url(", "eval(", "innerHTML", "document.write"} {
		if strings.Contains(text, elsewhere) {
			t.Errorf("the page has %s", elsewhere)
		}
	}
	policy := res.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "script-src 'sha256-"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q does not say %s", policy, part)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
}

// It is sent compressed to who can read that, and not sent again to who has it.
func TestPageIsSentOnce(t *testing.T) {
	t.Parallel()
	plain, err := io.ReadAll(ask(t, nil).Body)
	if err != nil {
		t.Fatal(err)
	}
	zipped := ask(t, map[string]string{"Accept-Encoding": "br, gzip"})
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := io.ReadAll(z); err != nil || !bytes.Equal(same, plain) {
		t.Errorf("the compressed page has %d bytes, %v; the other has %d", len(same), err, len(plain))
	}
	for _, encoding := range []string{"", "gzip"} {
		first := ask(t, map[string]string{"Accept-Encoding": encoding})
		again := ask(t, map[string]string{"Accept-Encoding": encoding, "If-None-Match": first.Header.Get("ETag")})
		if body, _ := io.ReadAll(again.Body); again.StatusCode != http.StatusNotModified || len(body) > 0 {
			t.Errorf("with encoding %q: %s, %d bytes", encoding, again.Status, len(body))
		}
	}
}
