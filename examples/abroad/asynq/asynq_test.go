package asynq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	hasynq "github.com/hibiken/asynq"

	"github.com/frayrpc/fray/examples/abroad"
	"github.com/frayrpc/fray/examples/abroad/redis"
	"github.com/frayrpc/fray/sim"
)

// Workers are killed in the middle of tasks, and connections break. Each task that the queue has taken is
// done, if not by the worker that began it.
func TestAsynq(t *testing.T) {
	abroad.Check(t, "hibiken/asynq", sim.Config{Link: sim.Link{Loss: 0.01}}, func(s *sim.Sim) error {
		s.Host("server", func(ctx context.Context, _ *sim.Host) error { return redis.Serve(ctx) })
		workers, shops := []string{"worker1", "worker2"}, []string{"shop1", "shop2"}
		done := map[string]int{}
		for _, name := range workers {
			s.Host(name, func(ctx context.Context, _ *sim.Host) error {
				return work(ctx, func(id string) { abroad.Tell(func() { done[id]++ }) })
			})
		}
		var acknowledged []string
		for _, name := range shops {
			s.Client(name, func(context.Context, *sim.Host) error {
				client := hasynq.NewClient(redisOpt)
				for i := range 15 {
					id := fmt.Sprint(name, strings.Repeat("-", 1+i%7), i)
					if err := enqueue(client, id); err != nil {
						return err
					}
					abroad.Tell(func() { acknowledged = append(acknowledged, id) })
					time.Sleep(time.Second)
				}
				return client.Close()
			})
		}
		abroad.Trouble(s, workers, append(append([]string{"server"}, workers...), shops...), 2*time.Second, 20*time.Second)
		if err := s.Run(); err != nil {
			return err
		}
		// A lease ends after half a minute, and is looked for once a minute.
		if err := s.RunFor(5 * time.Minute); err != nil {
			return err
		}
		var errs []error
		for _, id := range acknowledged {
			if done[id] == 0 {
				errs = append(errs, fmt.Errorf("%s was enqueued and is not done", id))
			}
		}
		return errors.Join(errs...)
	})
}
