package dial

import (
	"context"
	"errors"
	"os"
	"strings"

	"connectrpc.com/connect"
)

// TokenVariable is the environment variable with the secret that controller, workers and clients of
// a cluster share.
const TokenVariable = "FRAY_TOKEN"

// EnvironmentToken returns the secret that the environment has; "" if there is none.
func EnvironmentToken() string {
	return os.Getenv(TokenVariable) //nolint:forbidigo // The controller's refusal tells its caller to set it.
}

// WithToken is a client option that shows a secret with every call; "" shows nothing. It is an
// error if the secret cannot stand in a header.
func WithToken(token string) (connect.ClientOption, error) {
	if token == "" {
		return connect.WithInterceptors(), nil
	}
	if strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return nil, errors.New("token: it must be of printable ASCII without spaces: is there a line break at its end? " +
			"it is taken from " + TokenVariable + " unless it is given")
	}
	return connect.WithInterceptors(bearer("Bearer " + token)), nil
}

// bearer is an interceptor of clients, with the header that it sets.
type bearer string

const authorization = "Authorization"

// WrapUnary implements connect.Interceptor.
func (b bearer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set(authorization, string(b))
		return next(ctx, req)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (b bearer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set(authorization, string(b))
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor; a client handles nothing.
func (bearer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
