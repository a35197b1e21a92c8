package sim_test

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/sim"
)

type text = wrapperspb.StringValue

const (
	echoProcedure = "/test.Echo/Echo"
	// Answers when its caller is gone, or after a minute.
	waitProcedure = "/test.Echo/Wait"
	// Sends back each message that it gets, with trailers.
	chatProcedure = "/test.Echo/Chat"
	// Sends the text three times, a second apart.
	tellProcedure = "/test.Echo/Tell"
)

// plain leaves compression out on a server, which costs more than all the rest.
var plain = connect.WithCompression("gzip", nil, nil)

// echoService is a service for tests. onWait, if any, is told what ended a Wait.
func echoService(onWait func(error), opts ...connect.HandlerOption) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(echoProcedure, connect.NewUnaryHandler(echoProcedure,
		func(_ context.Context, req *connect.Request[text]) (*connect.Response[text], error) {
			if req.Msg.GetValue() == "fail" {
				return nil, connect.NewError(connect.CodeResourceExhausted, nil)
			}
			if req.Msg.GetValue() == "panic" {
				panic("told to")
			}
			res := connect.NewResponse(req.Msg)
			res.Header().Set("Greeting", req.Header().Get("Name"))
			res.Trailer().Set("Farewell", "bye")
			return res, nil
		}, opts...))
	mux.Handle(waitProcedure, connect.NewUnaryHandler(waitProcedure,
		func(ctx context.Context, req *connect.Request[text]) (*connect.Response[text], error) {
			select {
			case <-ctx.Done():
				if onWait != nil {
					onWait(ctx.Err())
				}
				return nil, ctx.Err()
			case <-time.After(time.Minute):
				return connect.NewResponse(req.Msg), nil
			}
		}))
	mux.Handle(chatProcedure, connect.NewBidiStreamHandler(chatProcedure,
		func(_ context.Context, stream *connect.BidiStream[text, text]) error {
			stream.ResponseTrailer().Set("Farewell", "bye")
			for {
				msg, err := stream.Receive()
				if err != nil {
					return nil //nolint:nilerr // The caller has said all that it had to.
				}
				if err := stream.Send(msg); err != nil {
					return err
				}
			}
		}))
	mux.Handle(tellProcedure, connect.NewServerStreamHandler(tellProcedure,
		func(ctx context.Context, req *connect.Request[text], stream *connect.ServerStream[text]) error {
			for range 3 {
				if err := stream.Send(req.Msg); err != nil {
					return err
				}
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		}))
	return mux
}

// echoHost serves echoService for as long as it runs.
func echoHost(ctx context.Context, h *sim.Host) error {
	h.Serve(echoService(nil))
	<-ctx.Done()
	return nil
}

// caller returns a client of one procedure of a host.
func caller(h *sim.Host, host, procedure string, opts ...connect.ClientOption) *connect.Client[text, text] {
	return connect.NewClient[text, text](h.Client(), "http://"+host+procedure, opts...)
}

func say(ctx context.Context, client *connect.Client[text, text], value string) (string, error) {
	res, err := client.CallUnary(ctx, connect.NewRequest(wrapperspb.String(value)))
	if err != nil {
		return "", err
	}
	return res.Msg.GetValue(), nil
}
