package controller

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/frayrpc/fray/fray/core"
)

func TestMetricsNameSoManyFunctions(t *testing.T) {
	t.Parallel()
	m, err := newMetrics(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ends := []core.AttemptEnd{core.EndLeased, core.EndUndelivered, core.EndReturned}
	for i := range 2 * maxNamed {
		for _, end := range ends {
			m.observe([]core.AttemptNote{{Function: fmt.Sprint("f", i), End: end}})
		}
	}
	if n := testutil.CollectAndCount(m.queue); n != maxNamed+1 {
		t.Errorf("%d functions have labels of their own", n)
	}
	if n := testutil.CollectAndCount(m.attempts); n != 2*(maxNamed+1) {
		t.Errorf("%d counters of attempts", n)
	}
	if n := testutil.ToFloat64(m.attempts.WithLabelValues(otherFunctions, core.EndReturned.String())); n != maxNamed {
		t.Errorf("%v attempts of other functions", n)
	}
	if n := len(m.functions); n > len(ends)*(maxNamed+1) {
		t.Errorf("%d are looked up", n)
	}
}
