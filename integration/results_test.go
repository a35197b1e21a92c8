package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/integration/tasks"
)

func TestResults(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for i := range 3 {
		c.worker("w"+strconv.Itoa(i), "--slots", "4")
	}
	playOn(t, c, []scenario{
		{
			name: "one", protects: "a task's value reaches its caller",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				if v, err := tasks.Square.Call(ctx, 12); v != 144 || err != nil {
					t.Errorf("got %d, %v", v, err)
				}
			},
		},
		{
			name: "many", protects: "no value is lost, doubled or given to another task, and RunAll keeps the order",
			run: testMany,
		},
		{
			name: "concurrent", protects: "one job context serves many goroutines, whose calls are sent together",
			run: testConcurrent,
		},
		{
			name: "deep value", protects: "a value of any depth survives the way there and back",
			run: testDeepValue,
		},
		{
			name: "bytes", protects: "bytes travel as they are, the empty ones too",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				for _, in := range [][]byte{nil, {0}, {255, 0, 1}, bytes.Repeat([]byte("abc"), 100_000)} {
					out, err := tasks.Reverse.Call(ctx, in)
					if err != nil {
						t.Fatal(err)
					}
					back, err := tasks.Reverse.Call(ctx, out)
					if err != nil || !bytes.Equal(back, in) {
						t.Errorf("%d bytes do not come back: %v", len(in), err)
					}
				}
			},
		},
		{
			name: "wait", protects: "Wait returns when enough tasks are done, and a timeout is not an error",
			run: testWait,
		},
		{
			name: "as completed", protects: "results come in the order in which tasks end, not in that of their submission",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				slow, quick := c.hold(), c.hold()
				futures := []*fray.Future[string]{run(ctx, t, tasks.Held, slow), run(ctx, t, tasks.Held, quick)}
				c.open(quick)
				var order []string
				for f, err := range fray.AsCompleted(ctx, futures) {
					if err != nil {
						t.Fatal(err)
					}
					order = append(order, f.ID())
					c.open(slow)
				}
				if want := []string{futures[1].ID(), futures[0].ID()}; !reflect.DeepEqual(order, want) {
					t.Errorf("order %v, want %v", order, want)
				}
			},
		},
		{
			name: "get gives up", protects: "a caller that no longer waits does not end the task",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				h := c.hold()
				f := run(ctx, t, tasks.Held, h)
				impatient, cancel := context.WithTimeout(ctx, time.Millisecond)
				defer cancel()
				if _, err := f.Get(impatient); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				c.open(h)
				if get(ctx, t, f) == "" {
					t.Error("no worker")
				}
			},
		},
		{
			name: "another client", protects: "a task belongs to its job, and not to the client that submitted it",
			run: func(t *testing.T, c *cluster) {
				const job, id = "shared-job", "shared-task"
				h := c.hold()
				first := c.client(fray.WithJobID(job))
				f := run(first, t, tasks.Held, h, fray.WithTaskID(id))
				second := c.client(fray.WithJobID(job))
				again := run(second, t, tasks.Held, h, fray.WithTaskID(id))
				c.open(h)
				if a, b := get(first, t, f), get(second, t, again); a != b {
					t.Errorf("one client is told %q, the other %q", a, b)
				}
				if n := c.events(h.Ledger)["start"]; n != 1 {
					t.Errorf("ran %d times", n)
				}
				// The end is told to who comes when all is over, too.
				third := c.client(fray.WithJobID(job))
				get(third, t, run(third, t, tasks.Held, h, fray.WithTaskID(id)))
			},
		},
	})
}

func testMany(t *testing.T, c *cluster) {
	const n = 2000
	ctx := c.client()
	ins := make([]int, n)
	for i := range ins {
		ins[i] = i
	}
	futures, err := tasks.Square.RunAll(ctx, ins)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range futures {
		if v := get(ctx, t, f); v != i*i {
			t.Fatalf("task %d has value %d", i, v)
		}
	}
}

func testConcurrent(t *testing.T, c *cluster) {
	const goroutines, each = 64, 10
	ctx := c.client()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				n := g*each + i
				if v, err := tasks.Square.Call(ctx, n); v != n*n || err != nil {
					t.Errorf("square of %d: %d, %v", n, v, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func testDeepValue(t *testing.T, c *cluster) {
	ctx := c.client()
	parent := int64(1) << 62
	tree := tasks.Tree{Name: "leaf: \u00e4\u4e16\U0001F600\x00", Weights: []float64{0.1, -1e300, 5e-324}, At: time.Date(2026, 2, 28, 23, 59, 59, 999_999_999, time.UTC)}
	for i := range 50 {
		tree = tasks.Tree{
			Name: fmt.Sprint("level ", i), Labels: map[string]string{"": "empty", "k": "v"}, Raw: []byte{byte(i), 0},
			At: tree.At.Add(time.Duration(i)), Parent: &parent, Children: []tasks.Tree{tree, {Name: "sibling", At: tree.At}},
		}
	}
	back, err := tasks.Echo.Call(ctx, tree)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, tree) {
		t.Error("the value has changed on its way")
	}
}

func testWait(t *testing.T, c *cluster) {
	ctx := c.client()
	holds := []tasks.Hold{c.hold(), c.hold(), c.hold()}
	futures, err := tasks.Held.RunAll(ctx, holds)
	if err != nil {
		t.Fatal(err)
	}
	want := func(name string, done, pending []*fray.Future[string], err error, n int) {
		t.Helper()
		if err != nil || len(done) != n || len(done)+len(pending) != len(futures) {
			t.Errorf("%s: %d done, %d pending, %v; want %d done", name, len(done), len(pending), err, n)
		}
	}
	done, pending, err := fray.Wait(ctx, futures, 1, 20*time.Millisecond)
	want("timeout", done, pending, err, 0)
	c.open(holds[1])
	done, pending, err = fray.Wait(ctx, futures, 1, -1)
	want("any", done, pending, err, 1)
	if len(done) == 1 && done[0] != futures[1] {
		t.Error("the wrong one is done")
	}
	c.open(holds[0])
	c.open(holds[2])
	done, pending, err = fray.Wait(ctx, futures, 3, -1)
	want("all", done, pending, err, 3)
	if _, _, err := fray.Wait(ctx, futures, 4, 0); err == nil {
		t.Error("waits for four of three")
	}
}

// A worker whose only slot waits for a child could never run the child.
func TestNestedTasksDoNotDeadlock(t *testing.T) {
	t.Parallel()
	for name, workers := range map[string]int{"one worker of one slot": 1, "two workers of one slot": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			for i := range workers {
				c.worker("w"+strconv.Itoa(i), "--slots", "1")
			}
			ctx := c.client()
			const children, depth, family = 3, 3, 1 + 3 + 9 + 27
			futures, err := tasks.Nested.RunAll(ctx, []tasks.Family{{Children: children, Depth: depth}, {Children: children, Depth: depth}})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range futures {
				if v := get(ctx, t, f); v != family {
					t.Errorf("family of %d, want %d", v, family)
				}
			}
		})
	}
}
