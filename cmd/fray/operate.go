package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// workerJSON is a worker as -o json writes it.
type workerJSON struct {
	WorkerID       string            `json:"worker_id"`
	URL            string            `json:"url,omitempty"`
	Slots          uint32            `json:"slots"`
	Held           uint32            `json:"held"`
	Resources      map[string]int64  `json:"resources,omitempty"`
	ResourcesInUse map[string]int64  `json:"resources_in_use,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	Functions      []string          `json:"functions"`
	Draining       bool              `json:"draining"`
	BackedOffMs    int64             `json:"backed_off_ms"`
	SetAside       bool              `json:"set_aside"`
	RegisteredAt   *string           `json:"registered_at"`
	HeartbeatAt    *string           `json:"last_heartbeat_at"`
}

func (a *app) newWorkers() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workers",
		Short: "List workers",
		Long:  "List the workers that have a session with the controller. With -o json, each is an object on a line of its own.",
		Args:  noArgs,
		RunE:  a.calling(a.listWorkers),
	}
	a.addClientFlags(cmd)
	a.addOutputFlag(cmd)
	return cmd
}

// workersOf returns all workers that have a session, page by page.
func workersOf(ctx context.Context, c *client) (all []*frayv1.Worker, err error) {
	for token := ""; ; {
		res, err := ask(ctx, c, c.ListWorkers, &frayv1.ListWorkersRequest{PageToken: token})
		if err != nil {
			return nil, err
		}
		all = append(all, res.GetWorkers()...)
		if token = res.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

func (a *app) listWorkers(ctx context.Context, c *client, _ []string) error {
	all, err := workersOf(ctx, c)
	if err != nil {
		return err
	}
	header := []string{"worker", "state", "slots", "held", "resources in use", "labels", "functions", "url", "registered", "heartbeat"}
	workers := &listing{app: a, header: header}
	for _, w := range all {
		err := workers.add(workerRow(w), workerJSON{
			WorkerID: w.GetWorkerId(), URL: w.GetAdvertiseUrl(), Slots: w.GetSlots(), Held: w.GetHeldCount(),
			Resources: w.GetResources(), ResourcesInUse: w.GetResourcesInUse(), Labels: w.GetLabels(), Functions: w.GetFunctions(),
			Draining: w.GetDraining(), BackedOffMs: w.GetBackedOffMs(), SetAside: w.GetSetAside(),
			RegisteredAt: timestamp(w.GetRegisteredUnixMs()), HeartbeatAt: timestamp(w.GetLastHeartbeatUnixMs()),
		})
		if err != nil {
			return err
		}
	}
	workers.end("no workers")
	return nil
}

func workerRow(w *frayv1.Worker) []string {
	state := "ready"
	switch {
	case w.GetDraining():
		state = "draining"
	case w.GetBackedOffMs() > 0:
		state = "backed off for " + roughly(number.FromMillis(w.GetBackedOffMs()))
	case w.GetSetAside():
		state = "set aside"
	}
	var inUse []string
	for _, name := range slices.Sorted(maps.Keys(w.GetResources())) {
		inUse = append(inUse, fmt.Sprintf("%s %d/%d", name, w.GetResourcesInUse()[name], w.GetResources()[name]))
	}
	row := []string{
		w.GetWorkerId(), state, strconv.Itoa(int(w.GetSlots())), strconv.Itoa(int(w.GetHeldCount())), strings.Join(inUse, ","), command.PairList(w.GetLabels()),
		shortList(w.GetFunctions()), w.GetAdvertiseUrl(), ago(w.GetRegisteredUnixMs()), ago(w.GetLastHeartbeatUnixMs()),
	}
	for i := range row {
		row[i] = cmp.Or(row[i], "-")
	}
	return row
}

// shortList is the first few names of a list.
func shortList(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ",")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ","), len(names)-shown)
}

func (a *app) newDrain() *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "drain WORKER",
		Short: "Have a worker end what it runs, and leave",
		Long: `Have a worker take no new tasks, end those that it runs, and leave; its process exits with 0. What still runs
after the grace is stopped, and other workers start it again.`,
		Args: oneArg("worker id"),
		RunE: a.calling(func(ctx context.Context, c *client, args []string) error {
			ms := number.Millis(grace)
			if _, err := ask(ctx, c, c.DrainWorker, &frayv1.DrainWorkerRequest{WorkerId: args[0], GraceMs: &ms}); err != nil {
				return err
			}
			if a.output == formatJSON {
				return printJSON(a.Stdout, struct {
					WorkerID string `json:"worker_id"`
					GraceMs  int64  `json:"grace_ms"`
				}{args[0], ms})
			}
			fmt.Fprintf(a.Stdout, "%s drains, within %s\n", args[0], number.ShortDuration(grace))
			return nil
		}),
	}
	a.addClientFlags(cmd)
	command.DurationWithin(cmd.Flags(), &grace, 0, limit.Drain, "grace", 30*time.Second, "how long running tasks may go on")
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) newCluster() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Count tasks and workers",
		Args:  noArgs,
		RunE:  a.calling(a.cluster),
	}
	a.addClientFlags(cmd)
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) cluster(ctx context.Context, c *client, _ []string) error {
	info, err := ask(ctx, c, c.GetClusterInfo, &frayv1.GetClusterInfoRequest{})
	if err != nil {
		return err
	}
	if a.output == formatJSON {
		return printJSON(a.Stdout, struct {
			Version          string            `json:"version"`
			Incarnation      uint64            `json:"controller_incarnation"`
			StartedAt        *string           `json:"started_at"`
			Workers          uint32            `json:"workers"`
			Slots            uint32            `json:"slots"`
			Tasks            map[string]uint64 `json:"tasks"`
			QueuedBytes      uint64            `json:"queued_bytes"`
			OldestReadyAgeMs int64             `json:"oldest_ready_age_ms"`
			Durability       string            `json:"durability"`
		}{
			info.GetVersion(), info.GetControllerIncarnation(), timestamp(info.GetStartedUnixMs()), info.GetWorkerCount(), info.GetSlotCount(),
			info.GetTaskCounts(), info.GetQueuedBytes(), info.GetOldestReadyAgeMs(), info.GetDurability(),
		})
	}
	var tasks []string
	for _, status := range statusChoices {
		tasks = append(tasks, fmt.Sprintf("%d %s", info.GetTaskCounts()[strings.ToUpper(status)], status))
	}
	printDetails(a.Stdout, [][2]string{
		{"Controller", fmt.Sprintf("%s, version %s, started %s", c.url, info.GetVersion(), ago(info.GetStartedUnixMs()))},
		{"Durability", describeDurability(info.GetDurability())},
		{"Workers", fmt.Sprintf("%d with %s", info.GetWorkerCount(), wording.Count(uint64(info.GetSlotCount()), "slot"))},
		{"Tasks", strings.Join(tasks, ", ")},
		{"Queued", byteSize(info.GetQueuedBytes())},
		{"Longest wait", roughly(number.FromMillis(info.GetOldestReadyAgeMs()))},
	})
	return nil
}

// describeDurability says what a controller's death costs.
func describeDurability(d string) string {
	switch d {
	case store.None.String():
		return "none: tasks and results are in memory, and end with the controller's process"
	case store.Relaxed.String():
		return fmt.Sprintf("relaxed: a crash takes what was acknowledged in the last %s", roughly(pebblestore.RelaxedInterval))
	case store.Sync.String():
		return "sync: what is acknowledged is on the disk"
	default:
		return d
	}
}
