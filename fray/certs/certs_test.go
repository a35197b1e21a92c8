package certs_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/certs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is a directory with certificates.
type place struct {
	t   *testing.T
	dir string
}

func (p place) path(name string) string { return filepath.Join(p.dir, name) }

func (p place) write(name string, data []byte) string {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.path(name)
}

func authority(t *testing.T, name string) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority(name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issue writes NAME.crt and NAME.key.
func (p place) issue(a *certs.Authority, name string, hosts ...string) (cert, key string) {
	p.t.Helper()
	c, k, err := a.Issue(name, hosts...)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.write(name+".crt", c), p.write(name+".key", k)
}

// serve answers with the name in the caller's certificate.
func serve(t *testing.T, config *tls.Config) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		TLSConfig: config, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo), ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := "nobody"
			if len(r.TLS.PeerCertificates) > 0 {
				name = r.TLS.PeerCertificates[0].Subject.CommonName
			}
			_, _ = io.WriteString(w, name)
		}),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.ServeTLS(listener, "", "")
	}()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	return listener.Addr().String()
}

func get(t *testing.T, f certs.Files, address string) (string, error) {
	t.Helper()
	dial, err := f.Dialer(slog.New(slog.DiscardHandler), new(net.Dialer).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	return fetch(t, dial, address)
}

func fetch(t *testing.T, dial func(ctx context.Context, network, address string) (net.Conn, error), address string) (string, error) {
	t.Helper()
	transport := &http.Transport{DialTLSContext: dial}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	p := place{t, t.TempDir()}
	ours, theirs := authority(t, "ours"), authority(t, "theirs")
	ca, other := p.write("ca.pem", ours.PEM), p.write("other.pem", theirs.PEM)
	cert, key := p.issue(ours, "server", "127.0.0.1")
	clientCert, clientKey := p.issue(ours, "client")
	strangerCert, strangerKey := p.issue(theirs, "stranger")
	elsewhereCert, elsewhereKey := p.issue(ours, "elsewhere", "elsewhere.example")
	own := certs.Files{Cert: cert, Key: key, ClientCA: ca}
	for name, c := range map[string]struct {
		server, client certs.Files
		want, problem  string
	}{
		"without a certificate":          {certs.Files{Cert: cert, Key: key}, certs.Files{CA: ca}, "nobody", ""},
		"with one":                       {own, certs.Files{CA: ca, Cert: clientCert, Key: clientKey}, "client", ""},
		"one that is not asked for":      {certs.Files{Cert: cert, Key: key}, certs.Files{CA: ca, Cert: clientCert, Key: clientKey}, "nobody", ""},
		"none where one is asked for":    {own, certs.Files{CA: ca}, "", "certificate required"},
		"one of somebody else":           {own, certs.Files{CA: ca, Cert: strangerCert, Key: strangerKey}, "", "certificate"},
		"a server of somebody else":      {own, certs.Files{CA: other}, "", "name the authority that has signed for 127.0.0.1"},
		"a server that nobody knows":     {own, certs.Files{}, "", "name the authority"},
		"a server by another name":       {certs.Files{Cert: elsewhereCert, Key: elsewhereKey}, certs.Files{CA: ca}, "", "call it by a name that its certificate has"},
		"a server with its old protocol": {certs.Files{Cert: cert, Key: key, MinVersion: tls.VersionTLS12}, certs.Files{CA: ca}, "nobody", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := c.server.Listen(slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			got, err := get(t, c.client, serve(t, config))
			if got != c.want || (err != nil) != (c.problem != "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%q, %v; want %q, %q", got, err, c.want, c.problem)
			}
		})
	}
}

// A transport that says nothing of how it opens connections is secured like any other.
func TestSecureTakesAnyTransport(t *testing.T) {
	t.Parallel()
	p := place{t, t.TempDir()}
	ours := authority(t, "ours")
	cert, key := p.issue(ours, "server", "127.0.0.1")
	config, err := certs.Files{Cert: cert, Key: key}.Listen(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	if err := (certs.Files{CA: p.write("ca.pem", ours.PEM)}).Secure(transport, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if got, err := fetch(t, transport.DialTLSContext, serve(t, config)); got != "nobody" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A client of before 1.3 is refused unless it is asked for.
func TestLeastVersion(t *testing.T) {
	t.Parallel()
	p := place{t, t.TempDir()}
	a := authority(t, "ours")
	cert, key := p.issue(a, "server", "127.0.0.1")
	for least, want := range map[uint16]bool{0: false, tls.VersionTLS12: true} {
		config, err := certs.Files{Cert: cert, Key: key, MinVersion: least}.Listen(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		dialer := tls.Dialer{Config: &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true}}
		conn, err := dialer.DialContext(t.Context(), "tcp", serve(t, config))
		if (err == nil) != want {
			t.Errorf("with a least version of %x: %v", least, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// A certificate that is renewed is shown to the next caller, and one that cannot be read is not the
// end of the one before. So it is with what a client trusts.
func TestFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	p := place{t, t.TempDir()}
	old, renewed := authority(t, "old"), authority(t, "renewed")
	cert, key := p.issue(old, "server", "127.0.0.1")
	ca := p.write("ca.pem", old.PEM)
	var log text
	config, err := certs.Files{Cert: cert, Key: key}.Listen(slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, config)
	dial, err := certs.Files{CA: ca}.Dialer(slog.New(slog.DiscardHandler), new(net.Dialer).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	works := func(want bool, what string) {
		t.Helper()
		if _, err := fetch(t, dial, address); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The files are looked at once a second, and tell their versions by the second on some machines.
	wait := func() { time.Sleep(1100 * time.Millisecond) }
	works(true, "at first")
	p.write("server.crt", []byte("rubbish"))
	wait()
	works(true, "with rubbish for a certificate")
	p.issue(renewed, "server", "127.0.0.1")
	wait()
	works(false, "with the certificate of another authority")
	p.write("ca.pem", append(old.PEM, renewed.PEM...))
	wait()
	works(true, "with both trusted")
	if !strings.Contains(log.String(), "cannot be used; what it said before counts") || !strings.Contains(log.String(), "was read again") {
		t.Errorf("log: %s", log.String())
	}
}

// text is what several goroutines write.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

func TestWhatCannotBe(t *testing.T) {
	t.Parallel()
	p := place{t, t.TempDir()}
	a := authority(t, "ours")
	cert, key := p.issue(a, "server", "127.0.0.1")
	_, otherKey := p.issue(a, "other")
	empty, large := p.write("empty.pem", nil), p.write("large.pem", make([]byte, 2<<20))
	for want, f := range map[string]certs.Files{
		"give both or neither":                  {Cert: cert},
		"give the certificate and its key, too": {ClientCA: cert},
		"private key does not match":            {Cert: cert, Key: otherKey},
		"no such file":                          {Cert: cert, Key: p.path("nowhere")},
		"has no certificate in PEM":             {Cert: cert, Key: key, ClientCA: empty},
		"at most 1048576 are allowed":           {Cert: large, Key: key},
	} {
		if _, err := f.Listen(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", f, err, want)
		}
	}
	for want, f := range map[string]certs.Files{
		"give both or neither": {Key: key}, "no such file": {CA: p.path("nowhere")}, "has no certificate in PEM": {CA: key},
	} {
		if _, err := f.Dialer(slog.New(slog.DiscardHandler), new(net.Dialer).DialContext); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", f, err, want)
		}
	}
}
