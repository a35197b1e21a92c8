package fray

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"
)

// needy is a type with places for all kinds of needs.
type needy struct {
	Tasks []*Future[int]
	Refs  []Ref[int]
}

// A walk over a value costs no memory, unless something is found.
func TestInputWithoutNeedsCostsNoAllocation(t *testing.T) {
	type plain struct {
		Name string
		List []string
		Next *plain
	}
	for _, v := range []any{plain{"a", []string{"b", "c"}, &plain{Name: "d"}}, needy{Tasks: []*Future[int]{nil, nil}}} {
		walk, value, own := outbound.inspector(reflect.TypeOf(v)), reflect.ValueOf(v), &call{}
		allocs := testing.AllocsPerRun(100, func() {
			if err := walk(value, own); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 0 || own.needs != nil || own.again() {
			t.Errorf("%T: %v allocations; needs %v", v, allocs, own.needs)
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[struct{ A, B []int }](), reflect.TypeFor[map[int]time.Time](), reflect.TypeFor[[]byte]()} {
		if outbound.inspector(typ) != nil {
			t.Errorf("%v: there is nothing to find", typ)
		}
	}
}

func TestDecodedValuesWithoutFuturesAreNotWalkedOver(t *testing.T) {
	t.Parallel()
	a, err1 := codecOf[struct {
		Text string
		Any  map[string]any
		Ref  *Ref[int]
	}]()
	b, err2 := codecOf[map[string][]*Future[int]]()
	if err := errors.Join(err1, err2); err != nil || a.inspect != nil || b.inspect == nil {
		t.Errorf("%v: inspectors %p and %p", err, a.inspect, b.inspect)
	}
}

type (
	holder   struct{ F Future[int] }
	embedder struct{ *Future[int] }
)

func TestFuturesByValueAreRefused(t *testing.T) {
	t.Parallel()
	refused := func(err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "a fray.Future is no value: use *fray.Future") {
			t.Errorf("got %v", err)
		}
	}
	_, err := codecOf[Future[int]]()
	refused(err)
	_, err = codecOf[holder]()
	refused(err)
	_, err = codecOf[map[string][]*holder]()
	refused(err)
	_, err = codecOf[*[2]Future[int]]()
	refused(err)
	c, err := codecOf[any]()
	if err != nil {
		t.Fatal(err)
	}
	holders := make([]holder, 1)
	if err := holders[0].F.become("a"); err != nil {
		t.Fatal(err)
	}
	_, err = c.encode(&holders[0], nil)
	refused(err)
	_, err = c.encode([]any{holders}, nil)
	refused(err)
	for _, ok := range []error{second(codecOf[*Future[int]]()), second(codecOf[**Future[int]]()), second(codecOf[embedder]()), second(codecOf[[]Awaitable]())} {
		if ok != nil {
			t.Error(ok)
		}
	}
	var e embedder
	if err := json.Unmarshal([]byte(`{"task":"a"}`), &e); err == nil || !strings.Contains(err.Error(), "not decoded into an empty one") {
		t.Errorf("got %v", err)
	}
	if text, err := json.Marshal(e); err != nil || string(text) != "null" {
		t.Errorf("got %s, %v", text, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestFuturesOfOthersAreChecked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"task":"a","more":1}`: "", `{"task":"a"}`: "", `null`: "",
		`{"task":""}`: `task id ""`, `{"task":"/"}`: `task id "/"`, `7`: "decode a future",
	} {
		var f *Future[int]
		err := json.Unmarshal([]byte(text), &f)
		if (want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	var f *Future[func()]
	if err := json.Unmarshal([]byte(`{"task":"a"}`), &f); err == nil || !strings.Contains(err.Error(), "func()") {
		t.Errorf("got %v", err)
	}
}

// What a submission weighs is taken before it is in the form of the wire, and given back after that.
func TestWeightCountsNeeds(t *testing.T) {
	t.Parallel()
	task := Define("f", func(context.Context, int) (int, error) { return 0, nil })
	f := task.newFuture(&JobContext{}, &task.config, "id", nil)
	f.input = Payload{Data: make([]byte, 1000)}
	before := f.weight()
	n := &needs{objects: []string{strings.Repeat("a", objectIDBytes), strings.Repeat("b", objectIDBytes)}}
	for i := range 10 {
		n.tasks = append(n.tasks, &call{id: fmt.Sprintf("task%d", i)})
	}
	f.needs = n
	weight := f.weight()
	f.prepare()
	if prepared := f.weight(); before != 1000+callWeight || weight != before+50+2*objectIDBytes || prepared != weight || f.needs != nil {
		t.Errorf("weighs %d without needs, %d with them, and %d on the wire; needs %v", before, weight, prepared, f.needs)
	}
}

// local runs a test with a job context of this process.
func local(t *testing.T, kind Kind, test func(ctx context.Context, jc *JobContext), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		jc, err := NewJobContext(context.Background(), kind, opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := jc.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(NewContext(t.Context(), jc), jc)
	})
}

var (
	sleepy  = Define("sleepy", func(ctx context.Context, d time.Duration) (int, error) { return 1, sleepFor(ctx, d) })
	counter = Define("counter", func(ctx context.Context, f *Future[int]) (int, error) {
		n, err := f.Get(ctx)
		return n + 1, err
	})
)

func sleepFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A task that waits for others counts for the pool's queue until it starts or ends, however it does.
func TestBlockedTasksTakeRoomAndNoSlot(t *testing.T) {
	t.Parallel()
	local(t, KindThreadPool, func(ctx context.Context, jc *JobContext) {
		pool, _ := jc.backend.(*threadPool)
		const room = 5
		pool.room = semaphore.NewWeighted(room)
		first, err := sleepy.Run(ctx, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		blocked := make([]*Future[int], room)
		for i := range blocked {
			if blocked[i], err = counter.Run(ctx, first, WithSchedulingTimeout(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := sleepy.Run(short, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("there was room for more than %d: %v", room, err)
		}
		for _, f := range blocked[:2] {
			if err := f.Cancel(ctx); err != nil {
				t.Error(err)
			}
		}
		// They have left the one slot that the first does not have.
		start := time.Now()
		if v, err := sleepy.Call(ctx, time.Second); err != nil || v != 1 || time.Since(start) != time.Second {
			t.Errorf("got %d, %v after %v", v, err, time.Since(start))
		}
		for i, f := range blocked {
			if v, err := f.Get(ctx); (i < 2) != errors.Is(err, ErrCancelled) || (i >= 2 && v != 2) {
				t.Errorf("task %d: %d, %v", i, v, err)
			}
		}
		if !pool.room.TryAcquire(room) {
			t.Error("room is lost")
		}
		pool.room.Release(room)
		// And so do those that fail with what they need, or are never taken.
		if first, err = sleepy.Run(ctx, time.Hour); err != nil {
			t.Fatal(err)
		}
		next, err1 := counter.Run(ctx, first)
		last, err2 := counter.Run(ctx, next)
		if err := errors.Join(err1, err2, first.Cancel(ctx)); err != nil {
			t.Fatal(err)
		}
		if _, err := last.Get(ctx); !errors.Is(err, ErrDependencyFailed) {
			t.Errorf("got %v", err)
		}
		if _, err := counter.Call(ctx, last); !errors.Is(err, ErrDependencyFailed) {
			t.Errorf("got %v", err)
		}
		if !pool.room.TryAcquire(room) {
			t.Error("room is lost")
		}
		pool.room.Release(room)
		if len(pool.blocked.by) > 0 || len(pool.open) > 0 {
			t.Errorf("%d are waited for, %d are open", len(pool.blocked.by), len(pool.open))
		}
	}, WithWorkers(2))
}

// A future keeps no others in memory once its task has what it needs.
func TestEndedTaskHasForgottenItsNeeds(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{KindSync, KindThreadPool} {
		local(t, kind, func(ctx context.Context, _ *JobContext) {
			f, err := sleepy.Run(ctx, time.Second)
			for range 3 {
				if err == nil {
					f, err = counter.Run(ctx, f)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if v, err := f.Get(ctx); err != nil || v != 4 || f.needs != nil {
				t.Errorf("%s: got %d, %v; needs %v", kind, v, err, f.needs)
			}
		})
	}
}

func TestChainsFailInOneGo(t *testing.T) {
	t.Parallel()
	local(t, KindThreadPool, func(ctx context.Context, _ *JobContext) {
		first, err := sleepy.Run(ctx, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		const length = 5000
		all := make([]*Future[int], length)
		f := first
		for i := range all {
			if all[i], err = counter.Run(ctx, f); err != nil {
				t.Fatal(err)
			}
			f = all[i]
		}
		depth := 0
		f.listen(&listener{wake: func() { depth = stackDepth() }})
		if err := all[10].Cancel(ctx); err != nil {
			t.Fatal(err)
		}
		_, err = f.Get(ctx)
		var e *TaskError
		if !errors.As(err, &e) || e.Cause != all[10].id {
			t.Errorf("got %v", err)
		}
		if depth > 100 {
			t.Errorf("the last of %d was told %d calls deep", length, depth)
		}
		if err := first.Cancel(ctx, WithDependants()); err != nil {
			t.Error(err)
		}
		if _, err := all[9].Get(ctx); !errors.Is(err, ErrCancelled) {
			t.Errorf("got %v", err)
		}
	}, WithWorkers(1))
}

// stackDepth is how many calls deep its caller is.
func stackDepth() int { return runtime.Callers(1, make([]uintptr, 10_000)) }

func TestLocalFutureIsForgottenInTime(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{KindSync, KindThreadPool} {
		local(t, kind, func(ctx context.Context, _ *JobContext) {
			first, err := sleepy.Run(ctx, 0)
			if err != nil {
				t.Fatal(err)
			}
			_ = first.ID()
			early, err1 := Attach[int](ctx, first.id)
			used, err2 := Attach[int](ctx, first.id)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			if v, err := used.Get(ctx); err != nil || v != 1 {
				t.Errorf("got %d, %v", v, err)
			}
			for range maxLedgerEnded {
				f, err := sleepy.Run(ctx, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.Get(ctx); err != nil {
					t.Fatal(err)
				}
				_ = f.ID()
			}
			if _, err := early.Get(ctx); !errors.Is(err, ErrTaskLost) || !strings.Contains(err.Error(), "this job context does not know it, or no longer") {
				t.Errorf("%s: got %v", kind, err)
			}
			if v, err := used.Get(ctx); err != nil || v != 1 {
				t.Errorf("got %d, %v", v, err)
			}
			// Who has the future itself can have it travel again.
			if v, err := counter.Call(ctx, first); err != nil || v != 2 {
				t.Errorf("got %d, %v", v, err)
			}
		}, WithWorkers(1))
	}
}

// selfish runs a task that needs its own, or that of the task which runs it.
var selfish *Task[[]string, string]

func init() {
	selfish = Define("selfish", func(ctx context.Context, above []string) (string, error) {
		info, _ := InTask(ctx)
		above = append(above, info.TaskID)
		if len(above) < 3 {
			return selfish.Call(ctx, above, WithTaskID(info.JobID+fmt.Sprint("/", len(above))))
		}
		var texts []string
		for _, id := range above {
			f, err := Attach[int](ctx, id)
			if err != nil {
				return "", err
			}
			_, err = counter.Run(ctx, f)
			texts = append(texts, fmt.Sprint(err))
		}
		return strings.Join(texts, "\n"), nil
	})
}

func TestTaskThatNeedsWhatRunsItIsRefused(t *testing.T) {
	t.Parallel()
	local(t, KindSync, func(ctx context.Context, jc *JobContext) {
		text, err := selfish.Call(ctx, nil, WithTaskID(jc.jobID+"/0"))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(text, "\n") {
			if want := fmt.Sprintf("it needs task %s/%d, which runs it: on a sync job context that would never end", jc.jobID, i); !strings.HasSuffix(line, want) {
				t.Errorf("%q, want %q", line, want)
			}
		}
	})
}

// On the sync backend a task waits inside of Run for what runs elsewhere, and can be stopped there.
func TestSyncTaskWaitsForWhatRunsElsewhere(t *testing.T) {
	t.Parallel()
	local(t, KindThreadPool, func(ctx context.Context, _ *JobContext) {
		jc, err := NewJobContext(context.Background(), KindSync)
		if err != nil {
			t.Fatal(err)
		}
		inline := NewContext(ctx, jc)
		f, err := sleepy.Run(ctx, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if v, err := counter.Call(inline, f); err != nil || v != 2 || time.Since(start) != time.Hour {
			t.Errorf("got %d, %v after %v", v, err, time.Since(start))
		}
		if f, err = sleepy.Run(ctx, time.Hour); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		wait := func(ctx context.Context) {
			_, err := counter.Call(ctx, f)
			ended <- err
		}
		go wait(inline)
		synctest.Wait()
		if err := jc.Cancel(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, ErrCancelled) {
			t.Errorf("got %v", err)
		}
		short, cancel := context.WithTimeout(inline, time.Minute)
		defer cancel()
		go wait(short)
		if err := <-ended; !errors.Is(err, ErrCancelled) {
			t.Errorf("got %v", err)
		}
		// Through the context that it has travelled to, the task itself is cancelled.
		attached := &Future[int]{}
		if err := errors.Join(attached.become(f.id), jc.share(f)); err != nil {
			t.Fatal(err)
		}
		if err := attached.Cancel(inline, WithDependants()); err != nil {
			t.Error(err)
		}
		if _, err := f.Get(ctx); !errors.Is(err, ErrCancelled) {
			t.Errorf("got %v", err)
		}
		if f, err = sleepy.Run(ctx, time.Hour); err != nil {
			t.Fatal(err)
		}
		go wait(inline)
		synctest.Wait()
		if err := jc.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// share has a job context know a task of another one.
func (jc *JobContext) share(f *Future[int]) error {
	jc.backend.share(&f.call)
	return nil
}
