package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/sleep"
)

// probeEvery is how long the probe waits after an answer until it asks again.
const probeEvery = 2 * time.Millisecond

// probe is a client that asks all the time, one call after the other, as any program would: calls that
// fail are made again by package fray.
type probe struct {
	t *testing.T

	mu       sync.Mutex
	since    time.Time      // calls that began after it are waited for; zero: none are
	answered chan time.Time // when the first of them was answered
}

// startProbe starts a probe that ends with the test.
func startProbe(t *testing.T, url string) *probe {
	t.Helper()
	client, err := fray.NewClient(url, append(asClient(), fray.WithHTTPClient(newHTTPClient(t, false)))...)
	if err != nil {
		t.Fatal(err)
	}
	p := &probe{t: t, answered: make(chan time.Time, 1)}
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() { p.ask(ctx, client) })
	t.Cleanup(func() {
		stop()
		asking.Wait()
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *probe) ask(ctx context.Context, client *fray.Client) {
	for ctx.Err() == nil {
		began := time.Now()
		_, err := client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{}) // What it says is proved, as any answer is.
		now := time.Now()
		switch {
		case err == nil:
			p.mu.Lock()
			if !p.since.IsZero() && began.After(p.since) {
				p.answered <- now
				p.since = time.Time{}
			}
			p.mu.Unlock()
		case ctx.Err() == nil:
			p.t.Errorf("the probe: %v", err)
			return
		}
		_ = sleep.For(ctx, probeEvery)
	}
}

// next waits for the answer to a call that begins from now on. It waits once the returned function is
// called, which returns when that answer came.
func (p *probe) next() func() time.Time {
	p.mu.Lock()
	p.since = time.Now()
	p.mu.Unlock()
	return func() (at time.Time) {
		p.t.Helper()
		eventually(p.t, "a call is answered", func() bool {
			select {
			case at = <-p.answered:
				return true
			default:
				return p.t.Failed()
			}
		})
		return at
	}
}

// gaps are how long the cluster answered nobody, by what was done to it.
type gaps map[string][]time.Duration

func (g gaps) add(what string, gap time.Duration) { g[what] = append(g[what], gap) }

const (
	// gapRows is how many rows a histogram has at most, and gapBar how long its longest bar is.
	gapRows = 12
	gapBar  = 50
)

// String tells each kind's numbers, and a histogram.
func (g gaps) String() string {
	var b strings.Builder
	kinds := make([]string, 0, len(g))
	for what := range g { // sorted next
		kinds = append(kinds, what)
	}
	slices.Sort(kinds)
	for _, what := range kinds {
		all := slices.Sorted(slices.Values(g[what]))
		fmt.Fprintf(&b, "%s: %d gaps, min %v, median %v, p90 %v, max %v\n", what, len(all), seconds(all[0]), seconds(quantile(all, 0.5)), seconds(quantile(all, 0.9)), seconds(all[len(all)-1]))
		histogram(&b, all)
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }

// quantile returns the least of what is sorted that a share of all does not exceed.
func quantile(all []time.Duration, share float64) time.Duration {
	return all[max(0, int(math.Ceil(share*float64(len(all))))-1)]
}

// histogram writes a row for each step from the least to the greatest of what is sorted.
func histogram(b *strings.Builder, all []time.Duration) {
	step := rowStep(all[len(all)-1] - all[0])
	first := all[0].Truncate(step)
	counts := make([]int, (all[len(all)-1]-first)/step+1)
	for _, d := range all {
		counts[(d-first)/step]++
	}
	for i, n := range counts {
		from := first + time.Duration(i)*step
		bar := strings.Repeat("#", (n*gapBar+slices.Max(counts)-1)/slices.Max(counts))
		fmt.Fprintln(b, strings.TrimRight(fmt.Sprintf("  %8s to %8s %5d %s", seconds(from), seconds(from+step), n, bar), " "))
	}
}

// rowStep returns the least round step of which a span has fewer than gapRows.
func rowStep(span time.Duration) time.Duration {
	for ten := 10 * time.Millisecond; ; ten *= 10 {
		for _, step := range []time.Duration{ten, 2 * ten, 5 * ten} {
			if span/step < gapRows-1 {
				return step
			}
		}
	}
}

// gapsVariable names a file to which the gaps are added.
const gapsVariable = "FRAY_LEADER_GAPS"

// tell logs the gaps, and adds them to the file that is asked for.
func (g gaps) tell(t *testing.T) {
	t.Helper()
	t.Logf("from each fault until a call is answered:\n%v", g)
	path := os.Getenv(gapsVariable)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, fs.FileMode(0o644))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(g.String())
	if err := errors.Join(err, f.Close()); err != nil {
		t.Error(err)
	}
}

func TestGaps(t *testing.T) {
	t.Parallel()
	g := gaps{}
	for _, gap := range []string{"3s", "3.12s", "3.049s", "3.05s", "4.99s"} {
		d, err := time.ParseDuration(gap)
		if err != nil {
			t.Fatal(err)
		}
		g.add("killed", d)
	}
	g.add("paused", 10*time.Second)
	want := `killed: 5 gaps, min 3.00s, median 3.05s, p90 4.99s, max 4.99s
     3.00s to    3.20s     4 ##################################################
     3.20s to    3.40s     0
     3.40s to    3.60s     0
     3.60s to    3.80s     0
     3.80s to    4.00s     0
     4.00s to    4.20s     0
     4.20s to    4.40s     0
     4.40s to    4.60s     0
     4.60s to    4.80s     0
     4.80s to    5.00s     1 #############
paused: 1 gaps, min 10.00s, median 10.00s, p90 10.00s, max 10.00s
    10.00s to   10.01s     1 ##################################################
`
	if got := g.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
