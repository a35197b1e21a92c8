package nats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/frayrpc/fray/examples/abroad"
	"github.com/frayrpc/fray/sim"
)

// Connections break, and consumers are killed. What the server has acknowledged is delivered, and what was
// published twice under one id is in the stream once.
func TestJetStream(t *testing.T) {
	dir := t.TempDir()
	abroad.Check(t, "nats-io/nats-server", sim.Config{Link: sim.Link{Loss: 0.01}}, func(s *sim.Sim) error {
		fresh(s.Seed())
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		s.Host("server", func(ctx context.Context, _ *sim.Host) error { return serve(ctx, dir) })
		places := map[string]uint64{}
		ids := map[uint64]string{}
		var errs []error
		errorf := func(format string, args ...any) {
			err := fmt.Errorf(format, args...)
			abroad.Tell(func() { errs = append(errs, err) })
		}
		workers := []string{"worker1", "worker2"}
		for _, name := range workers {
			s.Host(name, func(ctx context.Context, _ *sim.Host) error {
				_, orders, err := connect(ctx, name)
				if err != nil {
					return err
				}
				return consume(ctx, orders, func(id string, place uint64) {
					was, other := place, id
					abroad.Tell(func() {
						if p, ok := places[id]; ok {
							was = p
						}
						if o, ok := ids[place]; ok {
							other = o
						}
						places[id], ids[place] = place, id
					})
					if was != place {
						errorf("%s is in the stream twice, at %d and at %d", id, was, place)
					}
					if other != id {
						errorf("%d was %s and is %s", place, other, id)
					}
				})
			})
		}
		var acknowledged []string
		for _, name := range []string{"shop1", "shop2"} {
			s.Client(name, func(ctx context.Context, _ *sim.Host) error {
				js, _, err := connect(ctx, name)
				for i := 0; i < 20 && err == nil; i++ {
					id := fmt.Sprint(name, "-", i)
					if err = publish(ctx, js, id); err == nil {
						abroad.Tell(func() { acknowledged = append(acknowledged, id) })
					}
					time.Sleep(time.Second)
				}
				return err
			})
		}
		abroad.Trouble(s, workers, []string{"server", "worker1", "worker2", "shop1", "shop2"}, 2*time.Second, 30*time.Second)
		if err := s.Run(); err != nil {
			return err
		}
		if err := s.RunFor(time.Minute); err != nil {
			return err
		}
		for _, id := range acknowledged {
			if places[id] == 0 {
				errorf("%s was acknowledged and is not delivered", id)
			}
		}
		return errors.Join(errs...)
	})
}
