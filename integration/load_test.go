package integration_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/integration/tasks"
)

const (
	// loadClients submit loadBatch tasks at a time, and wait for them, again and again.
	loadClients = 8
	loadBatch   = 25
	// loadTask bounds how long a task takes.
	loadTask = 20 * time.Millisecond
	// lookers is how many ask at a time what became of tasks. They share what an answer costs a controller
	// that is one of several, so that looking back is faster than the load goes on.
	lookers = 64
	// enoughLooks is how often each task is asked for again: by then there were as many faults since its
	// end was told.
	enoughLooks = 2
)

// load is what clients ask for while something is done to their cluster, and what they are told.
type load struct {
	t      *testing.T
	c      *cluster
	ledger string
	stop   context.CancelFunc // no more is submitted
	give   context.CancelFunc // and no more waited for
	wait   sync.WaitGroup

	mu           sync.Mutex
	acknowledged int
	told         map[string]*told // what is yet to be asked for again
	completed    map[string]string
	lost         int // tasks that no one knows of any more
	changed      int // tasks of which something else was told later
	charged      int // tasks that are said to have failed, or lost their worker, before they completed
}

// told is what a client was told of the end of a task.
type told struct {
	value string
	looks int // how often it was asked for since
}

// startLoad has clients submit batches until it ends.
func startLoad(t *testing.T, c *cluster) *load {
	t.Helper()
	l := &load{t: t, c: c, ledger: c.path("ledger"), told: map[string]*told{}, completed: map[string]string{}}
	submitting, stop := context.WithCancel(t.Context())
	waiting, give := context.WithCancel(t.Context())
	l.stop, l.give = stop, give
	t.Cleanup(func() {
		stop()
		give()
		l.wait.Wait()
	})
	for i := range loadClients {
		ctx := newLastingClient(waiting, t, c.url())
		l.wait.Go(func() { l.submit(ctx, submitting.Done(), "c"+strconv.Itoa(i)) })
	}
	return l
}

// newLastingClient is newClient without a deadline: how long a load goes on is up to what is done
// meanwhile.
func newLastingClient(ctx context.Context, t *testing.T, url string) context.Context {
	t.Helper()
	jc, err := fray.NewJobContext(context.WithoutCancel(ctx), fray.KindFray, append(asClient(), fray.WithControllerAddress(url))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := jc.Close(); err != nil {
			t.Error(err)
		}
	})
	return fray.NewContext(ctx, jc)
}

// submit runs batch after batch until it is to stop, and sees each to its end.
func (l *load) submit(ctx context.Context, stop <-chan struct{}, name string) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		ins := make([]tasks.Draw, loadBatch)
		for i := range ins {
			ins[i] = tasks.Draw{Ledger: l.ledger, For: time.Duration(rand.Int64N(int64(loadTask)))}
		}
		// More worker losses than there are faults: it is not the budget that is looked at.
		futures, err := tasks.Drawn.RunAll(ctx, ins, fray.WithTaskID(name+"."+strconv.Itoa(n)), fray.WithMaxWorkerLosses(1000))
		if err != nil {
			if ctx.Err() == nil {
				l.t.Errorf("submit: %v", err)
			}
			return
		}
		l.mu.Lock()
		l.acknowledged += len(futures)
		l.mu.Unlock()
		for _, f := range futures {
			v, err := f.Get(ctx)
			switch {
			case err == nil:
				l.ended(f.ID(), v)
			case ctx.Err() == nil:
				l.t.Errorf("task %s, which was acknowledged: %v", f.ID(), err)
			}
		}
	}
}

// ended notes what a client was told.
func (l *load) ended(id, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was, ok := l.completed[id]; ok && was != value {
		l.changed++
		l.t.Errorf("task %s was said to come to %s, and then to %s", id, was, value)
	}
	l.completed[id] = value
	l.told[id] = &told{value: value}
}

// heard counts the results that clients were told.
func (l *load) heard() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.completed)
}

// goesOn waits until clients are told as many results as they ask for at a time.
func (l *load) goesOn() {
	l.t.Helper()
	before := l.heard()
	eventually(l.t, "clients are told results", func() bool { return l.heard() >= before+loadClients*loadBatch || l.t.Failed() })
}

// end has clients submit no more, and waits until they know the end of what they have submitted, or
// have waited for it for too long.
func (l *load) end() {
	l.t.Helper()
	l.stop()
	ended := make(chan struct{})
	go func() {
		l.wait.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
	}
	l.give()
	<-ended
}

// lookBack asks for each task whose end was told, and that was not asked for often enough.
func (l *load) lookBack() {
	l.mu.Lock()
	ask := make(map[string]*told, len(l.told))
	for id, r := range l.told {
		if ask[id] = r; r.looks+1 == enoughLooks {
			delete(l.told, id)
		}
	}
	l.mu.Unlock()
	ids := make(chan string)
	var all sync.WaitGroup
	for range lookers {
		all.Go(func() {
			for id := range ids {
				l.look(id, ask[id])
			}
		})
	}
	for id := range ask {
		ids <- id
	}
	close(ids)
	all.Wait()
}

// look asks for a task.
func (l *load) look(id string, r *told) {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	res, err := l.c.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: id})
	l.mu.Lock()
	defer l.mu.Unlock()
	r.looks++
	task := res.GetResult().GetTask()
	switch {
	case connect.CodeOf(err) == connect.CodeNotFound:
		l.lost++
		delete(l.told, id)
		l.t.Errorf("task %s is lost", id)
	case err != nil:
		l.t.Errorf("read %s: %v", id, err)
	case task.GetStatus() != frayv1.TaskStatus_TASK_STATUS_COMPLETED, string(res.GetResult().GetValue().GetData()) != strconv.Quote(r.value):
		l.changed++
		delete(l.told, id)
		l.t.Errorf("task %s was said to come to %s, and now is %v with %s", id, r.value, task, res.GetResult().GetValue().GetData())
	case r.looks == 1 && task.GetFailureCount()+task.GetWorkerLossCount() > 0:
		l.charged++
	}
}

// judge tells what became of all that was acknowledged, and returns how many tasks were charged with a
// failure or a loss, and how many executions were not the first of their task.
func (l *load) judge(faults string) (charged, again int) {
	l.t.Helper()
	executions := map[string]int{}
	drawn := map[string]bool{}
	entries, err := tasks.ReadLedger(l.ledger)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range entries {
		executions[e.Task]++
		drawn[e.Task+" "+e.Event] = true
	}
	invented := 0
	for id, value := range l.completed { // in any order: they are counted
		if !drawn[id+" "+value] {
			invented++
		}
		again += executions[id] - 1
	}
	open := l.acknowledged - len(l.completed)
	l.t.Logf("%s: %d tasks acknowledged, %d completed, %d lost, %d with a result that changed, %d with a result of no execution, %d that did not end; %d charged with a failure or a loss, %d executions repeated",
		faults, l.acknowledged, len(l.completed), l.lost, l.changed, invented, open, l.charged, again)
	if l.lost+l.changed+invented+open > 0 {
		l.t.Error("what was acknowledged was not kept")
	}
	return l.charged, again
}
