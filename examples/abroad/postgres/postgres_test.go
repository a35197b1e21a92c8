package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/frayrpc/fray/examples/abroad"
	"github.com/frayrpc/fray/sim"
)

// The server is killed, keeping what it stores, and connections break. A line is inserted at most once, and
// once with the number that was told if one was told; and the pool finds the server again.
func TestPostgres(t *testing.T) {
	abroad.Check(t, "jackc/pgx", sim.Config{Link: sim.Link{Loss: 0.01}}, func(s *sim.Sim) error {
		stored := &table{}
		s.Host("server", func(context.Context, *sim.Host) error { return stored.serve() })
		apps := []string{"app1", "app2"}
		var errs []error
		told, done := map[string]int{}, map[string]bool{}
		for _, name := range apps {
			s.Client(name, func(ctx context.Context, _ *sim.Host) error {
				app, err := newApp(ctx)
				if err != nil {
					return err
				}
				for i := range 120 {
					go func() {
						line := fmt.Sprint(name, "-", i)
						n := app.insert(ctx, line)
						abroad.Tell(func() { told[line] = n })
					}()
					go func() {
						line := fmt.Sprint(name, "-sql-", i)
						ok := app.exec(ctx, line)
						abroad.Tell(func() { done[line] = ok })
					}()
					time.Sleep(200 * time.Millisecond)
				}
				for try := range 60 {
					if app.insert(ctx, fmt.Sprint(name, "-last-", try)) != 0 {
						return nil
					}
					time.Sleep(500 * time.Millisecond)
				}
				return errors.New("the server is not found again")
			})
		}
		abroad.Trouble(s, []string{"server"}, append([]string{"server"}, apps...), 2*time.Second, 25*time.Second)
		if err := s.Run(); err != nil {
			return err
		}
		// Some may be told still, when the simulation is closed.
		var numbers map[string]int
		var acknowledged map[string]bool
		abroad.Tell(func() { numbers, acknowledged = maps.Clone(told), maps.Clone(done) })
		places := map[string]int{}
		for i, line := range stored.lines {
			if was := places[line]; was != 0 {
				errs = append(errs, fmt.Errorf("%s was inserted twice, as %d and %d", line, was, i+1))
			}
			places[line] = i + 1
		}
		for _, name := range apps {
			for i := range 120 {
				line := fmt.Sprint(name, "-", i)
				if n := numbers[line]; n != 0 && n != places[line] {
					errs = append(errs, fmt.Errorf("%s was told %d and is %d", line, n, places[line]))
				}
				line = fmt.Sprint(name, "-sql-", i)
				if acknowledged[line] && places[line] == 0 {
					errs = append(errs, fmt.Errorf("%s was acknowledged and is lost", line))
				}
			}
		}
		return errors.Join(errs...)
	})
}
