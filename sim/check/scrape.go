package check

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Scrape adds the counters and gauges of a process's metrics to those of others, by name and labels
// as in the text format, for Oracles.Metrics.
func Scrape(into map[string]float64, from prometheus.Gatherer) error {
	families, err := from.Gather()
	if err != nil {
		return fmt.Errorf("gather metrics: %w", err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() { // Sorted by name.
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.GetCounter() != nil:
				into[name] += m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				into[name] += m.GetGauge().GetValue()
			}
		}
	}
	return nil
}
