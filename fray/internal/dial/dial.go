// Package dial is the client side of every RPC: [Controller], which makes clients, and [Do], the
// one place that decides which failed calls are made again.
//
// Every call of Fray is idempotent, so one whose answer was lost is repeated without a second
// thought.
package dial

import (
	"errors"
	"net/http"
	"os"
	"strings"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/outgoing"
)

// Controller returns a client of the controller at a URL, which shows a secret with every call; ""
// shows nothing. Unless it is given an HTTP client it makes one, whose connections the caller
// closes.
func Controller(
	url, token string, via connect.HTTPClient, opts ...connect.ClientOption,
) (c frayv1connect.ControllerServiceClient, owned *http.Client, err error) {
	if err := CheckToken(token); err != nil {
		return nil, nil, err
	}
	if via == nil {
		owned = &http.Client{Transport: outgoing.NewTransport()}
		via = owned
	}
	// Connect's default asks for gzip, which costs more than it saves for the small messages between
	// hosts that are near each other.
	all := []connect.ClientOption{connect.WithAcceptCompression("gzip", nil, nil)}
	if token != "" {
		all = append(all, connect.WithInterceptors(outgoing.ShowToken(token)))
	}
	return frayv1connect.NewControllerServiceClient(Paced(via), url, append(all, opts...)...), owned, nil
}

// CheckToken returns an error if a secret cannot stand in a header.
func CheckToken(token string) error {
	if strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return errors.New("token: it must be of printable ASCII without spaces: is there a line break at its end? " +
			"it is taken from " + outgoing.TokenVariable + " unless it is given")
	}
	return nil
}

// EnvironmentToken returns the secret that the environment has; "" if there is none.
func EnvironmentToken() string {
	return os.Getenv(outgoing.TokenVariable) //nolint:forbidigo // The controller's refusal tells its caller to set it.
}
