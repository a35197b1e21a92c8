package bench

import (
	"context"
	"fmt"
	"slices"

	"github.com/frayrpc/fray/internal/spelling"
)

// A Workload is one thing to measure.
type Workload struct {
	Name string
	// Does says what it does.
	Does string
	// Unit is that of its rows.
	Unit string
	// Limit is whether it runs no tasks, but measures what those of others are compared with.
	Limit bool
	// Own is whether it has controllers and workers of its own, many of them, and so runs only where it
	// is named.
	Own bool

	run func(ctx context.Context, m *meter) error
}

// All are the workloads, in the order in which they run and are shown.
var All = []Workload{
	{Name: "batch", Unit: unitTasks, Does: "N tasks with 64 bytes in one RunAll, and their results; batch/submit is RunAll alone", run: batch},
	{Name: "run", Unit: unitTasks, Does: "N tasks by Run of C goroutines, then Get; how long Run took", run: runs},
	{Name: "call", Unit: unitTasks, Does: "Call of C goroutines, one task after the other", run: calls},
	{Name: "fanout", Unit: unitTasks, Does: "tasks that take 10 ms, as many as all slots can run; compared with their ideal rate", run: fanout},
	{Name: "payload", Unit: unitBytes, Does: "Call of 4 goroutines with large inputs that come back; counted once", run: payload},
	{Name: "queue", Unit: unitQueued, Does: "tasks that no worker has: how much the controller grows; queue/heap is its Go heap alone", run: queue},
	{Name: "fleet", Unit: unitTasks, Own: true, Does: "fanout's tasks on W worker processes with 4 slots each, at a controller of their own", run: fleets},
	{Name: "idle", Unit: unitShare, Own: true, Does: "the CPU time of a controller whose I workers have nothing to do, in percent of one core", run: idle},
	{Name: "objects", Unit: unitBytes, Own: true, Does: "one object put, read by a task that puts another, and got; objects/controller and /worker are their memory above idle", run: objects},
	{Name: "tcp", Unit: unitTrips, Limit: true, Does: "64 bytes over one TCP connection to another process and back", run: tcpTrips},
	{Name: "http", Unit: unitTrips, Limit: true, Does: "Connect's unary call with 64 bytes over HTTP/1.1 to another process, of 1 and 16 goroutines", run: httpTrips},
	{Name: "copy", Unit: unitBytes, Limit: true, Does: "as much as payload's inputs over 4 TCP connections to another process and back; counted once", run: copies},
	{Name: "fsync", Unit: unitSyncs, Limit: true, Does: "4 KiB appended to a file in the data directory and fdatasync", run: syncs},
}

// Units of rows.
const (
	unitTasks  = "tasks/s"
	unitBytes  = "MB/s" // 1,000,000 bytes
	unitTrips  = "trips/s"
	unitSyncs  = "syncs/s"
	unitQueued = "B/task"
	unitShare  = "%core"
	unitMemory = "MiB"
)

// Choose returns the workloads with these names, in the order of All. Without names they are those
// that run tasks on the run's workers; limits has those that measure limits as well.
func Choose(names []string, limits bool) ([]Workload, error) {
	known := make([]string, len(All))
	for i, w := range All {
		known[i] = w.Name
	}
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		hint := ""
		if near := spelling.Nearest(name, known); near != "" {
			hint = fmt.Sprintf(": did you mean %q?", near)
		}
		return nil, fmt.Errorf("unknown workload %q%s", name, hint)
	}
	var chosen []Workload
	for _, w := range All {
		if slices.Contains(names, w.Name) || (w.Limit && limits) || (!w.Limit && !w.Own && len(names) == 0) {
			chosen = append(chosen, w)
		}
	}
	return chosen, nil
}
