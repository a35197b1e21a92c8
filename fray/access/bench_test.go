package access_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/access"
)

type blank struct{ header http.Header }

func (b blank) Header() http.Header       { return b.header }
func (blank) Write(p []byte) (int, error) { return len(p), nil }
func (blank) WriteHeader(int)             {}

// BenchmarkAuthorize is what a guard adds to a call, by how many callers the file has.
func BenchmarkAuthorize(b *testing.B) {
	for _, n := range []int{1, access.MaxLines} {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, "token a-token-of-caller-%04d caller-%d client\n", i, i)
		}
		path := b.TempDir() + "/access"
		if err := writeFile(path, text.String()); err != nil {
			b.Fatal(err)
		}
		policy, err := access.Read(path)
		if err != nil {
			b.Fatal(err)
		}
		for name, token := range map[string]string{"good": "a-token-of-caller-0000", "none": ""} {
			b.Run(fmt.Sprintf("callers=%d/%s", n, name), func(b *testing.B) {
				handler := access.NewGuard(access.GuardConfig{Policy: func() *access.Policy { return policy }}).Wrap(
					http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, getTask, http.NoBody)
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				r.RemoteAddr = here
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				w := blank{make(http.Header)}
				b.ReportAllocs()
				for b.Loop() {
					handler.ServeHTTP(w, r)
				}
			})
		}
	}
}
