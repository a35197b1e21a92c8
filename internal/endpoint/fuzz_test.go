package endpoint_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/frayrpc/fray/internal/endpoint"
)

// An address is refused, or is a URL that a request can be made to and that is read as itself.
func FuzzParse(f *testing.F) {
	for _, address := range []string{
		"127.0.0.1:7070", "http://a", "https://a:1/b/", "http://[::1]:7070", "[::1%25eth0]:1", "a", ":7070", "http://", "http://a?b", "http://a#", "ftp://a", "http://u:p@a", "a/b//", "http://a:b",
		"a,b:1", "https://a,https://b/c", ",", "a,,b", "://", "http://a/%2f", "\x00", "http://ä", "HTTP://A", "http://a//", "http://a/?",
	} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		url, err := endpoint.Parse(address)
		if err != nil {
			return
		}
		if again, err := endpoint.Parse(url); err != nil || again != url {
			t.Errorf("%q is %q, which is read as %q, %v", address, url, again, err)
		}
		for _, one := range endpoint.List(url) {
			if req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, one+"/fray.v1.ControllerService/GetTask", nil); err != nil {
				t.Errorf("%q is %q, to which no request can be made: %v", address, one, err)
			} else if req.URL.RawQuery != "" || !strings.HasSuffix(req.URL.Path, "/fray.v1.ControllerService/GetTask") {
				t.Errorf("%q is %q, where a procedure is at %v", address, one, req.URL)
			}
		}
	})
}
