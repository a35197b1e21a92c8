package speed

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/sim"
)

type text = wrapperspb.StringValue

const (
	procedure = "/speed.Echo/Echo"
	// callers is how many callers there are at once, each with one call after the other.
	callers = 16
)

// payload is what goes there and back.
var payload = strings.Repeat("x", 64)

// newHandler returns a handler that answers what it is asked. Nothing is compressed, which would
// cost more than all the rest.
func newHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(procedure, connect.NewUnaryHandler(procedure,
		func(_ context.Context, req *connect.Request[text]) (*connect.Response[text], error) {
			return connect.NewResponse(req.Msg), nil
		}, connect.WithCompression("gzip", nil, nil)))
	return mux
}

func newClient(transport connect.HTTPClient) *connect.Client[text, text] {
	return connect.NewClient[text, text](transport, "http://server"+procedure, connect.WithAcceptCompression("gzip", nil, nil))
}

// call makes calls, one after the other.
func call(ctx context.Context, client *connect.Client[text, text], calls int) error {
	for range calls {
		res, err := client.CallUnary(ctx, connect.NewRequest(wrapperspb.String(payload)))
		if err != nil {
			return err
		}
		if res.Msg.GetValue() != payload {
			return fmt.Errorf("the echo of %q is %q", payload, res.Msg.GetValue())
		}
	}
	return nil
}

// each returns how many of all calls each caller makes.
func each(calls int) int { return (calls + callers - 1) / callers }

// Echo makes at least that many unary Connect calls through the simulator, from a few hosts to one.
func Echo(bubble sim.Bubble, calls int) (Sample, error) {
	var (
		sample Sample
		failed error
	)
	begun := time.Now()
	err := bubble(func() {
		s := sim.New(sim.Config{MaxSteps: 4*calls + 1000, MaxTime: 1000 * time.Hour})
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(newHandler())
			<-ctx.Done()
			return nil
		})
		for i := range callers {
			s.Client(fmt.Sprintf("client-%02d", i), func(ctx context.Context, h *sim.Host) error {
				return call(ctx, newClient(h.Client()), each(calls))
			})
		}
		failed = s.Run()
		sample = Sample{Messages: s.Stats().Delivered, Hosts: 1 + callers, Virtual: s.Elapsed()}
		if err := s.Close(); failed == nil {
			failed = err
		}
	})
	sample.Wall = time.Since(begun)
	if err == nil {
		err = failed
	}
	if err != nil {
		return Sample{}, fmt.Errorf("echo in the simulator: %w", err)
	}
	return sample, nil
}

// Direct makes that many of the same calls by handing each request to the handler, in one
// goroutine: what the calls cost by themselves.
func Direct(calls int) (Sample, error) {
	client := newClient(direct{newHandler()})
	begun := time.Now()
	if err := call(context.Background(), client, calls); err != nil {
		return Sample{}, fmt.Errorf("echo without a network: %w", err)
	}
	return Sample{Messages: 2 * calls, Wall: time.Since(begun)}, nil
}

// direct is a connect.HTTPClient that is the server.
type direct struct{ handler http.Handler }

// Do implements connect.HTTPClient.
func (d direct) Do(req *http.Request) (*http.Response, error) {
	w := &written{header: make(http.Header), status: http.StatusOK}
	d.handler.ServeHTTP(w, req)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: req,
	}, nil
}

// written is what a handler answers.
type written struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *written) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *written) WriteHeader(status int) { w.status = status }

// Write implements io.Writer.
func (w *written) Write(b []byte) (int, error) { return w.body.Write(b) }
