package integration_test

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/outgoing"
)

// BenchmarkRoundTripSecured makes one small call after the other, to controllers that are open, ask who
// calls, speak TLS, and all of it: what security costs a call.
func BenchmarkRoundTripSecured(b *testing.B) {
	if *mtls || *roles {
		b.Skip("it has its own ways of being secure")
	}
	const token = "a-token-of-the-benchmark"
	dir := b.TempDir()
	files, shown, err := makeCertificates(dir)
	if err != nil {
		b.Fatal(err)
	}
	policy := filepath.Join(dir, "access")
	if err := os.WriteFile(policy, []byte("token "+token+" somebody client,reader\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	known := []string{"--access-file", policy}
	audited := append([]string{"--audit-log", filepath.Join(dir, "audit")}, known...)
	for _, how := range []struct {
		name  string
		token string
		tls   *tls.Config
		args  []string
	}{
		{name: "open"},
		{name: "roles", token: token, args: known},
		{name: "roles and audit", token: token, args: audited},
		{name: "TLS", tls: shown, args: tlsArgs(files, true)[:4]}, // Without --tls-client-ca.
		{name: "mTLS", tls: shown, args: tlsArgs(files, true)},
		{name: "mTLS, roles and audit", token: token, tls: shown, args: append(tlsArgs(files, true), audited...)},
	} {
		b.Run(how.name, func(b *testing.B) {
			p := startProcess(b, "controller", programs.path(b, "fray"), append([]string{"controller", "--listen", "127.0.0.1:0", "--in-memory", "--log-level", "warn"}, how.args...)...)
			transport := outgoing.NewTransport()
			transport.TLSClientConfig = how.tls.Clone()
			b.Cleanup(transport.CloseIdleConnections)
			var options []connect.ClientOption
			if how.token != "" {
				options = append(options, connect.WithInterceptors(outgoing.ShowToken(func() string { return how.token })))
			}
			url := p.url
			client := frayv1connect.NewControllerServiceClient(&http.Client{Transport: transport}, url, options...)
			if _, err := client.SubmitTask(b.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: &frayv1.TaskSpec{TaskId: "t", Function: "noop"}}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.GetTask(b.Context(), &frayv1.GetTaskRequest{TaskId: "t"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
