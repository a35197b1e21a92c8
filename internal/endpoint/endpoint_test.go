package endpoint_test

import (
	"testing"

	"github.com/frayrpc/fray/internal/endpoint"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"h:1": "http://h:1", "http://h:1/": "http://h:1", "https://h": "https://h", "http://h/below": "http://h/below",
		"": "", "ftp://h": "", "http://": "", "h:port": "", "http://h?q": "", "http://h#f": "", "http://h/?": "", "h//": "http://h",
	} {
		if got, err := endpoint.Parse(given); got != want || (err != nil) != (want == "") {
			t.Errorf("%q is taken for %q, %v, want %q", given, got, err, want)
		}
	}
}
