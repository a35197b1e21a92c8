// Package dial is the client side of every RPC: [Controller], which makes clients, and [Do], the
// one place that decides which failed calls are made again.
//
// Every call of Fray is idempotent, so one whose answer was lost is repeated without a second
// thought.
package dial

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/outgoing"
)

// Target is a controller, and how to reach it.
type Target struct {
	// URL is where it is, or where several controllers are of which one leads: see endpoint.Parse.
	URL string
	// Token is a secret that every call shows; "" shows nothing, or what the environment has.
	Token string
	// EnvironmentToken has calls show the secret that the environment has, or names the file of, if
	// Token is empty, and EnvironmentTLS has TLS be what the environment says, for https URLs without Via.
	EnvironmentToken, EnvironmentTLS bool
	// Via carries the calls. Nil: a client that is made for it, with TLS for https URLs.
	Via connect.HTTPClient
	TLS certs.Files
	// HTTP3 makes the connections in place of those over TCP: h3.Dial of package fray/h3, which is
	// given, and not imported, so that a program which does not use it does not link QUIC. Nil: calls
	// go over TCP.
	HTTP3 func(certs.Files, *slog.Logger) (http.RoundTripper, error)
	// Log is told what becomes of certificates that change. Nil: nobody is.
	Log *slog.Logger
}

// Controller returns a client of a controller, and the HTTP client that it has made for it, if it
// has, whose connections the caller closes.
func Controller(t Target, opts ...connect.ClientOption) (c frayv1connect.ControllerServiceClient, owned *http.Client, err error) {
	shown, err := t.shown()
	if err != nil {
		return nil, nil, err
	}
	via := t.Via
	if via == nil {
		if owned, err = t.connections(); err != nil {
			return nil, nil, err
		}
		via = owned
	} else if t.HTTP3 != nil {
		return nil, nil, errors.New("HTTP/3: calls go by the HTTP client that is given: have that one speak it, or give none")
	}
	// Connect's default asks for gzip, which costs more than it saves for the small messages between
	// hosts that are near each other.
	all := []connect.ClientOption{connect.WithAcceptCompression("gzip", nil, nil)}
	if shown != nil {
		all = append(all, connect.WithInterceptors(outgoing.ShowToken(shown)))
	}
	via, base, err := newSeveral(via, t.URL)
	if err != nil {
		return nil, nil, err
	}
	return frayv1connect.NewControllerServiceClient(Paced(via), base, append(all, opts...)...), owned, nil
}

// shown returns the secret that calls show; nil: they show none.
func (t *Target) shown() (func() string, error) {
	switch {
	case t.Token != "":
		return func() string { return t.Token }, outgoing.CheckToken(t.Token)
	case t.EnvironmentToken:
		return environmentToken(t.log())
	}
	return nil, nil
}

func (t *Target) log() *slog.Logger { return cmp.Or(t.Log, slog.New(slog.DiscardHandler)) }

// connections returns an HTTP client of the target's own.
func (t *Target) connections() (*http.Client, error) {
	if t.EnvironmentTLS && strings.HasPrefix(t.URL, "https://") {
		var err error
		if t.TLS, err = environmentTLS(); err != nil {
			return nil, err
		}
	}
	log := t.log()
	if t.HTTP3 == nil {
		transport := outgoing.NewTransport()
		return &http.Client{Transport: transport}, t.TLS.Secure(transport, log)
	}
	if !strings.HasPrefix(t.URL, "https://") {
		return nil, fmt.Errorf("HTTP/3 is spoken over TLS only: call %s by https://", t.URL)
	}
	transport, err := t.HTTP3(t.TLS, log)
	return &http.Client{Transport: transport}, err
}
