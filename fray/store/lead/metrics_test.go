package lead_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/lead/leadtest"
)

// gather returns the value of each metric, by name or name{label}; of a histogram the number of
// observations, and as its sum what they add up to.
func gather(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "{" + l.GetValue() + "}"
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if h := m.GetHistogram(); h != nil {
				values[name+" sum"] = h.GetSampleSum()
			}
		}
	}
	return values
}

func wantMetrics(t *testing.T, g prometheus.Gatherer, want map[string]float64) {
	t.Helper()
	got := gather(t, g)
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, value)
		}
	}
}

func newMetrics(t *testing.T) (*lead.Metrics, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	m, err := lead.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	return m, registry
}

// Each thing that can become of a commit is counted as what it is.
func TestCommitsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		metrics, registry := newMetrics(t)
		d := m.Client()
		var before, after error
		d.Before = func(_ context.Context, call leadtest.Call) (err error) {
			if call == leadtest.Commit {
				time.Sleep(time.Second)
				err, before = before, nil
			}
			return err
		}
		d.After = func(_ context.Context, call leadtest.Call) (err error) {
			if call == leadtest.Commit {
				err, after = after, nil
			}
			return err
		}
		term, err := lead.Stand(t.Context(), lead.Config{Database: d, Holder: lead.Holder{ID: "a"}, Metrics: metrics})
		if err != nil {
			t.Fatal(err)
		}
		commit := func(name string, failsBefore, failsAfter error) {
			before, after = failsBefore, failsAfter
			was := gather(t, registry)["fray_database_commits_total{"+name+"}"]
			_ = term.Commit(batch(1, "12345")) // Its error is not what this is about.
			wantMetrics(t, registry, map[string]float64{"fray_database_commits_total{" + name + "}": was + 1})
		}
		commit("made", nil, nil)
		commit("found_made", nil, leadtest.ErrCut)
		commit("found_missing", leadtest.ErrCut, nil)
		commit("full", fmt.Errorf("%w: no room", store.ErrFull), nil)
		commit("refused", fmt.Errorf("%w: never", lead.ErrRefused), nil)
		if err := term.Prove(); err != nil {
			t.Error(err)
		}
		wantMetrics(t, registry, map[string]float64{
			"fray_database_commits_total{made}": 4, "fray_database_commits_total{found_made}": 1,
			"fray_database_commits_total{replaced}": 0, "fray_database_commits_total{unknown}": 0,
			"fray_database_commit_seconds": 5, "fray_database_commit_bytes_total": 4 * 5,
		})
		if sum := gather(t, registry)["fray_database_commit_seconds sum"]; sum < 7 || sum > 8 { // Two took two tries.
			t.Errorf("commits of 7 seconds and some pauses took %v", sum)
		}
		if err := m.Client().Take(t.Context(), m.Seat(), lead.Holder{ID: "b"}); err != nil {
			t.Fatal(err)
		}
		commit("replaced", nil, nil)
		if err := term.Close(); !errors.Is(err, lead.ErrLost) {
			t.Error(err)
		}
	})
}

// A commit whose outcome nobody finds out is counted, too.
func TestCommitThatStaysUnknownIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		metrics, registry := newMetrics(t)
		d := m.Client()
		d.Before = func(_ context.Context, call leadtest.Call) error {
			if call != leadtest.Commit {
				return nil
			}
			return errors.Join(leadtest.ErrCut, m.Client().Take(t.Context(), m.Seat(), lead.Holder{ID: "b"}))
		}
		term, err := lead.Stand(t.Context(), lead.Config{Database: d, Holder: lead.Holder{ID: "a"}, Metrics: metrics})
		if err != nil {
			t.Fatal(err)
		}
		if err := term.Commit(batch(1, "v")); !errors.Is(err, lead.ErrLost) {
			t.Errorf("commit: %v", err)
		}
		wantMetrics(t, registry, map[string]float64{"fray_database_commits_total{unknown}": 1, "fray_database_commit_seconds": 0})
		_ = term.Close()
	})
}

// Looks are counted by whether there was an answer, and how long there was none is shown, to who
// stands by as to who leads.
func TestSilenceIsShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		metrics, registry := newMetrics(t)
		d := m.Client()
		var cut atomic.Bool
		d.Before = func(context.Context, leadtest.Call) error {
			if cut.Load() {
				return leadtest.ErrCut
			}
			return nil
		}
		leads := stand(t, m.Client(), "a")
		ctx, cancel := context.WithCancel(t.Context())
		led := make(chan *lead.Term, 1)
		go func() {
			term, _ := lead.Stand(ctx, lead.Config{Database: d, Holder: lead.Holder{ID: "b"}, Metrics: metrics})
			led <- term
		}()
		silence := func(least, most time.Duration) {
			t.Helper()
			synctest.Wait()
			if s := gather(t, registry)["fray_database_silent_seconds"]; s < least.Seconds() || s > most.Seconds() {
				t.Errorf("the database was silent for %v s, want %v to %v", s, least, most)
			}
		}
		time.Sleep(10 * lead.DefaultBeat)
		silence(0, lead.DefaultBeat)
		wantMetrics(t, registry, map[string]float64{"fray_standby_looks_total{answered}": 11, "fray_standby_looks_total{unanswered}": 0})
		cut.Store(true)
		time.Sleep(10 * lead.DefaultBeat)
		silence(9*lead.DefaultBeat, 11*lead.DefaultBeat)
		wantMetrics(t, registry, map[string]float64{"fray_standby_looks_total{answered}": 11, "fray_standby_looks_total{unanswered}": 10})
		cut.Store(false)
		if err := leads.Leave(); err != nil {
			t.Fatal(err)
		}
		term := <-led
		time.Sleep(10 * lead.DefaultBeat)
		silence(0, 2*lead.DefaultBeat)
		cut.Store(true)
		time.Sleep(4 * lead.DefaultBeat)
		silence(3*lead.DefaultBeat, 6*lead.DefaultBeat)
		cancel()
		_ = term.Close()
	})
}

// Names that are taken are said, and without a registerer there are no metrics.
func TestMetricsThatAreTaken(t *testing.T) {
	t.Parallel()
	_, registry := newMetrics(t)
	if _, err := lead.NewMetrics(registry); err == nil {
		t.Error("they are registered twice")
	}
	if _, err := lead.NewMetrics(nil); err != nil {
		t.Error(err)
	}
}
