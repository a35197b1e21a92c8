package fray

import (
	"context"
	"net/http"
	"path"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/endpoint"
	"github.com/frayrpc/fray/internal/number"
)

// Client calls a controller's service one RPC at a time, for tools that list, watch and operate;
// programs that run tasks want a [JobContext]. A call that fails because the controller is
// unreachable, busy or restarting is made again, with jittered backoff, until its context is done:
// give every call one that ends. Its error says then what was wrong, and a logger is told of
// outages meanwhile. A Client may be used by several goroutines.
type Client struct {
	frayv1connect.ControllerServiceClient

	owned *http.Client // its connections are closed with the client; nil: the caller's is used
}

// NewClient returns a client of the controller at an address such as "http://10.0.0.5:7070" or
// "host:port". Of the options it heeds [WithToken], [WithTLS], [WithHTTP3], [WithHTTPClient],
// [WithClientOptions], [WithRand] and [WithLogger].
func NewClient(address string, opts ...Option) (*Client, error) {
	config := newJobConfig(opts)
	url, err := endpoint.Parse(address)
	if err != nil {
		return nil, err
	}
	repeat := &repeater{rand: dial.NewRand(config.rand), outages: &outages{address: url, logger: config.logger}}
	options := append([]connect.ClientOption{connect.WithInterceptors(connect.UnaryInterceptorFunc(repeat.wrap))}, config.clientOptions...)
	client, owned, err := dial.Controller(config.target(url), options...)
	if err != nil {
		return nil, err
	}
	return &Client{client, owned}, nil
}

// Close lets go of the connections that the client opened. Calls under way are not ended.
func (c *Client) Close() error {
	if c.owned != nil {
		c.owned.CloseIdleConnections()
	}
	return nil
}

// maxClientWait is the longest wait of a call that its deadline makes room for; no controller waits
// for longer.
const maxClientWait = 24 * time.Hour

// repeater makes failed unary calls again, where dial.Do would. A long poll has as much longer for
// each attempt as it asks the server to wait.
type repeater struct {
	rand    *dial.Rand
	outages *outages
}

// wrap is a connect.UnaryInterceptorFunc.
func (r *repeater) wrap(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		var wait time.Duration
		size := 0
		if m, ok := req.Any().(proto.Message); ok {
			size = proto.Size(m)
		}
		if m, ok := req.Any().(interface{ GetMaxWaitMs() int64 }); ok {
			wait = number.FromMillis(m.GetMaxWaitMs())
		}
		policy := dial.Policy{Rand: r.rand, AttemptTimeout: dial.Allow(dial.DefaultAttemptTimeout, size) + min(wait, maxClientWait)}
		var res connect.AnyResponse
		err := r.outages.do(ctx, path.Base(req.Spec().Procedure), policy, min(wait, maxClientWait), func(ctx context.Context) (err error) {
			res, err = next(ctx, req)
			return err
		})
		return res, err
	}
}
