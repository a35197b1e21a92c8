package worker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/internal/object"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/worker"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

type pair struct{ A, B *fray.Future[string] }

var (
	both = fray.Define("both", func(ctx context.Context, in pair) (string, error) {
		a, err := in.A.Get(ctx)
		if err != nil {
			return "", err
		}
		b, err := in.B.Get(ctx)
		return a + b, err
	})
	read = fray.Define("read", func(ctx context.Context, r fray.Ref[string]) (string, error) { return r.Get(ctx) })
)

// needing is a controller that has values, which it is asked for by tasks.
type needing struct {
	*controller

	ended   map[string]string // values of tasks, as JSON
	objects map[string]string // by job and id
	asked   []string
}

func startNeeding(t *testing.T) (*needing, *running) {
	t.Helper()
	n := &needing{controller: newController(), ended: make(map[string]string), objects: make(map[string]string)}
	n.controller.results, n.controller.piece = n.find, n.read
	return n, start(t, n.controller, slots(1), func(c *worker.Config) { c.Functions = append(c.Functions, both, read) })
}

// find answers GetTaskResults, under the lock.
func (n *needing) find(ids []string) *frayv1.GetTaskResultsResponse {
	res := &frayv1.GetTaskResultsResponse{}
	n.asked = append(n.asked, ids...)
	for _, id := range ids {
		if v, ok := n.ended[id]; ok {
			res.Results = append(res.Results, &frayv1.TaskResult{
				Task:  &frayv1.Task{TaskId: id, Status: frayv1.TaskStatus_TASK_STATUS_COMPLETED},
				Value: &frayv1.Payload{Encoding: "json", Data: []byte(v)},
			})
		}
	}
	return res
}

// read answers GetObject, under the lock.
func (n *needing) read(req *frayv1.GetObjectRequest) (*frayv1.GetObjectResponse, error) {
	n.asked = append(n.asked, req.GetJobId())
	data, ok := n.objects[req.GetJobId()+" "+req.GetObjectId()]
	if !ok {
		return nil, wire.Error(wire.ReasonUnknownObject, 0, "no object")
	}
	return &frayv1.GetObjectResponse{Object: &frayv1.ObjectInfo{ObjectId: req.GetObjectId(), SizeBytes: int64(len(data))}, Data: []byte(data)}, nil
}

// grant queues a task with values that come along.
func (n *needing) grant(function, input string, values ...*frayv1.NeededValue) (lease uint64) {
	n.change(func() {
		lease = n.enqueue(function, input)
		n.queue[len(n.queue)-1].NeededValues = values
	})
	return lease
}

func needed(id, value string) *frayv1.NeededValue {
	return &frayv1.NeededValue{TaskId: id, Value: &frayv1.Payload{Encoding: "json", Data: []byte(value)}}
}

const pairOfTasks = `{"A":{"task":"a"},"B":{"task":"b"}}`

func TestNeededValuesComeWithTheGrant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, w := startNeeding(t)
		defer w.stop(t)
		lease := n.grant("both", pairOfTasks, needed("a", `"x"`), needed("b", `"y"`))
		if r := n.expectIn(t, lease, "SUCCEEDED"); string(r.GetValue().GetData()) != `"xy"` {
			t.Errorf("got %v", r)
		}
		if len(n.asked) > 0 {
			t.Errorf("asked for %q", n.asked)
		}
	})
}

// What has not come along is asked for. A task that waits for it lends its slot.
func TestNeededValuesThatAreLargeAreAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, w := startNeeding(t)
		defer w.stop(t)
		lease := n.grant("both", pairOfTasks, needed("b", `"y"`))
		other := n.add("echo", `"hello"`)
		n.expectIn(t, other, "SUCCEEDED")
		n.expectIn(t, lease, "NONE")
		n.change(func() { n.ended["a"] = `"x"` })
		if r := n.expectIn(t, lease, "SUCCEEDED"); string(r.GetValue().GetData()) != `"xy"` {
			t.Errorf("got %v", r)
		}
		for _, id := range n.asked {
			if id != "a" {
				t.Errorf("asked for %q", n.asked)
			}
		}
	})
}

// The job of a task holds the refs in its input, whatever becomes of those that they were put for.
func TestRefIsReadFromTheTasksOwnJob(t *testing.T) {
	t.Parallel()
	for _, held := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, w := startNeeding(t)
			defer w.stop(t)
			id := object.NameOf("json", []byte(`"v"`))
			input := fmt.Sprintf(`{"job":"other","object":%q,"size":3,"encoding":"json"}`, id)
			if held {
				n.objects["job "+id] = `"v"`
			}
			lease := n.grant("read", input)
			if held {
				if r := n.expectIn(t, lease, "SUCCEEDED"); string(r.GetValue().GetData()) != `"v"` {
					t.Errorf("got %v", r)
				}
			} else if r := n.expectIn(t, lease, "FAILED"); !strings.Contains(r.GetError().GetMessage(), fray.ErrObjectLost.Error()) {
				t.Errorf("got %v", r)
			}
			if got := strings.Join(n.asked, " "); got != "other job" {
				t.Errorf("asked jobs %q", got)
			}
		})
	}
}

// expectIn is expect after the time that a worker's calls take.
func (n *needing) expectIn(t *testing.T, lease uint64, want string) *frayv1.TaskReport {
	t.Helper()
	pass(time.Second)
	return n.expect(t, lease, want)
}
