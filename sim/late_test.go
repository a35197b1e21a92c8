package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
)

// What a handler leaves running must not use what the handler was given: it panics, as over HTTP/2,
// and reads no more.
func TestHandlerThatGoesOn(t *testing.T) {
	var got []string
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				go func() {
					time.Sleep(time.Second)
					for _, use := range []func(){
						func() { _, _ = w.Write([]byte("x")) },
						func() { w.WriteHeader(http.StatusOK) },
						func() { w.Header().Set("A", "b") },
						func() { _ = http.NewResponseController(w).Flush() },
					} {
						func() {
							defer func() { got = append(got, fmt.Sprint(recover())) }()
							use()
						}()
					}
					_, err := r.Body.Read(make([]byte, 1))
					got = append(got, fmt.Sprint(err))
				}()
			}))
			<-ctx.Done()
			return nil
		})
		s.Client("client", func(_ context.Context, h *sim.Host) error {
			res, err := h.HTTPClient().Post("http://server/", "text/plain", strings.NewReader("body"))
			if err != nil {
				return err
			}
			defer res.Body.Close()
			time.Sleep(2 * time.Second)
			_, err = io.ReadAll(res.Body)
			return err
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
	want := []string{
		"Write called after Handler finished", "WriteHeader called after Handler finished", "Header called after Handler finished",
		"Header called after Handler finished", "http2: request body closed due to handler exiting",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A response that its caller neither reads nor closes holds its handler up, and ends with the
// caller's context.
func TestResponseThatIsNotClosed(t *testing.T) {
	sim.Test(t, sim.Config{}, func(s *sim.Sim) {
		var written int
		var ended error
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for ended == nil {
					if _, ended = w.Write(make([]byte, 64<<10)); ended == nil {
						written += 64 << 10
					}
				}
			}))
			<-ctx.Done()
			return nil
		})
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://server/", nil)
			if err != nil {
				return err
			}
			res, err := h.Client().RoundTrip(req)
			if err != nil {
				return err
			}
			<-ctx.Done()
			time.Sleep(time.Second)
			if _, err := res.Body.Read(make([]byte, 1)); err == nil {
				return errors.New("the body goes on after its context")
			}
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
		if ended == nil || written > 4<<20 {
			t.Errorf("the handler has written %d bytes, and ended with %v", written, ended)
		}
	})
}
