package mqtt

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/frayrpc/fray/examples/abroad"
	"github.com/frayrpc/fray/sim"
)

// Connections break, and subscribers are killed and come back under their names. What the broker has
// acknowledged reaches each at least once.
func TestMQTT(t *testing.T) {
	abroad.Check(t, "mochi-mqtt/server", sim.Config{Link: sim.Link{Loss: 0.01}}, func(s *sim.Sim) error {
		s.Host("server", func(ctx context.Context, _ *sim.Host) error { return serve(ctx) })
		readers, shops := []string{"reader1", "reader2"}, []string{"shop1", "shop2"}
		ready := map[string]bool{}
		got := map[string]map[string]int{}
		for _, name := range readers {
			abroad.Tell(func() { got[name] = map[string]int{} })
			s.Host(name, func(ctx context.Context, _ *sim.Host) error {
				known := func() { abroad.Tell(func() { ready[name] = true }) }
				return subscribe(ctx, name, known, func(id string) { abroad.Tell(func() { got[name][id]++ }) })
			})
		}
		subscribed := func() (all bool) {
			abroad.Tell(func() { all = len(ready) == len(readers) })
			return all
		}
		if err := s.RunUntil(subscribed); err != nil {
			return err
		}
		var acknowledged []string
		for _, name := range shops {
			s.Client(name, func(context.Context, *sim.Host) error {
				client, err := connect(name, nil, nil)
				for i := 0; i < 40 && err == nil; i++ {
					id := fmt.Sprint(name, "-", i)
					token := client.Publish(topic, 1, false, id)
					if token.WaitTimeout(20*time.Second) && token.Error() == nil {
						abroad.Tell(func() { acknowledged = append(acknowledged, id) })
					}
					time.Sleep(500 * time.Millisecond)
				}
				return err
			})
		}
		from := s.Elapsed() + time.Second
		abroad.Trouble(s, readers, append(append([]string{"server"}, readers...), shops...), from, from+25*time.Second)
		if err := s.Run(); err != nil {
			return err
		}
		if err := s.RunFor(2 * time.Minute); err != nil {
			return err
		}
		var errs []error
		for _, name := range readers {
			for _, id := range acknowledged {
				if got[name][id] == 0 {
					errs = append(errs, fmt.Errorf("%s was acknowledged and has not reached %s", id, name))
				}
			}
		}
		return errors.Join(errs...)
	})
}
