package grpc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	ggrpc "google.golang.org/grpc"

	"github.com/frayrpc/fray/examples/abroad"
	"github.com/frayrpc/fray/sim"
)

// The server is killed, and connections break. A call runs at most once, and once if it was answered; what
// a stream brings is in order and complete; and clients find the server again.
func TestGRPC(t *testing.T) {
	abroad.Check(t, "grpc/grpc-go", sim.Config{Link: sim.Link{Loss: 0.01}}, func(s *sim.Sim) error {
		var errs []error
		ran, answered := map[string]int{}, map[string]bool{}
		s.Host("server", func(context.Context, *sim.Host) error {
			return serve(func(id string) { abroad.Tell(func() { ran[id]++ }) })
		})
		clients := []string{"client1", "client2"}
		for _, name := range clients {
			s.Client(name, func(ctx context.Context, _ *sim.Host) error {
				name, err := os.Hostname()
				if err != nil {
					return err
				}
				c, err := dial()
				if err != nil {
					return err
				}
				for i := range 120 {
					id := fmt.Sprint(name, "-", i)
					ok, err := call(ctx, c, id, ggrpc.WaitForReady(true))
					abroad.Tell(func() {
						answered[id] = ok
						errs = append(errs, err)
					})
					if i%12 == 0 {
						go func() {
							err := converse(ctx, c, id)
							abroad.Tell(func() { errs = append(errs, err) })
						}()
					}
					time.Sleep(200 * time.Millisecond)
				}
				for try := range 60 {
					id := fmt.Sprint(name, "-last-", try)
					ok, err := call(ctx, c, id, ggrpc.WaitForReady(true))
					abroad.Tell(func() { answered[id] = ok })
					if ok || err != nil {
						return err
					}
				}
				return errors.New("the server is not found again")
			})
		}
		abroad.Trouble(s, []string{"server"}, append([]string{"server"}, clients...), 2*time.Second, 30*time.Second)
		if err := s.Run(); err != nil {
			return err
		}
		for id, n := range ran {
			if n > 1 {
				errs = append(errs, fmt.Errorf("%s was called once and ran %d times", id, n))
			}
		}
		for id, ok := range answered {
			if ok && ran[id] == 0 {
				errs = append(errs, fmt.Errorf("%s was answered and did not run", id))
			}
		}
		return errors.Join(errs...)
	})
}
