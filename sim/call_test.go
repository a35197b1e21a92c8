package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/sim"
)

var protocols = map[string][]connect.ClientOption{
	"connect":      nil,
	"connect json": {connect.WithProtoJSON()},
	"connect gzip": {connect.WithSendGzip()},
	"grpc":         {connect.WithGRPC()},
	"grpc-web":     {connect.WithGRPCWeb()},
}

func TestUnaryCallCarriesEverything(t *testing.T) {
	for name, opts := range protocols {
		t.Run(name, func(t *testing.T) {
			sim.Test(t, sim.Config{}, func(s *sim.Sim) {
				s.Host("server", echoHost)
				s.Client("client", func(ctx context.Context, h *sim.Host) error {
					client := caller(h, "server", echoProcedure, opts...)
					for _, value := range []string{"", "hello", string(make([]byte, 1<<20))} {
						req := connect.NewRequest(wrapperspb.String(value))
						req.Header().Set("Name", "client")
						res, err := client.CallUnary(ctx, req)
						if err != nil {
							return err
						}
						if res.Msg.GetValue() != value || res.Header().Get("Greeting") != "client" || res.Trailer().Get("Farewell") != "bye" {
							return fmt.Errorf("got %.10q, %v, %v", res.Msg.GetValue(), res.Header(), res.Trailer())
						}
					}
					if _, err := say(ctx, client, "fail"); connect.CodeOf(err) != connect.CodeResourceExhausted {
						return fmt.Errorf("got %w, want resource_exhausted", err)
					}
					return nil
				})
				if err := s.Run(); err != nil {
					t.Error(err)
				}
				if s.Elapsed() == 0 {
					t.Error("no time has passed")
				}
			})
		})
	}
}

func TestStreamsInBothDirections(t *testing.T) {
	for name, opts := range protocols {
		if name == "grpc-web" {
			continue // Not for two directions at once.
		}
		t.Run(name, func(t *testing.T) {
			sim.Test(t, sim.Config{}, func(s *sim.Sim) {
				s.Host("server", echoHost)
				s.Client("client", func(ctx context.Context, h *sim.Host) error {
					stream := caller(h, "server", chatProcedure, opts...).CallBidiStream(ctx)
					for i, value := range []string{"a", string(make([]byte, 3<<20)), "c"} {
						if err := stream.Send(wrapperspb.String(value)); err != nil {
							return fmt.Errorf("send %d: %w", i, err)
						}
						got, err := stream.Receive()
						if err != nil || got.GetValue() != value {
							return fmt.Errorf("message %d: got %.10q, %w", i, got.GetValue(), err)
						}
						time.Sleep(time.Second)
					}
					if err := stream.CloseRequest(); err != nil {
						return err
					}
					if _, err := stream.Receive(); !errors.Is(err, io.EOF) {
						return fmt.Errorf("got %w, want the end", err)
					}
					if got := stream.ResponseTrailer().Get("Farewell"); got != "bye" {
						return fmt.Errorf("got trailer %q", got)
					}
					return stream.CloseResponse()
				})
				if err := s.Run(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestDeadlineEndsCallAtItsInstant(t *testing.T) {
	for name, opts := range protocols {
		t.Run(name, func(t *testing.T) {
			sim.Test(t, sim.Config{}, func(s *sim.Sim) {
				s.Host("server", echoHost)
				s.Client("client", func(ctx context.Context, h *sim.Host) error {
					ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
					defer cancel()
					start := time.Now()
					_, err := say(ctx, caller(h, "server", waitProcedure, opts...), "x")
					if connect.CodeOf(err) != connect.CodeDeadlineExceeded || time.Since(start) != 5*time.Second {
						return fmt.Errorf("got %w after %v", err, time.Since(start))
					}
					return nil
				})
				if err := s.Run(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestCancellationTravels(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		const latency = 10 * time.Millisecond
		var gaveUp, told time.Duration
		var cause error
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(echoService(func(err error) { told, cause = s.Elapsed(), err }))
			<-ctx.Done()
			return nil
		})
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			_, err := say(ctx, caller(h, "server", waitProcedure), "x")
			gaveUp = s.Elapsed()
			if connect.CodeOf(err) != connect.CodeCanceled {
				return fmt.Errorf("got %w", err)
			}
			return nil
		})
		s.SetLink("client", "server", sim.Link{Latency: sim.Latency{Min: latency, Mean: latency, Max: latency}})
		if err := s.RunUntil(func() bool { return told != 0 }); err != nil {
			t.Fatal(err)
		}
		if gaveUp != time.Second || told < gaveUp+latency || told > gaveUp+2*latency || !errors.Is(cause, context.Canceled) {
			t.Errorf("caller gave up at %v, handler was told at %v: %v", gaveUp, told, cause)
		}
	})
}

func TestServerStreamIsGivenUp(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("server", echoHost)
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			stream, err := caller(h, "server", tellProcedure).CallServerStream(ctx, connect.NewRequest(wrapperspb.String("x")))
			if err != nil {
				return err
			}
			if !stream.Receive() {
				return fmt.Errorf("nothing received: %w", stream.Err())
			}
			return stream.Close()
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
		if err := s.RunFor(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestUnknownAndSilentHosts(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("mute", func(ctx context.Context, _ *sim.Host) error {
			<-ctx.Done()
			return nil
		})
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			for _, host := range []string{"nowhere", "mute"} {
				if _, err := say(ctx, caller(h, host, echoProcedure), "x"); connect.CodeOf(err) != connect.CodeUnavailable {
					return fmt.Errorf("call to %s: got %w, want unavailable", host, err)
				}
			}
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}
