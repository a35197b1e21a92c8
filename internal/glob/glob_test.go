package glob_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/frayrpc/fray/internal/glob"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"a", "ab", false},
		{"*", "", true},
		{"*", "/acme.v1.PingService/Ping", true},
		{"/acme.v1.PingService/*", "/acme.v1.PingService/Ping", true},
		{"*/Ping", "/acme.v1.PingService/Ping", true},
		{"*/Ping", "/acme.v1.PingService/Pinger", false},
		{"worker-*", "worker-12", true},
		{"worker-*", "client-1", false},
		{"*-1", "worker-1", true},
		{"*-1", "worker-11", false},
		{"a*a", "a", false},
		{"a*b*c", "a1b2b3c", true},
		{"a*b*c", "acb", false},
		{"a**b", "ab", true},
		{"[::1]:*", "[::1]:80", true},
		{"a?", "ab", false},
	} {
		if got := glob.Match(test.pattern, test.text); got != test.want {
			t.Errorf("%q describes %q: %t, want %t", test.pattern, test.text, got, test.want)
		}
	}
}

// FuzzMatch holds Match to regular expressions.
func FuzzMatch(f *testing.F) {
	f.Add("a*b*c", "a1b2b3c")
	f.Add("*ab*ab", "abab")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		pattern, text = strings.ToValidUTF8(pattern, "?"), strings.ToValidUTF8(text, "?")
		same := regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		if got, want := glob.Match(pattern, text), same.MatchString(text); got != want {
			t.Errorf("%q describes %q: %t, want %t", pattern, text, got, want)
		}
	})
}
