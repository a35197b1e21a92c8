package endpoint_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/frayrpc/fray/internal/endpoint"
)

// many is a list of so many addresses.
func many(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("http://h:%d", i+1)
	}
	return strings.Join(list, ",")
}

func TestParse(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"h:1": "http://h:1", "http://h:1/": "http://h:1", "https://h": "https://h", "http://h/below": "http://h/below",
		"": "", "ftp://h": "", "http://": "", "h:port": "", "http://h?q": "", "http://h#f": "", "http://h/?": "", "h//": "http://h",
		"a:1,b:2": "http://a:1,http://b:2", "a:1,http://a:1/": "http://a:1", "a,https://b": "", "a,": "", "a, b": "", ",": "",
		"https://a,https://b/c": "https://a,https://b/c", strings.Repeat("a,", 20) + "a": "http://a", many(16): many(16), many(17): "",
	} {
		if got, err := endpoint.Parse(given); got != want || (err != nil) != (want == "") {
			t.Errorf("%q is taken for %q, %v, want %q", given, got, err, want)
		}
	}
}
