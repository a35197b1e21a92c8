package integration_test

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
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
	client, err := fray.NewClient(l.url(), append(asClient(), fray.WithHTTPClient(l.http))...)
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
