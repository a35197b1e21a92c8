package worker_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/internal/race"
)

// recorder writes down what a worker sends, and when.
type recorder struct {
	*controller

	start time.Time
	mu    sync.Mutex
	calls map[string][]string // by procedure
}

func newRecorder(c *controller) *recorder {
	return &recorder{controller: c, start: time.Now(), calls: make(map[string][]string)}
}

// made returns the calls, once no more are made.
func (r *recorder) made() map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

func (r *recorder) Do(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	r.calls[req.URL.Path] = append(r.calls[req.URL.Path], fmt.Sprintf("%v %x", time.Since(r.start), body))
	hash := fnv.New64a()
	fmt.Fprint(hash, req.URL.Path, len(r.calls[req.URL.Path]))
	chance := hash.Sum64()
	r.mu.Unlock()
	// No two messages arrive at the same instant, and one in ten does not, either way.
	latency := time.Duration(chance % uint64(time.Millisecond))
	if !asleep(req.Context(), latency) {
		return nil, req.Context().Err()
	}
	if chance>>32%10 == 0 {
		return nil, errUnreachable
	}
	res, err := r.controller.Do(req)
	if !asleep(req.Context(), latency) || chance>>32%10 == 1 {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return res, err
}

func asleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// A worker that depends on how its goroutines are scheduled cannot be simulated.
func TestSameSeedSameCalls(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runs := make([]map[string][]string, 3)
	for i := range runs {
		if !race.Enabled { // The race detector breaks when processors come and go; it shuffles goroutines by itself.
			runtime.GOMAXPROCS(1 + i%2*3)
		}
		synctest.Test(t, func(t *testing.T) { runs[i] = record(t) })
	}
	for i, run := range runs[1:] {
		compareCalls(t, i+1, runs[0], run)
	}
}

func compareCalls(t *testing.T, run int, first, calls map[string][]string) {
	t.Helper()
	for procedure, want := range first {
		got := calls[procedure]
		if slices.Equal(got, want) {
			continue
		}
		for n := range min(len(got), len(want)) {
			if got[n] != want[n] {
				t.Errorf("run %d: call %d of %s is\n%.300s, was\n%.300s", run, n, procedure, got[n], want[n])
				break
			}
		}
		t.Errorf("run %d: %d calls of %s, were %d", run, len(got), procedure, len(want))
	}
}

func record(t *testing.T) map[string][]string {
	t.Helper()
	r := newRecorder(newController())
	random := rand.New(rand.NewPCG(3, 4))
	w := start(t, r.controller, slots(8), func(c *worker.Config) { c.HTTPClient = r })
	kinds := []string{"echo", "nap", "sulk", "fail"}
	for range 200 {
		r.change(func() {
			for range random.IntN(30) {
				kind, input := kinds[random.IntN(len(kinds))], `""`
				if kind == "nap" || kind == "sulk" {
					input = fmt.Sprint(random.IntN(3))
				}
				r.enqueue(kind, input)
			}
		})
		pass(time.Duration(random.IntN(2000)) * time.Millisecond)
	}
	pass(time.Minute)
	w.stop(t)
	return r.made()
}
