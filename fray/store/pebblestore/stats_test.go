package pebblestore_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

func TestStats(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := open(t, pebblestore.Config{Dir: "data", FS: vfs.NewMem(), Registerer: registry})
	const commits, size = 10, 1000
	before := s.Stats()
	for n := range uint64(commits) {
		commit(t, s, func(b *store.Batch) {
			b.Set(key(n), make([]byte, size))
			b.Delete(key(n + 1))
		})
	}
	after := s.Stats()
	if after.Commits != commits || after.Records != 2*commits || after.CommitBytes < commits*size {
		t.Errorf("after %d commits: %+v", commits, after)
	}
	if syncs := after.Syncs - before.Syncs; syncs != commits {
		t.Errorf("%d commits took %d fsyncs", commits, syncs)
	}
	if after.WrittenBytes-before.WrittenBytes < commits*size {
		t.Errorf("%d bytes were written", after.WrittenBytes-before.WrittenBytes)
	}
	if used, err := s.DiskUsage(); err != nil || used == 0 {
		t.Errorf("disk usage: %d, %v", used, err)
	}
	shown := gather(t, registry)
	for name, want := range map[string]float64{
		"fray_store_commits_total": float64(after.Commits), "fray_store_records_total": float64(after.Records),
		"fray_store_commit_bytes_total": float64(after.CommitBytes), "fray_store_sync_seconds": float64(after.Syncs),
		"fray_store_stalls_total": 0, "fray_store_full": 0,
	} {
		if got, ok := shown[name]; !ok || got != want {
			t.Errorf("%s is %v (there: %v), want %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"fray_store_disk_bytes", "fray_store_written_bytes_total"} {
		if shown[name] <= 0 {
			t.Errorf("%s is %v", name, shown[name])
		}
	}
	closeStore(t, s)
	if left := gather(t, registry); len(left) > 0 {
		t.Errorf("a closed store shows %v", left)
	}
	if _, err := s.DiskUsage(); err == nil {
		t.Error("disk usage of a closed store is no error")
	}
}

// gather returns the value of each metric, and of a histogram the number of observations.
func gather(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func TestMetricsThatAreTaken(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	fs := vfs.NewMem()
	s := open(t, pebblestore.Config{Dir: "one", FS: fs, Registerer: registry})
	defer closeStore(t, s)
	if _, err := pebblestore.Open(pebblestore.Config{Dir: "two", FS: fs, Registerer: registry}); err == nil {
		t.Fatal("two stores show their metrics under the same names")
	}
	closeStore(t, open(t, pebblestore.Config{Dir: "two", FS: fs})) // The refused one has let go of it.
}
