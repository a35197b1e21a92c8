package fray

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/number"
)

// Client calls a controller's service one RPC at a time, for tools that list, watch and operate; programs that run
// tasks want a [JobContext]. A call that fails because the controller is unreachable, busy or restarting is made again,
// with jittered backoff, until its context is done: give every call one that ends. A Client may be used by several
// goroutines.
type Client struct {
	frayv1connect.ControllerServiceClient

	owned *http.Client // its connections are closed with the client; nil: the caller's is used
}

// NewClient returns a client of the controller at an address such as "http://10.0.0.5:7070" or "host:port". Of the
// options it heeds [WithHTTPClient], [WithClientOptions], [WithRand] and [WithLogger].
func NewClient(address string, opts ...Option) (*Client, error) {
	config := jobConfig{logger: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		opt.applyToJob(&config)
	}
	url, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	c := &Client{}
	if config.httpClient == nil {
		c.owned = dial.NewHTTPClient()
		config.httpClient = c.owned
	}
	repeat := &repeater{rand: dial.NewRand(config.rand), logger: config.logger}
	options := append([]connect.ClientOption{dial.WithoutCompression(), connect.WithInterceptors(repeat)}, config.clientOptions...)
	c.ControllerServiceClient = frayv1connect.NewControllerServiceClient(config.httpClient, url, options...)
	return c, nil
}

// Close lets go of the connections that the client opened. Calls under way are not ended.
func (c *Client) Close() error {
	if c.owned != nil {
		c.owned.CloseIdleConnections()
	}
	return nil
}

// repeater makes failed unary calls again, where dial.Do would. A long poll has as much longer for each attempt as it asks
// the server to wait.
type repeater struct {
	rand   *dial.Rand
	logger *slog.Logger
}

// longestWait is the most time that a call is given for its wait; no controller holds one back for as long.
const longestWait = 24 * time.Hour

// WrapUnary implements connect.Interceptor.
func (r *repeater) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		timeout := dial.DefaultAttemptTimeout
		if m, ok := req.Any().(interface{ GetMaxWaitMs() int64 }); ok {
			timeout += min(number.FromMillis(m.GetMaxWaitMs()), longestWait)
		}
		policy := dial.Policy{Rand: r.rand, AttemptTimeout: timeout, OnRetry: func(err error, delay time.Duration) {
			r.logger.WarnContext(ctx, "repeat call to controller", "procedure", req.Spec().Procedure, "delay", delay, "error", err)
		}}
		var res connect.AnyResponse
		err := dial.Do(ctx, policy, func(ctx context.Context) (err error) {
			res, err = next(ctx, req)
			return err
		})
		return res, err
	}
}

// WrapStreamingClient implements connect.Interceptor. Streams are not repeated.
func (*repeater) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor; a client handles nothing.
func (*repeater) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
