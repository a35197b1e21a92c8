// Package dial is the client side of every RPC: [Controller], which makes clients, and [Do], the
// one place that decides which failed calls are made again.
//
// Every call of Fray is idempotent, so one whose answer was lost is repeated without a second
// thought.
package dial

import (
	"cmp"
	"log/slog"
	"net/http"
	"os"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/outgoing"
)

// Target is a controller, and how to reach it.
type Target struct {
	URL string
	// Token is a secret that every call shows; "" shows nothing.
	Token string
	// Via carries the calls. Nil: a client that is made for it, with TLS for https URLs.
	Via connect.HTTPClient
	TLS certs.Files
	// Log is told what becomes of certificates that change. Nil: nobody is.
	Log *slog.Logger
}

// Controller returns a client of a controller, and the HTTP client that it has made for it, if it
// has, whose connections the caller closes.
func Controller(t Target, opts ...connect.ClientOption) (c frayv1connect.ControllerServiceClient, owned *http.Client, err error) {
	if err := outgoing.CheckToken(t.Token); err != nil {
		return nil, nil, err
	}
	via := t.Via
	if via == nil {
		transport := outgoing.NewTransport()
		if err := t.TLS.Secure(transport, cmp.Or(t.Log, slog.New(slog.DiscardHandler))); err != nil {
			return nil, nil, err
		}
		owned = &http.Client{Transport: transport}
		via = owned
	}
	// Connect's default asks for gzip, which costs more than it saves for the small messages between
	// hosts that are near each other.
	all := []connect.ClientOption{connect.WithAcceptCompression("gzip", nil, nil)}
	if t.Token != "" {
		all = append(all, connect.WithInterceptors(outgoing.ShowToken(func() string { return t.Token })))
	}
	return frayv1connect.NewControllerServiceClient(Paced(via), t.URL, append(all, opts...)...), owned, nil
}

// EnvironmentToken returns the secret that the environment has; "" if there is none.
func EnvironmentToken() string {
	return os.Getenv(outgoing.TokenVariable) //nolint:forbidigo // The controller's refusal tells its caller to set it.
}
