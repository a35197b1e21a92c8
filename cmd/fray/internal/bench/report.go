package bench

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/stamp"
)

// A Report is what a run came to.
type Report struct {
	Fray    stamp.Stamp `json:"fray"`
	Machine Machine     `json:"machine"`
	// Cluster says what ran the tasks, in the words of who started the run.
	Cluster map[string]string `json:"cluster"`
	Plan    Plan              `json:"plan"`
	Begun   time.Time         `json:"begun"`
	Ended   time.Time         `json:"ended"`
	// Interrupted says that not all was measured.
	Interrupted bool `json:"interrupted"`
	// Notes are what the reader has to know besides.
	Notes []string `json:"notes,omitempty"`
	Rows  []*Row   `json:"rows"`
}

// A Row is one figure of a workload.
type Row struct {
	Name     string `json:"name"`
	Workload string `json:"workload"`
	Unit     string `json:"unit"`
	// IsLimit is whether the row is what others are compared with.
	IsLimit bool `json:"is_limit,omitempty"`
	// Runs are the repetitions, in their order.
	Runs []Figure `json:"runs"`
	// Median, Least and Most are of the values of the repetitions.
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	// Latency is of all repetitions together; nil: only the whole was timed.
	Latency *Latency `json:"latency,omitempty"`
	// Limit is what the row is compared with; nil: nothing that was measured.
	Limit *Limit `json:"limit,omitempty"`
	// Cost has what each task took of the parts of the cluster, as the median of the repetitions.
	Cost map[string]float64 `json:"cost,omitempty"`

	timings *timings
	costs   []map[string]float64
}

// A Figure is what one repetition came to.
type Figure struct {
	Value float64 `json:"value"`
	// Count is how many tasks, or others, took Seconds together.
	Count   int     `json:"count"`
	Seconds float64 `json:"seconds"`
	// Of the timings of this repetition; 0: there are none.
	P50 int64 `json:"p50_ns,omitempty"`
	P90 int64 `json:"p90_ns,omitempty"`
	P99 int64 `json:"p99_ns,omitempty"`
	Max int64 `json:"max_ns,omitempty"`
}

// A Limit is what a row could come to at most, if what stands behind the limit took all of the time.
type Limit struct {
	Row   string  `json:"row"`
	Value float64 `json:"value"`
	// Ratio is the row's median to Value. Tasks that go many to a call can exceed a limit of calls.
	Ratio float64 `json:"ratio"`
}

// sample is what a workload notes of one repetition.
type sample struct {
	count   int
	took    time.Duration
	value   float64 // 0: the rate
	ideal   float64 // 0: there is none
	latency *timings
	cost    map[string]float64
	unit    string // empty: that of the workload
}

func newReport(c *Config) *Report {
	return &Report{Fray: stamp.Read(), Machine: machine(), Plan: c.Plan, Begun: time.Now(), Cluster: map[string]string{}, Rows: []*Row{}}
}

// add notes a sample. One of nothing, as an interrupt may leave it, is none.
func (r *Report) add(w *Workload, name string, s sample) {
	if s.count == 0 || s.took <= 0 {
		return
	}
	i := slices.IndexFunc(r.Rows, func(row *Row) bool { return row.Name == name })
	if i < 0 {
		i = len(r.Rows)
		r.Rows = append(r.Rows, &Row{Name: name, Workload: w.Name, Unit: cmp.Or(s.unit, w.Unit), IsLimit: w.Limit})
	}
	row := r.Rows[i]
	f := Figure{Count: s.count, Seconds: s.took.Seconds(), Value: s.value}
	if f.Value == 0 && !slices.Contains([]string{unitQueued, unitShare, unitMemory}, row.Unit) {
		f.Value = float64(s.count) / s.took.Seconds()
	}
	if s.latency != nil {
		l := s.latency.latency()
		f.P50, f.P90, f.P99, f.Max = l.P50, l.P90, l.P99, l.Max
		if row.timings == nil {
			row.timings = newTimings()
		}
		row.timings.merge(s.latency)
	}
	if s.ideal > 0 {
		row.Limit = &Limit{Row: idealRow, Value: s.ideal}
	}
	if s.cost != nil {
		row.costs = append(row.costs, s.cost)
	}
	row.Runs = append(row.Runs, f)
}

// idealRow is the limit of tasks that take their time: that all slots are busy all the time.
const idealRow = "ideal"

// settle makes of the repetitions what the rows say.
func (r *Report) settle() {
	r.Ended = time.Now()
	r.Machine.LoadAfter = load()
	for _, row := range r.Rows {
		values := make([]float64, len(row.Runs))
		for i, f := range row.Runs {
			values[i] = f.Value
		}
		row.Median, row.Least, row.Most = median(values), slices.Min(values), slices.Max(values)
		if row.timings != nil {
			row.Latency = row.timings.latency()
		}
		row.Cost = medians(row.costs)
	}
	for _, row := range r.Rows {
		r.compare(row)
	}
}

// limits are what rows are compared with: that of these which holds them back most. The name of a row
// ends where a slash does.
var limits = []struct{ row, limit string }{
	{"batch", "http/16"},
	{"run/1", "http/1"},
	{"run", "http/16"},
	{"call/1", "http/1"},
	{"call/1", "fsync"},
	{"call", "http/16"},
	{"payload", "copy"},
	{"http", "tcp"},
}

// compare finds the limit of a row among those that were measured. Of two entries for one row the
// longer name counts.
func (r *Report) compare(row *Row) {
	best := ""
	for _, l := range limits {
		if (row.Name == l.row || strings.HasPrefix(row.Name, l.row+"/")) && len(l.row) > len(best) {
			best = l.row
		}
	}
	for _, l := range limits {
		if l.row != best {
			continue
		}
		for _, limit := range r.Rows {
			if limit.Name == l.limit && (row.Limit == nil || limit.Median < row.Limit.Value) {
				row.Limit = &Limit{Row: limit.Name, Value: limit.Median}
			}
		}
	}
	if row.Limit != nil && row.Limit.Value > 0 {
		row.Limit.Ratio = row.Median / row.Limit.Value
	}
}

// median returns that of values, of which there is one at least.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// medians returns the median of each figure.
func medians(costs []map[string]float64) map[string]float64 {
	values := make(map[string][]float64)
	for _, cost := range costs {
		for name, v := range cost {
			values[name] = append(values[name], v)
		}
	}
	if len(values) == 0 {
		return nil
	}
	all := make(map[string]float64, len(values))
	for name, v := range values {
		all[name] = median(v)
	}
	return all
}

// sortedCluster are the lines about the cluster.
func (r *Report) sortedCluster() (lines [][2]string) {
	for _, name := range slices.Sorted(maps.Keys(r.Cluster)) {
		lines = append(lines, [2]string{name, cmp.Or(r.Cluster[name], "-")})
	}
	return lines
}
