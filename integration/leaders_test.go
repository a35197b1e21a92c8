package integration_test

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/pgstore/pgtest"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/integration/tasks"
)

// leaders are several controllers of one cluster, which share a database.
type leaders struct {
	*cluster

	members []*process
	args    []string
	alone   []frayv1connect.ControllerServiceClient // each reaches one, and repeats nothing
}

// newLeaders starts so many controllers on a database, and returns once one leads.
func newLeaders(t *testing.T, database string, n int, args ...string) *leaders {
	t.Helper()
	return newLeadersFrom(t, &programs, database, n, args...)
}

// newLeadersFrom is newLeaders with programs of whatever commit.
func newLeadersFrom(t *testing.T, from *builder, database string, n int, args ...string) *leaders {
	t.Helper()
	l := &leaders{
		cluster: &cluster{t: t, from: from, dir: t.TempDir(), http: newHTTPClient(t, false)},
		args:    append(append(secured(true, "controller"), "--store", database), args...),
	}
	for range n {
		l.members = append(l.members, l.start(freePort(t)))
	}
	var urls []string
	for _, m := range l.members {
		urls = append(urls, m.url)
		l.alone = append(l.alone, frayv1connect.NewControllerServiceClient(l.http, m.url))
	}
	l.controller = &process{url: strings.Join(urls, ",")} // What reaches the one that leads.
	// Each call has the least role that it needs.
	client, err := fray.NewClient(l.url(), fray.WithHTTPClient(l.http), fray.WithToken(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	l.ControllerServiceClient = client
	l.leader()
	return l
}

func (l *leaders) start(port string) *process {
	l.t.Helper()
	return startProcess(l.t, "controller-"+port, l.from.path(l.t, "fray"), append(slices.Clone(l.args), "--listen", "127.0.0.1:"+port)...)
}

// leader returns the index of the one that leads.
func (l *leaders) leader() int {
	l.t.Helper()
	leads := -1
	eventually(l.t, "one controller leads", func() bool {
		for i, c := range l.alone {
			ctx, cancel := context.WithTimeout(l.context(), patience/3)
			_, err := c.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
			cancel()
			if err == nil {
				leads = i
				return true
			}
		}
		return false
	})
	return leads
}

// restart starts a member again that has ended, at its address.
func (l *leaders) restart(i int) {
	l.t.Helper()
	url := l.members[i].url
	l.members[i] = l.start(url[strings.LastIndexByte(url, ':')+1:])
}

// wantRunning fails the test if a member has ended by itself.
func (l *leaders) wantRunning() {
	l.t.Helper()
	for _, m := range l.members {
		if !m.Running() {
			l.t.Fatalf("%s has ended by itself: %v", m.name, m.cmd.ProcessState)
		}
	}
}

// A leader that is told to end hands over.
func TestLeaderHandsOver(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	c := newLeaders(t, server.URL(), 2)
	c.worker("w", "--slots", "2")
	ctx := c.client()
	h := c.hold()
	held := run(ctx, t, tasks.Held, h)
	c.awaitHeld(held.ID(), h)
	i := c.leader()
	began := time.Now()
	c.members[i].signal(syscall.SIGTERM)
	if code := c.members[i].exit(); code != 0 {
		t.Errorf("it exits with %d", code)
	}
	if next := c.leader(); next == i {
		t.Error("the one that has ended leads")
	}
	t.Logf("handed over within %v", time.Since(began))
	c.awaitWorker("w")
	if task := c.task(held.ID()); task.GetStatus() != frayv1.TaskStatus_TASK_STATUS_RUNNING || task.GetAttemptNumber() != 1 {
		t.Errorf("the task is %v, at attempt %d", task.GetStatus(), task.GetAttemptNumber())
	}
	c.open(h)
	if _, err := held.Get(ctx); err != nil {
		t.Error(err)
	}
}

// A leader that is asked to step down hands over under load, and stands by: no call takes as long as a
// failover does, what runs goes on, and nothing is lost. The command is given the addresses of all, and
// that of the leader alone.
func TestLeaderStepsDownUnderLoad(t *testing.T) {
	t.Parallel()
	const handovers, bound = 4, lead.DefaultPatience * lead.DefaultBeat
	server := pgtest.Start(t)
	c := newLeaders(t, server.URL(), 2)
	c.worker("w", "--slots", "8")
	ctx := newLastingClient(t.Context(), t, c.url())
	h := c.hold()
	held := run(ctx, t, tasks.Held, h)
	c.awaitHeld(held.ID(), h)
	l := startLoad(t, c.cluster)
	var without, calls []time.Duration
	for n := range handovers {
		l.goesOn()
		i, was := c.leader(), c.incarnation()
		address := c.url()
		if n%2 == 1 {
			address = c.members[i].url
		}
		longest := c.longestCall()
		out, code := c.fray("controller", "step-down", "--controller", address, "-o", "json")
		var told struct {
			Ended   uint64 `json:"ended_epoch"`
			Leading uint64 `json:"leading_epoch"`
			Without int64  `json:"without_leader_ms"`
		}
		if err := json.Unmarshal([]byte(out), &told); err != nil || code != 0 || told.Ended != was || told.Leading != was+1 {
			t.Fatalf("after epoch %d the command exits with %d, and says %s", was, code, out)
		}
		without = append(without, time.Duration(told.Without)*time.Millisecond)
		calls = append(calls, longest())
		if next := c.leader(); next == i || c.incarnation() != was+1 {
			t.Errorf("controller %d has stepped down, and %d leads in epoch %d", i, next, c.incarnation())
		}
	}
	l.end()
	l.lookBack()
	l.judge(strconv.Itoa(handovers) + " hand-overs")
	t.Logf("as the command saw it, without a leader: %v; longest calls: %v", without, calls)
	if least := slices.Min(calls); least > bound { // The machine may be busy with something else during any one.
		t.Errorf("in each hand-over a call took %v, more than %v", least, bound)
	}
	c.awaitWorker("w")
	if task := c.task(held.ID()); task.GetStatus() != frayv1.TaskStatus_TASK_STATUS_RUNNING || task.GetAttemptNumber() != 1 {
		t.Errorf("the task is %v, at attempt %d", task.GetStatus(), task.GetAttemptNumber())
	}
	c.open(h)
	get(ctx, t, held)
	if starts := c.events(h.Ledger)["start"]; starts != 1 {
		t.Errorf("it was started %d times", starts)
	}
}

// longestCall asks one question after the other until what it returns is called, which returns how long
// the longest took, repetitions included.
func (l *leaders) longestCall() (stop func() time.Duration) {
	asking, cancel := context.WithCancel(l.context())
	longest := make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		for more := true; more; more = pausing(asking, firstPoll) {
			began := time.Now()
			if _, err := l.GetClusterInfo(l.context(), &frayv1.GetClusterInfoRequest{}); err != nil && asking.Err() == nil {
				l.t.Errorf("ask the one that leads: %v", err)
			}
			most = max(most, time.Since(began))
		}
		longest <- most
	}()
	return func() time.Duration { cancel(); return <-longest }
}
