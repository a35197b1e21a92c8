package integration_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/integration/tasks"
)

// killsVariable says how often the controller is killed. make kills sets it.
const killsVariable = "FRAY_KILLS"

// The controller is killed at random moments under load, and started again on the same directory.
// What it has acknowledged it knows for ever, and nobody is told two ends of one task.
func TestControllerIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	kills := killsOr(t, 8)
	const clients, batch = 8, 25
	c := newCluster(t, "--listen", "127.0.0.1:"+freePort(t), "--data-dir", t.TempDir())
	for i := range 3 {
		c.worker("w"+strconv.Itoa(i), "--slots", "4")
	}
	first := c.incarnation()
	l, stop := startKillLoad(t, c, clients, batch)
	defer stop()
	for range kills {
		// All are back before it dies again, or nobody would be there in most of its lives.
		before := l.heard()
		eventually(t, "clients are told results", func() bool { return l.heard() >= before+clients*batch })
		outage(t, 20*time.Millisecond+time.Duration(rand.Int64N(int64(300*time.Millisecond))))
		c.controller.kill()
		c.reborn()
	}
	stop()
	l.wait.Wait()
	if got := c.incarnation() - first; got != uint64(kills) { // A small count.
		t.Errorf("the incarnation has risen by %d in %d kills", got, kills)
	}
	l.judge(c, kills)
}

// killsOr returns how often to kill.
func killsOr(t *testing.T, kills int) int {
	t.Helper()
	v := os.Getenv(killsVariable)
	if v == "" {
		return kills
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", killsVariable, err)
	}
	return n
}

// incarnation is the controller's.
func (c *cluster) incarnation() uint64 {
	c.t.Helper()
	info, err := c.GetClusterInfo(c.context(), &frayv1.GetClusterInfoRequest{})
	if err != nil {
		c.t.Fatal(err)
	}
	return info.GetControllerIncarnation()
}

// newLastingClient is newClient without a deadline: how long the kills take is up to their number.
func newLastingClient(t *testing.T, url string) context.Context {
	t.Helper()
	jc, err := fray.NewJobContext(context.WithoutCancel(t.Context()), fray.KindFray, append(asClient(), fray.WithControllerAddress(url))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := jc.Close(); err != nil {
			t.Error(err)
		}
	})
	return fray.NewContext(t.Context(), jc)
}

// killLoad is what clients ask for, and what they are told.
type killLoad struct {
	t      *testing.T
	ledger string
	wait   sync.WaitGroup

	mu      sync.Mutex
	results map[string]string // by task: all were acknowledged
}

// startKillLoad has clients submit batches until it is stopped.
func startKillLoad(t *testing.T, c *cluster, clients, batch int) (*killLoad, context.CancelFunc) {
	t.Helper()
	l := &killLoad{t: t, ledger: c.path("ledger"), results: map[string]string{}}
	submitting, stop := context.WithCancel(t.Context())
	for i := range clients {
		ctx := newLastingClient(t, c.url())
		l.wait.Go(func() { l.submit(ctx, submitting.Done(), batch, "c"+strconv.Itoa(i)) })
	}
	return l, stop
}

// heard counts the results that clients were told.
func (l *killLoad) heard() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.results)
}

// submit runs batch after batch until it is to stop, and sees each to its end.
func (l *killLoad) submit(ctx context.Context, stop <-chan struct{}, batch int, name string) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		ins := make([]tasks.Draw, batch)
		for i := range ins {
			ins[i] = tasks.Draw{Ledger: l.ledger, For: time.Duration(rand.Int64N(int64(20 * time.Millisecond)))}
		}
		// More worker losses than kills: it is not the budget that is looked at.
		futures, err := tasks.Drawn.RunAll(ctx, ins, fray.WithTaskID(name+"."+strconv.Itoa(n)), fray.WithMaxWorkerLosses(1000))
		if err != nil {
			l.t.Errorf("submit: %v", err)
			return
		}
		for _, f := range futures {
			v, err := f.Get(ctx)
			if err != nil {
				l.t.Errorf("task %s, which was acknowledged: %v", f.ID(), err)
			}
			l.mu.Lock()
			l.results[f.ID()] = v
			l.mu.Unlock()
		}
	}
}

// judge asks for every task once more.
func (l *killLoad) judge(c *cluster, kills int) {
	t := l.t
	executed := map[string]int{}
	drawn := map[string]bool{}
	for _, e := range c.ledger(l.ledger) {
		executed[e.Task]++
		drawn[e.Task+" "+e.Event] = true
	}
	var lost, open, twice, invented, again int
	for id, told := range l.results {
		res, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: id})
		switch {
		case connect.CodeOf(err) == connect.CodeNotFound:
			lost++
			continue
		case err != nil:
			t.Fatalf("read %s: %v", id, err)
		}
		r := res.GetResult()
		switch {
		case r.GetTask().GetStatus() != frayv1.TaskStatus_TASK_STATUS_COMPLETED:
			open++
		case string(r.GetValue().GetData()) != strconv.Quote(told):
			twice++
		case !drawn[id+" "+told]:
			invented++
		}
		again += executed[id] - 1
	}
	t.Logf("%d kills: %d tasks acknowledged, %d lost, %d not completed, %d with two results, %d with a result of no execution; %d executions repeated",
		kills, len(l.results), lost, open, twice, invented, again)
	if lost+open+twice+invented > 0 {
		t.Error("the controller did not keep what it had acknowledged")
	}
}
