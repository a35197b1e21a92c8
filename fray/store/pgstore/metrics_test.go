package pgstore_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/store/pgstore"
)

// gather returns the value of each metric, by name or name{label}.
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
			values[name] = m.GetGauge().GetValue()
		}
	}
	return values
}

// Connections are shown as in use while something is asked by them, and idle afterwards, until the
// database is closed.
func TestConnectionsAreShown(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	url := newURL(t)
	d, err := pgstore.Open(t.Context(), pgstore.Config{URL: url, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	const used, idle, most = "fray_database_connections{in_use}", "fray_database_connections{idle}", "fray_database_max_connections"
	got := gather(t, registry)
	if got[used] != 0 || got[idle] != 1 || got[most] != 8 || len(got) != 3 {
		t.Errorf("at rest: %v", got)
	}
	term := stand(t, d, "a")
	if err := term.Commit(batchOf(1, 2)); err != nil {
		t.Fatal(err)
	}
	asked := 0.0
	if err := term.Scan(key(0).Kind, 0, func(uint64, []byte) error {
		asked = gather(t, registry)[used]
		return nil
	}); err != nil || asked < 1 {
		t.Errorf("while something is read %v are in use, %v", asked, err)
	}
	if _, err := pgstore.Open(t.Context(), pgstore.Config{URL: url, Registerer: registry}); err == nil {
		t.Error("two databases show their metrics under the same names")
	}
	if err := term.Leave(); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if left := gather(t, registry); len(left) > 0 {
		t.Errorf("a closed database shows %v", left)
	}
}
