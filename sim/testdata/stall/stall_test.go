// Package stall has simulations that break down, for a test of what Test says of them.
package stall

import (
	"context"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
)

func TestBreaksDown(t *testing.T) {
	way := os.Getenv("STALL")
	sim.Test(t, sim.Config{Seed: 4711, Stall: 2 * time.Second}, func(s *sim.Sim) {
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
			<-ctx.Done()
			return nil
		})
		s.Client("client", func(_ context.Context, h *sim.Host) error {
			time.Sleep(5 * time.Minute)
			switch way {
			case "spin":
				spinForEver(new(atomic.Bool))
			case "panic":
				go panic("in the background")
			case "mutex":
				var mu sync.Mutex
				var all sync.WaitGroup
				for range 2 {
					all.Go(func() { lockedCall(&mu, h.HTTPClient()) })
				}
				all.Wait()
			}
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
}

func spinForEver(stop *atomic.Bool) {
	for !stop.Load() {
	}
}

// lockedCall holds a mutex for as long as a call lasts.
func lockedCall(mu *sync.Mutex, client *http.Client) {
	mu.Lock()
	defer mu.Unlock()
	res, err := client.Get("http://server/")
	if err == nil {
		_ = res.Body.Close()
	}
}
