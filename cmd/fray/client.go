package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/number"
)

func (a *app) addClientFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	a.AddAddressFlag(flags)
	a.AddTLSFlags(flags, command.AsClient)
	command.Duration(flags, &a.connectTimeout, "connect-timeout", 5*time.Second, "how long to try when the controller does not answer")
	command.Shared(flags, "connect-timeout")
}

// seamOptions returns what the seams are for a client of package fray.
func (a *app) seamOptions() []fray.Option {
	// The command says by itself what goes wrong, and shows its own token.
	options := []fray.Option{fray.WithClientOptions(a.Seams.ClientOptions...), fray.WithLogger(nil), fray.WithToken("")}
	if a.Seams.HTTPClient != nil {
		options = append(options, fray.WithHTTPClient(a.Seams.HTTPClient))
	}
	return options
}

// client makes calls to a controller.
type client struct {
	*fray.Client

	url     string
	timeout time.Duration
}

// connect returns a client of the controller that the options name, which the caller closes.
// Nothing is called yet.
func (a *app) connect() (*client, error) {
	address, err := a.ControllerURL()
	if err != nil {
		return nil, err
	}
	return a.connectTo(address)
}

// calling returns what runs a command with a client of the controller and its arguments.
func (a *app) calling(run func(ctx context.Context, c *client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.close()
		return run(cmd.Context(), c, args)
	}
}

func (a *app) connectTo(address string) (*client, error) {
	options, err := a.clientOptions()
	if err != nil {
		return nil, err
	}
	c, err := fray.NewClient(address, options...)
	if err != nil {
		return nil, err
	}
	return &client{Client: c, url: address, timeout: a.connectTimeout}, nil
}

// close lets go of the connections.
func (c *client) close() { _ = c.Close() }

// within calls fn, whose calls must be answered within the connect timeout and as long as a long
// poll waits.
func (c *client) within(ctx context.Context, wait time.Duration, fn func(ctx context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, wait+c.timeout)
	defer cancel()
	err := fn(bounded)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.explain(err)
}

// ask makes one call that is answered at once.
func ask[Req, Res any](ctx context.Context, c *client, call func(context.Context, *Req) (*Res, error), req *Req) (*Res, error) {
	var res *Res
	err := c.within(ctx, 0, func(ctx context.Context) (err error) {
		res, err = call(ctx, req)
		return err
	})
	return res, err
}

// badRequest is what a server that speaks TLS says to who does not.
const badRequest = "400 Bad Request"

// explain says in the user's terms what went wrong with a call.
func (c *client) explain(err error) error {
	if err == nil {
		return nil
	}
	var failure *connect.Error
	if !errors.As(err, &failure) {
		return &command.CodedError{Code: command.ExitUnavailable, Err: fmt.Errorf("call the controller at %s: %w", c.url, err)}
	}
	switch code := failure.Code(); {
	case code == connect.CodeNotFound && connect.IsWireError(err):
		return &command.CodedError{Code: command.ExitNotFound, Err: errors.New(failure.Message())}
	case code == connect.CodeInvalidArgument && connect.IsWireError(err):
		return &command.CodedError{Code: command.ExitUsage, Err: errors.New(failure.Message())}
	case connect.IsWireError(err) && code != connect.CodeUnavailable:
		return &command.CodedError{Code: command.ExitUnavailable, Err: fmt.Errorf("the controller refuses: %s (%s)", failure.Message(), code)}
	case code == connect.CodeUnavailable, code == connect.CodeDeadlineExceeded:
		return &command.CodedError{Code: command.ExitUnavailable, Err: fmt.Errorf("cannot reach the controller at %s within %s: %s",
			c.url, number.ShortDuration(c.timeout), rootText(failure))}
	case strings.HasPrefix(c.url, "http://") && strings.HasPrefix(failure.Message(), badRequest):
		return &command.CodedError{Code: command.ExitUnavailable, Err: fmt.Errorf("no controller answers at %s: %s: if it speaks TLS, call it by https://", c.url, failure.Message())}
	default:
		return &command.CodedError{Code: command.ExitUnavailable, Err: fmt.Errorf("no controller answers at %s: %s", c.url, failure.Message())}
	}
}

// reasonNotOwner is the reason of an error about a job that belongs to another caller.
const reasonNotOwner = "NOT_OWNER"

// rootText is what stands behind an error of the network, without the layers around it.
func rootText(failure *connect.Error) string {
	text := failure.Message()
	var netErr *url.Error
	if errors.As(failure, &netErr) {
		text = netErr.Err.Error()
	}
	if errors.Is(failure, context.DeadlineExceeded) {
		return "no answer"
	}
	return text
}
