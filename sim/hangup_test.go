package sim_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
)

// resetting resets the connection of each response whose handler goes on.
type resetting struct{}

func (resetting) Judge(m *sim.Message) sim.Fate {
	return sim.Fate{Reset: m.Kind == sim.KindResponse && !m.Last}
}

// A handler whose connection is reset learns of it in three places: its context, what it reads, and
// what it writes. Whichever it looks at first, the others say the same.
func TestHandlerLearnsOfResetAtOnce(t *testing.T) {
	const calls = 300
	var wrong []string
	resets := 0
	cfg := sim.Config{Judge: resetting{}, OnEvent: func(e sim.Event) {
		if e.Kind == sim.EventSend && e.Message == sim.KindReset && e.Fault == "" {
			resets++
		}
	}}
	verdicts := make(chan string, 3*calls)
	sim.Test(t, cfg, func(s *sim.Sim) {
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx := r.Context()
				_ = http.NewResponseController(w).Flush()
				switch r.URL.Path {
				case "/context":
					<-ctx.Done()
				case "/read":
					_, _ = io.ReadAll(r.Body)
				case "/write":
					for {
						if _, err := w.Write(make([]byte, 1<<19)); err != nil {
							break
						}
					}
				}
				if ctx.Err() == nil {
					verdicts <- r.URL.Path + ": the context goes on"
				}
				if _, err := w.Write([]byte("x")); err == nil {
					verdicts <- r.URL.Path + ": it can be written to"
				}
				if _, err := r.Body.Read(make([]byte, 1)); err == nil {
					verdicts <- r.URL.Path + ": it can be read from"
				}
			}))
			<-ctx.Done()
			return nil
		})
		s.Client("client", func(_ context.Context, h *sim.Host) error {
			done := make(chan struct{}, calls)
			for i := range calls {
				go func() {
					defer func() { done <- struct{}{} }()
					path := []string{"context", "read", "write"}[i%3]
					// A body without an end, so that it is streamed.
					body, w := io.Pipe()
					defer w.Close()
					res, err := h.HTTPClient().Post("http://server/"+path, "text/plain", body)
					if err != nil {
						return
					}
					defer res.Body.Close()
					_, _ = io.ReadAll(res.Body)
				}()
			}
			for range calls {
				<-done
			}
			time.Sleep(time.Second)
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
		resets = 0
		s.Crash("server")
		if err := s.RunFor(time.Second); err != nil {
			t.Error(err)
		}
	})
	close(verdicts)
	for v := range verdicts {
		wrong = append(wrong, v)
	}
	if len(wrong) > 0 {
		t.Errorf("%d handlers saw half of a reset: %s", len(wrong), strings.Join(wrong[:min(3, len(wrong))], "; "))
	}
	if resets > 0 {
		t.Error(fmt.Sprint("a crash reset ", resets, " connections whose handlers had returned"))
	}
}
