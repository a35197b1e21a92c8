package dial_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// controllers are what several controllers answer, by their hosts.
type controllers struct {
	answers map[string]func() error
	called  []string
}

// Do implements connect.HTTPClient.
func (c *controllers) Do(req *http.Request) (*http.Response, error) {
	c.called = append(c.called, req.URL.Host)
	answer := c.answers[req.URL.Host]
	if answer == nil || req.Host != "" {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	refuse := connect.UnaryInterceptorFunc(func(connect.UnaryFunc) connect.UnaryFunc {
		return func(context.Context, connect.AnyRequest) (connect.AnyResponse, error) {
			if err := answer(); err != nil {
				return nil, err
			}
			return connect.NewResponse(&frayv1.GetClusterInfoResponse{}), nil
		}
	})
	_, handler := frayv1connect.NewControllerServiceHandler(frayv1connect.UnimplementedControllerServiceHandler{}, connect.WithInterceptors(refuse))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	return w.Result(), nil
}

func leads() error { return nil }

func standsBy(leader string) func() error {
	return func() error {
		err := wire.Error(wire.ReasonNotLeader, 0, "stands by")
		err.Meta().Set(wire.LeaderHeader, leader)
		return err
	}
}

func failsAs(code connect.Code) func() error {
	return func() error { return connect.NewError(code, errors.New("no")) }
}

// Calls go to the leader, by its hint or by trying each in turn, and then stay there.
func TestSeveralControllers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		urls    string
		answers map[string]func() error
		calls   int
		want    string
	}{
		"the first leads":            {"http://a,http://b", map[string]func() error{"a": leads}, 3, "a a a"},
		"the first is away":          {"http://a,http://b,http://c", map[string]func() error{"c": leads}, 2, "a b c c"},
		"the first knows the leader": {"http://a,http://b,http://c", map[string]func() error{"a": standsBy("http://c"), "c": leads}, 2, "a c c"},
		"a leader that is not named": {"http://a,http://b", map[string]func() error{"a": standsBy("http://x"), "x": leads}, 2, "a x x"},
		"nobody knows":               {"http://a,http://b", map[string]func() error{"a": standsBy(""), "b": standsBy("")}, 2, "a b a b a b"},
		"a hint that is out of date": {"http://a,http://b", map[string]func() error{"a": standsBy("http://x"), "b": leads}, 2, "a x b b"},
		"a hint without TLS":         {"https://a,https://b", map[string]func() error{"a": standsBy("http://x"), "b": leads}, 2, "a b b"},
		"a hint that is none":        {"http://a,http://b", map[string]func() error{"a": standsBy("::"), "b": leads}, 2, "a b b"},
		"one that names itself":      {"http://a,http://b", map[string]func() error{"a": standsBy("http://a"), "b": leads}, 2, "a b b"},
		"other errors are answers":   {"http://a,http://b", map[string]func() error{"a": failsAs(connect.CodeNotFound)}, 3, "a a a"},
		"a full one is the leader":   {"http://a,http://b", map[string]func() error{"a": failsAs(connect.CodeResourceExhausted)}, 3, "a a a"},
		"one that ends":              {"http://a,http://b", map[string]func() error{"a": failsAs(connect.CodeUnavailable), "b": leads}, 2, "a b"},
		"only one":                   {"http://a", map[string]func() error{}, 3, "a a a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &controllers{answers: tt.answers}
			client, _, err := dial.Controller(dial.Target{URL: tt.urls, Via: c})
			if err != nil {
				t.Fatal(err)
			}
			for range tt.calls {
				_, _ = client.GetClusterInfo(t.Context(), &frayv1.GetClusterInfoRequest{})
			}
			if got := strings.Join(c.called, " "); got != tt.want {
				t.Errorf("calls went to %s, want %s", got, tt.want)
			}
		})
	}
}

// That one says that it stands by tells more than that another is not there: one will lead soon.
func TestSeveralControllersOfWhichOneStandsBy(t *testing.T) {
	t.Parallel()
	c := &controllers{answers: map[string]func() error{"a": standsBy("http://b")}}
	client, _, err := dial.Controller(dial.Target{URL: "http://a,http://b", Via: c})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.GetClusterInfo(t.Context(), &frayv1.GetClusterInfoRequest{})
	if reason, _ := wire.Info(err); reason != wire.ReasonNotLeader {
		t.Errorf("it fails with %v, after calls of %v", err, c.called)
	}
}

// A controller that does not answer is left, and one whose caller lost patience is not.
func TestSeveralControllersOfWhichOneIsSilent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cause error
		want  []string
	}{
		"the attempt is over":   {context.DeadlineExceeded, []string{"a", "b"}},
		"the caller gave it up": {context.Canceled, []string{"a", "a"}},
		"the caller ends":       {errors.New("it leaves"), []string{"a", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &controllers{answers: map[string]func() error{"a": leads, "b": leads}}
			via := &silent{next: c}
			client, _, err := dial.Controller(dial.Target{URL: "http://a,http://b", Via: via})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			via.is = func() { cancel(tt.cause) }
			_, _ = client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
			via.is = nil
			if _, err := client.GetClusterInfo(t.Context(), &frayv1.GetClusterInfoRequest{}); err != nil {
				t.Error(err)
			}
			if !slices.Equal(c.called, tt.want[1:]) {
				t.Errorf("after %s calls went to %v, want %v", name, c.called, tt.want[1:])
			}
		})
	}
}

// silent answers nothing while it is.
type silent struct {
	next *controllers
	is   func() // nil: it is not
}

// Do implements connect.HTTPClient.
func (s *silent) Do(req *http.Request) (*http.Response, error) {
	if s.is == nil {
		return s.next.Do(req)
	}
	s.is()
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}

// A leader that was hinted at and does not answer is not asked again before another was.
func TestSeveralControllersOfWhichTheLeaderIsSilent(t *testing.T) {
	t.Parallel()
	c := &controllers{answers: map[string]func() error{"a": standsBy("http://b"), "c": leads}}
	ctx, cancel := context.WithCancelCause(t.Context())
	c.answers["b"] = func() error {
		cancel(context.DeadlineExceeded) // The attempt is over.
		return connect.NewError(connect.CodeUnavailable, errors.New("no answer"))
	}
	client, _, err := dial.Controller(dial.Target{URL: "http://a,http://b,http://c", Via: c})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
	if _, err := client.GetClusterInfo(t.Context(), &frayv1.GetClusterInfoRequest{}); err != nil {
		t.Error(err)
	}
	if got := strings.Join(c.called, " "); got != "a b c" {
		t.Errorf("calls went to %s, want a b c", got)
	}
}

// waiting is a controller that answers nothing until its caller leaves.
type waiting struct{ hosts []string }

func (w *waiting) Do(req *http.Request) (*http.Response, error) {
	w.hosts = append(w.hosts, req.URL.Host)
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// A caller that leaves at the very instant at which its time is over has waited for all of it, whichever the two is
// noticed first; one that leaves before says nothing of the controller.
func TestSeveralControllersOfWhichOneIsLeftInTime(t *testing.T) {
	t.Parallel()
	const patience = time.Second
	for name, c := range map[string]struct {
		leaves time.Duration
		first  bool // the caller's timer was set before that of the call
		want   string
	}{
		"before":                             {patience - 1, true, "a a"},
		"at the same instant, and first":     {patience, true, "a b"},
		"at the same instant, and not first": {patience, false, "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &waiting{}
				client, _, err := dial.Controller(dial.Target{URL: "http://a,http://b", Via: w})
				if err != nil {
					t.Fatal(err)
				}
				call := func(ctx context.Context, leaves time.Duration) {
					ctx, cancel := context.WithCancel(ctx)
					defer cancel()
					if c.first {
						time.AfterFunc(leaves, cancel)
					}
					_ = dial.Do(ctx, dial.Policy{AttemptTimeout: patience}, func(ctx context.Context) error {
						if !c.first {
							time.AfterFunc(leaves, cancel)
						}
						_, err := client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
						return err
					})
				}
				call(t.Context(), c.leaves)
				call(t.Context(), time.Millisecond)
				if got := strings.Join(w.hosts, " "); got != c.want {
					t.Errorf("asked %q, want %q", got, c.want)
				}
			})
		})
	}
}
