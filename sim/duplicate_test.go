package sim_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
)

// copying has every request arrive so many more times.
type copying int

func (c copying) Judge(m *sim.Message) sim.Fate {
	if m.Kind == sim.KindRequest {
		return sim.Fate{Fault: "again", Duplicates: int(c)}
	}
	return sim.Fate{}
}

// A copy of a request comes to the handler as the request does, and its answer to nobody.
func TestCopiesAreHandled(t *testing.T) {
	const calls, copies = 5, 2
	handled := make(chan string, 100)
	answered := 0
	sim.Test(t, sim.Config{Seed: 3, Judge: copying(copies)}, func(s *sim.Sim) {
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handled <- r.URL.Path
				echoService(nil).ServeHTTP(w, r)
			}))
			<-ctx.Done()
			return nil
		})
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			for range calls {
				if _, err := say(ctx, caller(h, "server", echoProcedure), "hello"); err != nil {
					return err
				}
				answered++
			}
			time.Sleep(time.Second) // For the last copies.
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
	if n, want := len(handled), calls*(1+copies); n != want || answered != calls {
		t.Errorf("%d calls were answered, and handled %d times, want %d and %d", answered, n, calls, want)
	}
}
