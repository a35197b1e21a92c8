package integration_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/outgoing"
)

const (
	// attackMemory and attackFiles are what a controller under attack is given.
	attackMemory = "256MiB"
	attackFiles  = 300

	attackToken = "correct-horse-battery-staple"
	// bystanderName is in the names of all that is the bystander's, so that attacks can leave it alone.
	bystanderName = "bystander"
)

// The bystander's functions. Its worker has the first from the beginning.
var (
	bystanderDouble = fray.Define(bystanderName+"-double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	bystanderTriple = fray.Define(bystanderName+"-triple", func(_ context.Context, n int) (int, error) { return 3 * n, nil })
)

// startTarget starts a controller with little memory and few files, and makes a client of it that shows the token.
// Later arguments win.
func startTarget(t *testing.T, args ...string) (*target, *process) {
	t.Helper()
	args = append([]string{
		"-c", fmt.Sprintf(`ulimit -n %d; GOMEMLIMIT=%s exec "$0" "$@"`, attackFiles, attackMemory), programs.path(t, "fray"),
		"controller", "--listen", "127.0.0.1:0", "--token-file", attackTokenFile(t),
	}, args...)
	controller := startProcess(t, "controller", "/bin/sh", args...)
	tg := &target{t: t, url: controller.url, host: host(controller.url), http: newHTTPClient(t, false)}
	tg.ControllerServiceClient = frayv1connect.NewControllerServiceClient(tg.http, tg.url, showAttackToken())
	return tg, controller
}

func attackTokenFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(attackToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func showAttackToken() connect.ClientOption {
	return connect.WithInterceptors(outgoing.ShowToken(func() string { return attackToken }))
}

// bystander is who uses a controller under attack, and is to be served.
type bystander struct {
	t   *testing.T
	url string
	job string
	ctx context.Context // has the job context

	ends []func()        // to do at the end, the last one first
	took []time.Duration // what tasks took so far
	last string          // the id of the last one
}

// newBystander starts the bystander's worker and opens its job; both end with the test, or with leave.
func newBystander(t *testing.T, url string) *bystander {
	t.Helper()
	b := &bystander{t: t, url: url}
	t.Cleanup(b.leave)
	b.worker(bystanderDouble)
	jc, err := fray.NewJobContext(context.WithoutCancel(t.Context()), fray.KindFray, fray.WithControllerAddress(url), fray.WithToken(attackToken))
	if err != nil {
		t.Fatal(err)
	}
	b.ends = append(b.ends, func() {
		if err := jc.Close(); err != nil {
			t.Error(err)
		}
	})
	b.job, b.ctx = jc.JobID(), fray.NewContext(t.Context(), jc)
	return b
}

// worker starts a worker with one function.
func (b *bystander) worker(f fray.Function) {
	b.t.Helper()
	w, err := worker.New(worker.Config{
		ControllerURL: b.url, ID: f.Name(), Slots: 4, Functions: []fray.Function{f}, ClientOptions: []connect.ClientOption{showAttackToken()},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	working, leave := context.WithCancel(context.WithoutCancel(b.t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(working); err != nil {
			b.t.Errorf("the bystander's worker: %v", err)
		}
	})
	b.ends = append(b.ends, func() {
		leave()
		running.Wait()
	})
}

// leave ends all that is the bystander's, while the controller still runs.
func (b *bystander) leave() {
	for _, end := range slices.Backward(b.ends) {
		end()
	}
	b.ends = nil
}

// ask has a task done, and checks its result.
func (b *bystander) ask(n int) {
	b.t.Helper()
	begun := time.Now()
	f, err := bystanderDouble.Run(b.ctx, n)
	if err != nil {
		b.t.Errorf("task %d is refused: %v", n, err)
		return
	}
	if got, err := f.Get(b.ctx); err != nil || got != 2*n {
		b.t.Errorf("task %d: %d, %v", n, got, err)
	}
	b.last = f.ID()
	b.took = append(b.took, time.Since(begun))
}

// askUntil asks over and over until ctx is done. A bound is what the slowest of a hundred tasks may take; 0: there is
// none.
func (b *bystander) askUntil(ctx context.Context, bound time.Duration) {
	b.t.Helper()
	b.took = nil
	for n := 1; ctx.Err() == nil; n++ {
		b.ask(n)
		pausing(ctx, 20*time.Millisecond)
	}
	took := slices.Sorted(slices.Values(b.took))
	if len(took) == 0 {
		b.t.Error("the bystander has asked for nothing")
		return
	}
	p99 := took[len(took)*99/100]
	b.t.Logf("%d tasks of the bystander under attack: p50 %v, p99 %v, slowest %v", len(took), took[len(took)/2], p99, took[len(took)-1])
	if bound > 0 && p99 > bound {
		b.t.Errorf("one of a hundred tasks of the bystander took %v, more than %v", p99, bound)
	}
}
