package dial_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// A program reaches a controller that asks for a certificate and a token by the variables that the
// command goes by, and follows a file that changes.
func TestCredentialsOfTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	authority, err := certs.NewAuthority("test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string) (cert, key string) {
		c, k, err := authority.Issue(name, "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		return write(name+".pem", c), write(name+".key", k)
	}
	ca := write("ca.pem", authority.PEM)
	serverCert, serverKey := issue("server")
	cert, key := issue("client")
	config, err := certs.Files{Cert: serverCert, Key: serverKey, ClientCA: ca}.Listen(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var shown, who atomic.Value
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown.Store(r.Header.Get("Authorization"))
		who.Store(r.TLS.PeerCertificates[0].Subject.CommonName)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"code":"invalid_argument","message":"heard"}`))
	}))
	server.TLS, server.Config.ErrorLog = config, slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)

	set := func(variables map[string]string) {
		t.Helper()
		for _, name := range []string{"FRAY_TOKEN", "FRAY_TOKEN_FILE", "FRAY_CA", "FRAY_TLS_CERT", "FRAY_TLS_KEY", "FRAY_TLS_MIN_VERSION"} {
			t.Setenv(name, variables[name])
		}
	}
	tokens := write("tokens", []byte("# mine\nfirst-token\nsecond-token\n"))
	all := map[string]string{"FRAY_TOKEN_FILE": tokens, "FRAY_CA": ca, "FRAY_TLS_CERT": cert, "FRAY_TLS_KEY": key}
	target := dial.Target{URL: server.URL, EnvironmentToken: true, EnvironmentTLS: true}
	set(all)
	client, owned, err := dial.Controller(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(owned.CloseIdleConnections)
	call := func() {
		t.Helper()
		if _, err := client.GetClusterInfo(t.Context(), &frayv1.GetClusterInfoRequest{}); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Fatal(err)
		}
	}
	call()
	if shown.Load() != "Bearer first-token" || who.Load() != "client" {
		t.Errorf("%v showed %v", who.Load(), shown.Load())
	}
	write("tokens", []byte("another-token\n"))
	for shown.Load() != "Bearer another-token" { // The file is looked at once a second.
		time.Sleep(50 * time.Millisecond)
		call()
	}

	for name, c := range map[string]struct{ variable, value, want string }{
		"two tokens":               {"FRAY_TOKEN", "x", "both FRAY_TOKEN and FRAY_TOKEN_FILE"},
		"file that is not there":   {"FRAY_TOKEN_FILE", dir + "/nothing", "FRAY_TOKEN_FILE"},
		"certificate without key":  {"FRAY_TLS_KEY", "", "FRAY_TLS_CERT and FRAY_TLS_KEY go together"},
		"version that is not one":  {"FRAY_TLS_MIN_VERSION", "1.1", "neither 1.3 nor 1.2"},
		"authority that is no PEM": {"FRAY_CA", tokens, "tokens"},
	} {
		set(all)
		t.Setenv(c.variable, c.value)
		if _, _, err := dial.Controller(target); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	set(map[string]string{"FRAY_CA": tokens, "FRAY_TLS_MIN_VERSION": "1.2"})
	if _, _, err := dial.Controller(dial.Target{URL: "http://127.0.0.1:1", EnvironmentToken: true, EnvironmentTLS: true}); err != nil {
		t.Errorf("what protects https is looked at for http: %v", err)
	}
}
