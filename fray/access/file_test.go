package access_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/access"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access")
	if err := writeFile(path, text); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

func read(t *testing.T, text string) *access.Policy {
	t.Helper()
	p, err := access.Read(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// showing is a request with a token; empty: without.
func showing(t *testing.T, token string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// certified is a request over a connection with a verified certificate.
func certified(t *testing.T, cn string, dns []string, uris ...string) *http.Request {
	t.Helper()
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: cn}, DNSNames: dns}
	for _, text := range uris {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		leaf.URIs = append(leaf.URIs, u)
	}
	r := showing(t, "")
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}
	return r
}

const (
	aliceToken = "alice-secret-of-some-length"
	carolToken = "carol-secret"
)

func sum(token string) string {
	s := sha256.Sum256([]byte(token))
	return hex.EncodeToString(s[:])
}

func TestWhoIsWho(t *testing.T) {
	t.Parallel()
	p := read(t, `
# people
token `+aliceToken+` alice client
	token	sha256:`+sum(carolToken)+`	carol	client,operator

certificate build-*.example.com build worker
certificate spiffe://cluster/worker/* * worker
certificate *.many.example.com pool-* worker,client
certificate * guest reader
`)
	unverified := certified(t, "build-7.example.com", nil)
	unverified.TLS.VerifiedChains = nil
	basic := showing(t, "")
	basic.Header.Set("Authorization", "Basic "+aliceToken)
	both := certified(t, "build-7.example.com", nil)
	both.Header.Set("Authorization", "Bearer "+aliceToken)
	wrong := certified(t, "build-7.example.com", nil)
	wrong.Header.Set("Authorization", "Bearer nothing")
	tests := map[string]struct {
		request *http.Request
		name    string // empty: unknown
		roles   access.Roles
		shown   access.Credential
	}{
		"token":                 {showing(t, aliceToken), "alice", access.Client, access.Token},
		"token by its sum":      {showing(t, carolToken), "carol", access.Client | access.Operator, access.Token},
		"the sum itself":        {request: showing(t, "sha256:"+sum(carolToken))},
		"part of a token":       {request: showing(t, aliceToken[:20])},
		"more than a token":     {request: showing(t, aliceToken+"x")},
		"nothing":               {request: showing(t, "")},
		"another scheme":        {request: basic},
		"common name":           {certified(t, "build-7.example.com", nil), "build", access.Worker, access.Certificate},
		"name of a host":        {certified(t, "x", []string{"y", "build-8.example.com"}), "build", access.Worker, access.Certificate},
		"uri":                   {certified(t, "", nil, "spiffe://cluster/worker/a7"), "spiffe://cluster/worker/a7", access.Worker, access.Certificate},
		"part of the name":      {certified(t, "a.many.example.com", nil), "pool-a.many.example.com", access.Worker | access.Client, access.Certificate},
		"any":                   {certified(t, "anything", nil), "guest", access.Reader, access.Certificate},
		"no name":               {request: certified(t, "", nil)},
		"not verified":          {request: unverified},
		"a token goes first":    {both, "alice", access.Client, access.Token},
		"a wrong one all alone": {request: wrong},
	}
	for name, tt := range tests {
		c, ok := p.Identify(tt.request)
		switch {
		case ok != (tt.name != ""):
			t.Errorf("%s: known %v, want %v", name, ok, tt.name != "")
		case ok && (c.Name != tt.name || c.Roles != tt.roles || c.Shown != tt.shown || c.Shared || c.Owns() != tt.name):
			t.Errorf("%s: is %+v", name, c)
		}
	}
	if !p.WantsCertificates() || read(t, "token "+aliceToken+" a client").WantsCertificates() {
		t.Error("a policy does not know whether it has certificates")
	}
}

func TestNamesThatCertificatesCannotGive(t *testing.T) {
	t.Parallel()
	p := read(t, "certificate * * client\n")
	for _, cn := range []string{"two words", strings.Repeat("x", access.MaxNameBytes+1), "a\nb"} {
		if c, ok := p.Identify(certified(t, cn, nil)); ok {
			t.Errorf("%q is caller %+v", cn, c)
		}
	}
}

func TestBadFilesAreToldWithTheirPlace(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"empty":            {"# nothing\n\n", "has no credential, so nobody could call"},
		"kind":             {"\ntokn " + aliceToken + " alice client\n", `:2: a line begins with token or certificate: did you mean "token"?`},
		"too few words":    {"token " + aliceToken + " alice\n", ":1: a line has four words, and this one has 3"},
		"too many words":   {"token " + aliceToken + " alice client operator\n", "its roles with commas between them"},
		"role":             {"token " + aliceToken + " alice cliemt\n", `:1: there is no role "cliemt": did you mean "client"?; there are client, worker`},
		"no role":          {"token " + aliceToken + " alice client,\n", `:1: there is no role ""`},
		"role twice":       {"token " + aliceToken + " alice client,client\n", `:1: role "client" is there twice`},
		"short token":      {"token short alice client\n", ":1: the token has 5 characters, and needs 16 so that nobody guesses it: openssl rand -hex 32 makes one"},
		"sum":              {"token sha256:12 alice client\n", ":1: after sha256: come 64 hexadecimal digits"},
		"token":            {"token täglich-ein-wort-mehr alice client\n", ":1: the token must be of printable ASCII"},
		"token twice":      {"token " + aliceToken + " alice client\n#\ntoken sha256:" + sum(aliceToken) + " bob client\n", ":3: this token is that of line 1, too"},
		"name":             {"token " + aliceToken + " al(ice client\n", `:1: the caller's name "al(ice" may have letters`},
		"long name":        {"token " + aliceToken + " " + strings.Repeat("a", 129) + " client\n", ":1: a caller's name has 1 to 128 characters, and this one has 129"},
		"star in a name":   {"token " + aliceToken + " a* client\n", `:1: the caller's name "a*"`},
		"certificate name": {"certificate x a! client\n", `:1: the caller's name "a!"`},
		"long line":        {"certificate x a client" + strings.Repeat(" ", 1100) + "\n", "bytes; at most 1024 are allowed"},
		"many lines":       {strings.Repeat("certificate x a client\n", access.MaxLines+1), ":1025: there are more than 1024 credentials"},
	}
	for name, tt := range tests {
		path := write(t, tt.text)
		_, err := access.Read(path)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want %s", name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), aliceToken) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
	if _, err := access.Read(filepath.Join(t.TempDir(), "not")); err == nil {
		t.Error("a file that is not there has a policy")
	}
}

func TestFileThatAllMayWriteIsRefused(t *testing.T) {
	t.Parallel()
	path := write(t, "token "+aliceToken+" alice client\n")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := access.Read(path); err == nil || !strings.Contains(err.Error(), "can be written by all users") {
		t.Errorf("error %v", err)
	}
}

func TestPolicyFollowsItsFile(t *testing.T) {
	t.Parallel()
	path := write(t, "token "+aliceToken+" alice client\n")
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		policy, err := access.Follow(slog.New(slog.NewTextHandler(&log, nil)), path)
		if err != nil {
			t.Fatal(err)
		}
		knows := func(token string) bool { _, ok := policy().Identify(showing(t, token)); return ok }
		for _, step := range []struct {
			text       string
			alice, bob bool
		}{
			{"token " + aliceToken + " alice client\ntoken " + aliceToken + "2 alice client\n", true, true},
			{"token " + aliceToken + "2 alice client\n", false, true},
			{"nonsense", false, true},
		} {
			if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if knows(aliceToken) != step.alice || knows(aliceToken+"2") != step.bob {
				t.Errorf("after %q it knows the old token: %v, the new one: %v; the log is %s", step.text, knows(aliceToken), knows(aliceToken+"2"), log.String())
			}
		}
		if !strings.Contains(log.String(), path+":1: a line begins with token or certificate") {
			t.Errorf("the log is %s", log.String())
		}
	})
}

func TestSharedTokensMayDoEverything(t *testing.T) {
	t.Parallel()
	p := access.Shared("a", "b")
	for _, token := range []string{"a", "b"} {
		c, ok := p.Identify(showing(t, token))
		if !ok || c.Name != access.SharedName || c.Roles != access.Everything || c.Owns() != "" {
			t.Errorf("%s is %+v", token, c)
		}
	}
	if _, ok := p.Identify(showing(t, "c")); ok {
		t.Error("c is known")
	}
}

func TestWithoutACallerEverythingIsAllowed(t *testing.T) {
	t.Parallel()
	c := access.From(t.Context())
	if c.Roles != access.Everything || c.Owns() != "" || c.Name != "" {
		t.Errorf("the caller is %+v", c)
	}
	for row := range access.Procedures() {
		if owner := access.Confined(context.Background(), row.Procedure); owner != "" {
			t.Errorf("%s is confined to the jobs of %q", row.Procedure, owner)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]access.Roles{
		"client": access.Client, "operator,client": access.Client | access.Operator, "client,worker,operator,reader,injector": access.Everything,
	} {
		got, err := access.ParseRoles(text)
		if err != nil || got != want {
			t.Errorf("%s is %v, %v", text, got, err)
		}
		if back, err := access.ParseRoles(got.String()); err != nil || back != got {
			t.Errorf("%v is read as %v, %v", got, back, err)
		}
	}
	if s := access.Roles(0).String(); s != "none" {
		t.Errorf("no roles are %q", s)
	}
}
