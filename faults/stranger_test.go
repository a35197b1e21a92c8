package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/faults"
)

// Deadlines of the table's calls: of those that are to be lost, and of those that are not.
const (
	lostWait = 100 * time.Millisecond
	longWait = 20 * time.Second
)

// kinds are the four kinds of calls.
var calls = map[string]func(ctx context.Context, w *wire) error{
	"unary": func(ctx context.Context, w *wire) error {
		_, err := w.ask(ctx, "hello")
		return err
	},
	"server stream": func(ctx context.Context, w *wire) error {
		stream, err := w.stream(countProcedure).CallServerStream(ctx, connect.NewRequest(wrapperspb.String("x")))
		if err != nil {
			return err
		}
		for stream.Receive() {
		}
		return errors.Join(stream.Err(), ignore(stream.Close()))
	},
	"client stream": func(ctx context.Context, w *wire) error {
		stream := w.stream(sumProcedure).CallClientStream(ctx)
		for range 3 {
			if err := stream.Send(wrapperspb.String("part")); err != nil {
				break
			}
		}
		_, err := stream.CloseAndReceive()
		return err
	},
	"bidi": func(ctx context.Context, w *wire) error {
		stream := w.stream(duplexProcedure).CallBidiStream(ctx)
		defer stream.CloseResponse() //nolint:errcheck // Receive has the error.
		for range 3 {
			if stream.Send(wrapperspb.String("part")) != nil {
				break
			}
			if _, err := stream.Receive(); err != nil {
				return err
			}
		}
		_ = stream.CloseRequest()
		if _, err := stream.Receive(); !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	},
}

func ignore(error) error { return nil }

// What becomes of a call.
const (
	fine   = "fine"
	broken = "broken"      // an error, before the deadline
	lost   = "lost"        // the deadline
	maybe  = "fine|broken" // what was cut may be what nobody needs
)

// Each action, where it can act, does what it says to each kind of call, over each protocol and
// version of HTTP, and with each adapter: nothing does nothing, hangs, or takes the process down.
func TestStrangersServiceUnderEachFault(t *testing.T) {
	t.Parallel()
	protocols := map[string][]connect.ClientOption{"connect": nil, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()}}
	type test struct {
		rule string
		want string
	}
	network := []test{
		{"delay(1ms)", fine},
		{"drop", lost},
		{"error(aborted)", broken},
		{"truncate", maybe},
		{"truncate(3B)", maybe},
		{"reset", broken},
		{"reset(3B)", maybe},
		{"throttle(64KiB/s)", fine},
		{"reorder(1ms)", fine},
		{"partition", lost},
		{"hold", lost},
		{"pause(1ms)", fine},
		{"crash", broken},
		{"restart(1ms)@", broken},
	}
	inCall := []test{{"delay(1ms)", fine}, {"drop", lost}, {"error(aborted)", broken}, {"hold", lost}, {"pause(1ms)", fine}, {"crash", broken}}
	for _, at := range []struct {
		name   string
		place  place
		phases map[faults.Phase][]test
	}{
		{"caller", atCaller, map[faults.Phase][]test{
			faults.RequestInFlight: append(network, test{"duplicate", fine}), faults.ResponseInFlight: network,
		}},
		{"callee", atCallee, map[faults.Phase][]test{
			faults.RequestInFlight: append(network, test{"duplicate", fine}), faults.ResponseInFlight: network,
		}},
		{"calls", inCalls, map[faults.Phase][]test{
			faults.RequestBeforeSend: inCall, faults.BeforeHandler: inCall, faults.AfterHandler: inCall,
		}},
	} {
		for _, protocol := range slices.Sorted(maps.Keys(protocols)) {
			for _, h2 := range []bool{false, true} {
				if protocol == "grpc" && !h2 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/h2=%v", at.name, protocol, h2), func(t *testing.T) {
					t.Parallel()
					hook := func(context.Context, faults.Injection) {}
					injector := faults.New(faults.Config{Hooks: faults.Hooks{Pause: hook, Crash: hook, Restart: hook}})
					t.Cleanup(injector.Close)
					w := newWire(t, injector, at.place, h2, protocols[protocol]...)
					for _, phase := range slices.Sorted(maps.Keys(at.phases)) {
						for _, test := range at.phases[phase] {
							for _, kind := range slices.Sorted(maps.Keys(calls)) {
								if kind == "bidi" && (!h2 || protocol == "grpc-web") {
									continue
								}
								rule := test.rule
								if at.place == atCaller { // Where it would strike the host that is called.
									rule = strings.NewReplacer("crash", "crash(host=client)", "(1ms)@", "(1ms, host=client)").Replace(rule)
								}
								apply(t, injector, fmt.Sprintf("it: %s phase=%s", strings.TrimSuffix(rule, "@"), phase))
								wait := longWait
								if test.want == lost {
									wait = lostWait
								}
								var got string
								fired := uint64(0)
								// On a busy machine the time for a call that is lost may be over
								// before the fault's turn comes.
								for tries := 0; tries == 0 || fired == 0 && test.want == lost && tries < 20; tries++ {
									if got = outcomeOf(t, w, wait, calls[kind]); !strings.Contains(test.want, got) {
										t.Errorf("%s of a %s call at %s: the call is %s, want %s", test.rule, kind, phase, got, test.want)
									}
									fired = injector.Status().Rules[0].Fired
								}
								if fired == 0 && !strings.HasPrefix(test.rule, "duplicate") {
									t.Errorf("%s of a %s call at %s did nothing", test.rule, kind, phase)
								}
								injector.Clear()
								if got := outcomeOf(t, w, longWait, calls[kind]); got != fine {
									t.Errorf("after %s of a %s call at %s the next one is %s", test.rule, kind, phase, got)
								}
							}
						}
					}
				})
			}
		}
	}
}

func outcomeOf(t *testing.T, w *wire, wait time.Duration, call func(context.Context, *wire) error) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- call(ctx, w) }()
	select {
	case err := <-ended:
		for len(w.echo.left) > 0 {
			<-w.echo.left
		}
		switch {
		case err == nil:
			return fine
		case ctx.Err() != nil, connect.CodeOf(err) == connect.CodeDeadlineExceeded: // The handler may know it first.
			return lost
		}
		return broken
	case <-time.After(wait + longWait):
		t.Error("the call does not heed its deadline")
		return lost
	}
}
