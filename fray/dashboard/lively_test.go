package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/fraytest"
	"github.com/frayrpc/fray/fray/worker"
)

// The functions of a cluster that is looked at.
var (
	square = fray.Define("imaging.square", func(_ context.Context, n int) (int, error) { return n * n, nil })
	refuse = fray.Define("billing.charge", func(_ context.Context, n int) (int, error) {
		return 0, fmt.Errorf("card %d: %w", n, errors.New("the issuer refuses it"))
	})
	// wait runs until it is told not to.
	wait    = fray.Define("reports.render", func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() })
	train   = fray.Define("models.train", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
	counter = fray.DefineActor("counter", func(_ context.Context, n int) (*tally, error) { return &tally{n}, nil })
	license = fray.NewLimit("license", fray.MaxConcurrent(2))
	add     = fray.DefineMethod(counter, "add", func(_ context.Context, t *tally, n int) (int, error) { t.n += n; return t.n, nil })
)

type tally struct{ n int }

// cluster is one with something of everything: tasks that have ended, failed, run and wait, each for
// another reason, an actor, an object, a limit and a schedule.
type cluster struct {
	*fraytest.Cluster

	failed, running string // ids of tasks
}

func lively(t *testing.T, many int, change ...func(*controller.Config)) *cluster {
	t.Helper()
	options := []fraytest.Option{
		fraytest.Functions(square, refuse, wait, counter, add), fraytest.Workers(2), fraytest.Slots(8),
		fraytest.Worker(func(c *worker.Config) {
			c.Labels, c.Resources = map[string]string{"zone": "a", "disk": "ssd"}, map[string]int64{"cpu": 8000, "gpu": 1}
		}),
	}
	for _, f := range change {
		options = append(options, fraytest.Controller(f))
	}
	c := &cluster{Cluster: fraytest.StartCluster(t, options...)}
	ctx := c.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	thumbnails := c.NewContext(fray.WithJobID("thumbnails-2026-12-01"))
	for left := many; left > 0; left -= 10_000 {
		futures, err := square.RunAll(thumbnails, make([]int, min(left, 10_000)))
		must(err)
		_, _, err = fray.Wait(ctx, futures, len(futures), time.Minute)
		must(err)
	}
	invoices := c.NewContext(fray.WithJobID("invoices"))
	charges, err := refuse.RunAll(invoices, []int{1, 2, 3}, fray.WithRetries(1), fray.WithBackoff(time.Millisecond, 1, time.Millisecond))
	must(err)
	_, _, err = fray.Wait(ctx, charges, 3, time.Minute)
	must(err)
	c.failed = charges[0].ID()
	reports := c.NewContext(fray.WithJobID("reports"))
	rendered, err := wait.Run(reports, "december", fray.WithLabels(map[string]string{"zone": "a"}))
	must(err)
	c.running = rendered.ID()
	_, err = wait.RunAll(reports, []string{"a", "b", "c", "d", "e"}, fray.WithLimit(license))
	must(err)
	models := c.NewContext(fray.WithJobID("models"))
	_, err = train.RunAll(models, make([]int, 7))
	must(err)
	_, err = wait.Run(models, "gpu", fray.WithResources(map[string]int64{"gpu": 8}))
	must(err)
	_, err = square.Run(models, 5, fray.WithNotBefore(time.Now().Add(time.Hour)))
	must(err)
	actor, err := counter.Create(reports, 100, fray.WithActorName("visits"))
	must(err)
	_, err = add.Call(reports, actor, 2)
	must(err)
	_, err = fray.Put(reports, make([]byte, 3<<20))
	must(err)
	_, err = square.Schedule(reports, "nightly", "0 3 * * *", 7, fray.WithTimeZone("Europe/Berlin"))
	must(err)
	return c
}
