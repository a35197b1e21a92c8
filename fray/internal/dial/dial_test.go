package dial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDo(t *testing.T) {
	t.Parallel()
	of := func(c connect.Code) error { return connect.NewError(c, errors.New("no")) }
	torn := connect.NewError(connect.CodeUnknown, fmt.Errorf("read message: %w", io.ErrUnexpectedEOF))
	reset := connect.NewError(connect.CodeUnknown, &net.OpError{Op: "read", Err: errors.New("reset")})
	canceled := connect.NewWireError(connect.CodeCanceled, errors.New("context canceled"))
	tests := []struct {
		name     string
		err      error
		failures int // how often the call fails, with err
		attempts int // how often it is made
		atLeast  time.Duration
		atMost   time.Duration
	}{
		{name: "success", attempts: 1},
		{name: "unavailable", err: of(connect.CodeUnavailable), failures: 3, attempts: 4, atMost: 350 * time.Millisecond},
		{name: "unavailable for long", err: of(connect.CodeUnavailable), failures: 100, attempts: 101, atLeast: 3 * time.Minute, atMost: 9 * time.Minute},
		{name: "full without a hint", err: of(connect.CodeResourceExhausted), failures: 1, attempts: 2, atMost: 50 * time.Millisecond},
		{name: "full with a hint", err: wire.Error(wire.ReasonQueueFull, time.Minute, "full"), failures: 2, attempts: 3, atLeast: 2 * time.Minute, atMost: 2 * time.Minute},
		{name: "a deadline of its own", err: of(connect.CodeDeadlineExceeded), failures: 1, attempts: 2, atMost: 50 * time.Millisecond},
		{name: "torn", err: torn, failures: 3, attempts: 4, atMost: time.Second},
		{name: "reset", err: reset, failures: 3, attempts: 4, atMost: time.Second},
		{name: "torn for ever", err: torn, failures: 100, attempts: 10, atMost: time.Minute},
		{name: "told that it was cancelled", err: canceled, failures: 3, attempts: 4, atMost: time.Second},
		{name: "told so for ever", err: canceled, failures: 100, attempts: 10, atMost: time.Minute},
		{name: "not found", err: of(connect.CodeNotFound), failures: 1, attempts: 1},
		{name: "stale", err: wire.Error(wire.ReasonSessionStale, 0, "stale"), failures: 1, attempts: 1},
		{name: "unknown", err: of(connect.CodeUnknown), failures: 1, attempts: 1},
		{name: "internal", err: of(connect.CodeInternal), failures: 1, attempts: 1},
		{name: "not an RPC error", err: errors.New("no"), failures: 1, attempts: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, attempts, retries := time.Now(), 0, 0
				p := dial.Policy{Rand: dial.NewRand(rand.New(rand.NewPCG(1, 2))), OnRetry: func(error, time.Duration) { retries++ }}
				err := dial.Do(t.Context(), p, func(context.Context) error {
					attempts++
					if attempts <= tt.failures {
						return tt.err
					}
					return nil
				})
				if attempts != tt.attempts || retries != attempts-1 {
					t.Errorf("%d attempts and %d retries, want %d", attempts, retries, tt.attempts)
				}
				if ok := tt.attempts > tt.failures; ok != (err == nil) || !ok && !errors.Is(err, tt.err) {
					t.Errorf("error %v", err)
				}
				if d := time.Since(start); d < tt.atLeast || d > tt.atMost {
					t.Errorf("took %v, want from %v to %v", d, tt.atLeast, tt.atMost)
				}
			})
		})
	}
}

func TestDoGivesEachAttemptADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		err := dial.Do(t.Context(), dial.Policy{AttemptTimeout: time.Second}, func(ctx context.Context) error {
			if attempts++; attempts == 3 {
				return nil
			}
			<-ctx.Done()
			return errors.New("whatever the transport makes of it")
		})
		if err != nil || attempts != 3 {
			t.Errorf("%v after %d attempts", err, attempts)
		}
	})
}

// An attempt may be given less time, or more, once it is known what it is for.
func TestAttemptIsGivenAnotherDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var ends []time.Duration
		_ = dial.Do(t.Context(), dial.Policy{AttemptTimeout: 10 * time.Second, Attempts: 3, Base: 1, Cap: 1}, func(ctx context.Context) error {
			start := time.Now()
			of, cancel := context.WithCancel(ctx)
			defer cancel()
			switch len(ends) {
			case 0:
				dial.Within(of, time.Second)
			case 1:
				dial.Within(of, time.Minute)
			}
			<-of.Done()
			ends = append(ends, time.Since(start))
			return of.Err()
		})
		if want := []time.Duration{time.Second, time.Minute, 10 * time.Second}; !slices.Equal(ends, want) {
			t.Errorf("attempts took %v, want %v (%v in all)", ends, want, time.Since(begin))
		}
		dial.Within(t.Context(), 0) // Is of no attempt.
	})
}

func TestDoEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		away := connect.NewError(connect.CodeUnavailable, errors.New("away"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := dial.Do(ctx, dial.Policy{}, func(context.Context) error { return away }); !errors.Is(err, away) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := dial.Do(ctx, dial.Policy{}, func(context.Context) error { t.Error("called"); return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDelay(t *testing.T) {
	t.Parallel()
	p := dial.Policy{Base: time.Second, Cap: 5 * time.Second}
	for n, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
		if d := p.Delay(n); d != want {
			t.Errorf("delay %d is %v, want %v", n, d, want)
		}
	}
	if d := p.Delay(1 << 20); d != 5*time.Second {
		t.Errorf("got %v", d)
	}
	p.Rand = dial.NewRand(nil)
	for range 100 {
		if d := p.Delay(2); d < 0 || d > 4*time.Second {
			t.Errorf("got %v", d)
		}
	}
}

// torn answers with less than it says.
func torn(times int, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if times--; times < 0 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "\x0a\x03abc")
	})
}

func TestTornRepliesOfARealServer(t *testing.T) {
	t.Parallel()
	_, handler := frayv1connect.NewControllerServiceHandler(frayv1connect.UnimplementedControllerServiceHandler{})
	server := httptest.NewServer(torn(3, handler))
	defer server.Close()
	client, owned, err := dial.Controller(dial.Target{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer owned.CloseIdleConnections()
	attempts := 0
	err = dial.Do(t.Context(), dial.Policy{Base: time.Millisecond, Rand: dial.NewRand(nil)}, func(ctx context.Context) error {
		attempts++
		_, err := client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
		return err
	})
	if connect.CodeOf(err) != connect.CodeUnimplemented || attempts != 4 {
		t.Errorf("%v after %d attempts", err, attempts)
	}
}
