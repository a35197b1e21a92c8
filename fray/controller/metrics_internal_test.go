package controller

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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

func TestDepthsAreShown(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	_, err := newMetrics(registry, func() (core.InfoReply, bool) {
		return core.InfoReply{Functions: []core.FunctionDepth{{Function: "a", Ready: 5}, {Function: otherFunctions, Ready: 3}, {Function: "b"}}, OtherFunctions: 4}, true
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `
# HELP fray_function_ready_tasks Tasks that wait for nothing but a slot, by function: those with the most apart, all others together.
# TYPE fray_function_ready_tasks gauge
fray_function_ready_tasks{function="(others)"} 7
fray_function_ready_tasks{function="a"} 5
fray_function_ready_tasks{function="b"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "fray_function_ready_tasks"); err != nil {
		t.Error(err)
	}
}

func TestExpiredSessionsAreLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	c := &Controller{cfg: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	c.tellExpired(nil)
	if log.Len() > 0 {
		t.Errorf("without any: %s", log.String())
	}
	var notes []core.ExpiredNote
	for i := range maxExpiredTold + 3 {
		notes = append(notes, core.ExpiredNote{Worker: fmt.Sprint("w", i), Silent: 16 * time.Second, Attempts: 2})
	}
	c.tellExpired(notes)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != maxExpiredTold+1 {
		t.Fatalf("%d lines tell of %d sessions", len(lines), len(notes))
	}
	for i, want := range map[int]string{
		0:              "level=WARN msg=\"a worker's session expired: its attempts are taken from it\" worker_id=w0 silent=16s attempts=2",
		maxExpiredTold: "workers=3 attempts=6",
	} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %s, want %s in it", i, lines[i], want)
		}
	}
}
