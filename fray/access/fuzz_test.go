package access_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/access"
)

// A list of callers is read or refused with its name and line, whatever it is. What was read lets in who shows
// a line's token, with that line's name and roles.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"token a-secret-of-16-bytes alice client\n", "token sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 a client,reader",
		"certificate build-*.example.com * worker\n# x\n\ncertificate * a-*-* operator", "token", "toke a b c", "certificate *****************a * worker",
		"token sha256:0 a client", "token a-secret-of-16-bytes a client\ntoken a-secret-of-16-bytes b client", "\x00", "token\va-secret-of-16-bytes\u0085a\u2003client",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		policy, err := access.Parse("callers", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "callers") {
				t.Errorf("the error does not say where: %v", err)
			}
			return
		}
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			if len(words) != 4 || words[0] != "token" || strings.HasPrefix(words[1], "sha256:") {
				continue
			}
			c, ok := policy.Identify(&http.Request{Header: http.Header{"Authorization": {"Bearer " + words[1]}}})
			if !ok || c.Name != words[2] {
				t.Fatalf("who shows the token of %q is %v, %v", line, c, ok)
			}
			if again, err := access.ParseRoles(c.Roles.String()); err != nil || again != c.Roles {
				t.Errorf("roles %v read back as %v, %v", c.Roles, again, err)
			}
		}
	})
}
