package redis

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/frayrpc/fray/examples/abroad"
	"github.com/frayrpc/fray/sim"
)

// silent is a logger that says nothing.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Connections break, and clients are killed. No number is given out twice, nothing acknowledged is lost,
// nobody gets what another has asked for, and one at a time has the lock.
func TestRedis(t *testing.T) {
	goredis.SetLogger(silent{})
	abroad.Check(t, "redis/go-redis", sim.Config{Link: sim.Link{Loss: 0.02}}, func(s *sim.Sim) error {
		var errs []error
		errorf := func(format string, args ...any) {
			err := fmt.Errorf(format, args...)
			abroad.Tell(func() { errs = append(errs, err) })
		}
		all := &told{hits: map[int64]string{}, sums: map[int64]string{}}
		s.Host("server", func(ctx context.Context, _ *sim.Host) error { return Serve(ctx) })
		apps := []string{"app1", "app2", "app3"}
		for _, name := range apps {
			s.Host(name, func(ctx context.Context, _ *sim.Host) error { return app(ctx, all, errorf) })
		}
		abroad.Trouble(s, apps, append([]string{"server"}, apps...), 2*time.Second, 40*time.Second)
		if err := s.RunFor(45 * time.Second); err != nil {
			return err
		}
		for _, name := range apps {
			s.Crash(name)
		}
		s.Client("auditor", func(ctx context.Context, _ *sim.Host) error {
			c := connect()
			hits, sum := int64(0), int64(0)
			for err := errors.New("not asked"); err != nil; time.Sleep(100 * time.Millisecond) {
				hits, err = c.Get(ctx, "hits").Int64()
				if err == nil {
					sum, err = c.Get(ctx, "sum").Int64()
				}
			}
			var toldHits, toldSums, hitTries, sumTries int64
			abroad.Tell(func() {
				toldHits, hitTries = int64(len(all.hits)), all.hitTries
				toldSums, sumTries = int64(len(all.sums)), all.sumTries
			})
			if hits < toldHits || hits > hitTries {
				errorf("INCR: %d were acknowledged and %d attempted, and the counter is %d", toldHits, hitTries, hits)
			}
			if sum < toldSums || sum > sumTries {
				errorf("WATCH: %d were acknowledged and %d attempted, and the sum is %d", toldSums, sumTries, sum)
			}
			return nil
		})
		if err := s.Run(); err != nil {
			return err
		}
		return errors.Join(errs...)
	})
}
