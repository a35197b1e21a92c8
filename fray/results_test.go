package fray_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func TestCompletedTaskWithoutItsValueIsLost(t *testing.T) {
	t.Parallel()
	for _, batched := range []bool{false, true} {
		t.Run(fmt.Sprintf("batched=%v", batched), func(t *testing.T) {
			t.Parallel()
			fake := newFake()
			withFake(t, fake, func(t *trial) {
				f := run(t, echo, "x", fray.WithTaskID("id"))
				fake.mu.Lock()
				fake.end("id", func(r *frayv1.TaskResult) { r.Task.Status = frayv1.TaskStatus_TASK_STATUS_COMPLETED })
				fake.mu.Unlock()
				if batched {
					f = run(t, echo, "x", fray.WithTaskID("id"))
				}
				v, err := f.Get(t.ctx)
				if v != "" || !errors.Is(err, fray.ErrTaskLost) || !strings.Contains(err.Error(), "it completed, and the controller no longer has its result") {
					t.Errorf("got %q, %v", v, err)
				}
			})
		})
	}
}

func TestNothingIsNoValue(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		nothingOf(t, fake, echo, "x")
		nothingOf(t, fake, reverse, []byte{1})
		nothingOf(t, fake, double, nil)
		nothingOf(t, fake, nothing, struct{}{})
		nothingOf(t, fake, flaky, 1)
	})
}

// nothingOf has a task complete with a payload that has neither data nor an encoding.
func nothingOf[In, Out any](t *trial, fake *fakeController, task *fray.Task[In, Out], in In) {
	t.Helper()
	f := run(t, task, in)
	fake.mu.Lock()
	fake.end(f.ID(), func(r *frayv1.TaskResult) {
		r.Task.Status, r.Value = frayv1.TaskStatus_TASK_STATUS_COMPLETED, &frayv1.Payload{}
	})
	fake.mu.Unlock()
	var undecodable *fray.UndecodableError
	if v, err := f.Get(t.ctx); !errors.Is(err, fray.ErrUndecodable) || !errors.As(err, &undecodable) || undecodable.What != "result" {
		t.Errorf("%s: got %v, %v", task.Name(), v, err)
	}
}

func TestNewContextOfAnOldJobReadsNoHistory(t *testing.T) {
	t.Parallel()
	fake := newFake()
	var cursors []uint64
	fake.beforeWatch = func(_ int, req *frayv1.WatchJobRequest) error {
		if req.GetWatcherId() == "" {
			return connect.NewError(connect.CodeInternal, errors.New("who watches?"))
		}
		cursors = append(cursors, req.GetCursor())
		return nil
	}
	others := func(jc *fray.JobContext, from, n int) {
		for i := range n {
			id := fmt.Sprintf("other/%d", from+i)
			fake.admit(&frayv1.SubmitTasksRequest{JobId: jc.JobID(), Tasks: []*frayv1.TaskSpec{{TaskId: id}}})
			fake.complete(id)
		}
	}
	withFake(t, fake, func(t *trial) {
		others(t.jc, 0, 5000)
		f := run(t, echo, "x", fray.WithTaskID("mine"))
		fake.complete("mine")
		if v, err := f.Get(t.ctx); err != nil || v != "x" {
			t.Fatalf("got %q, %v", v, err)
		}
		synctest.Wait()
		if fake.told() != 1 || cursors[0] != 5000 {
			t.Errorf("%d results were told, the first from cursor %d", fake.told(), cursors[0])
		}
		// While it rests, others go on.
		others(t.jc, 5000, 3000)
		told := fake.told()
		time.Sleep(time.Hour)
		if fake.told() > told+1 {
			t.Errorf("%d results were told to a client at rest", fake.told()-told)
		}
		told = fake.told()
		f = run(t, echo, "y", fray.WithTaskID("mine2"))
		fake.complete("mine2")
		if v, err := f.Get(t.ctx); err != nil || v != "y" {
			t.Fatalf("got %q, %v", v, err)
		}
		synctest.Wait()
		if fake.told() > told+1 {
			t.Errorf("%d results were told, of which one is ours", fake.told()-told)
		}
	})
}

func TestRestingClientConfirmsOnce(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo = true
	var last uint64
	fake.beforeWatch = func(_ int, req *frayv1.WatchJobRequest) error {
		last = req.GetCursor()
		return nil
	}
	withFake(t, fake, func(t *trial) {
		for _, in := range []string{"x", "y"} {
			if v, err := run(t, echo, in).Get(t.ctx); err != nil || v != in {
				t.Errorf("got %q, %v", v, err)
			}
		}
		synctest.Wait()
		_, before, _ := fake.counts()
		time.Sleep(time.Hour)
		if _, after, _ := fake.counts(); after != before+1 || last != 2 {
			t.Errorf("%d polls at rest, the last from cursor %d", after-before, last)
		}
	})
}

func TestMissedEndsAreAskedFor(t *testing.T) {
	t.Parallel()
	fake := newFake()
	hold := atomic.Bool{}
	fake.beforeWatch = func(int, *frayv1.WatchJobRequest) error {
		for hold.Load() {
			time.Sleep(time.Millisecond)
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		hold.Store(true)
		futures, err := echo.RunAll(t.ctx, inputs(40), fray.WithTaskID("t"))
		if err != nil {
			t.Fatal(err)
		}
		// The first ten end and are forgotten, five that ended are known, but past what the watcher
		// is told; the rest is open.
		for i := range 15 {
			fake.complete(fmt.Sprintf("t/%d", i))
		}
		fake.miss(10)
		fake.mu.Lock()
		fake.missing += 5
		fake.mu.Unlock()
		hold.Store(false)
		synctest.Wait()
		time.Sleep(time.Second)
		for i, f := range futures {
			select {
			case <-f.Done():
			default:
				if i < 15 {
					t.Errorf("future %d is open", i)
				}
				continue
			}
			v, err := f.Get(t.ctx)
			switch {
			case i < 10 && !errors.Is(err, fray.ErrTaskLost), i >= 10 && i < 15 && (err != nil || v != strconv.Itoa(i)), i >= 15:
				t.Errorf("future %d: %q, %v", i, v, err)
			}
		}
		for i := 15; i < 40; i++ {
			fake.complete(fmt.Sprintf("t/%d", i))
		}
		for i, f := range futures[10:] {
			if v, err := f.Get(t.ctx); err != nil || v != strconv.Itoa(i+10) {
				t.Errorf("future %d: %q, %v", i+10, v, err)
			}
		}
		if _, _, lookups := fake.counts(); lookups != 0 {
			t.Errorf("%d tasks were asked for one by one", lookups)
		}
	})
}

// swallow waits until the caller gives up.
func swallow(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestLostAnswersToResultsAreSoonAskedForAgain(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.beforeResults = func(ctx context.Context, n int, _ *frayv1.GetTaskResultsRequest) error {
		if n <= 2 {
			return swallow(ctx)
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		run(t, echo, "1", fray.WithTaskID("same"))
		fake.complete("same")
		synctest.Wait()
		start := time.Now()
		// It exists, and its end is behind the cursor.
		existing := run(t, echo, "1", fray.WithTaskID("same"))
		other := run(t, echo, "2", fray.WithTaskID("other"))
		fake.complete("other")
		if v, err := other.Get(t.ctx); err != nil || v != "2" || time.Since(start) > 0 {
			t.Errorf("another task: %q, %v after %v", v, err, time.Since(start))
		}
		if v, err := existing.Get(t.ctx); err != nil || v != "1" || time.Since(start) > 8*time.Second {
			t.Errorf("the task itself: %q, %v after %v", v, err, time.Since(start))
		}
	})
}

func TestLargeValuesAreFetchedBesideTheWatch(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.omit = true
	var under, most atomic.Int32
	stuck := make(map[string]int)
	var mu sync.Mutex
	fake.beforeResult = func(ctx context.Context, id string) error {
		most.Store(max(most.Load(), under.Add(1)))
		defer under.Add(-1)
		mu.Lock()
		stuck[id]++
		n := stuck[id]
		mu.Unlock()
		if n == 1 {
			return swallow(ctx)
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		futures, err := echo.RunAll(t.ctx, inputs(12), fray.WithTaskID("t"))
		if err != nil {
			t.Fatal(err)
		}
		needed := make(chan *uint64, 100)
		synctest.Wait()
		fake.mu.Lock()
		fake.beforeWatch = func(_ int, req *frayv1.WatchJobRequest) error {
			needed <- req.NeededCursor
			return nil
		}
		fake.mu.Unlock()
		for i := range 10 {
			fake.complete(fmt.Sprintf("t/%d", i))
		}
		synctest.Wait()
		if n := <-needed; n == nil || *n != 0 {
			t.Errorf("what is still to be fetched is confirmed: %v", n)
		}
		start := time.Now()
		fake.mu.Lock()
		fake.omit = false
		fake.mu.Unlock()
		fake.complete("t/10")
		if v, err := futures[10].Get(t.ctx); err != nil || v != "10" || time.Since(start) > 0 {
			t.Errorf("a small value behind large ones: %q, %v after %v", v, err, time.Since(start))
		}
		values(t, futures[:10])
		if d := time.Since(start); d > 45*time.Second || most.Load() > 4 {
			t.Errorf("took %v, with %d at a time", d, most.Load())
		}
		fake.complete("t/11")
		<-futures[11].Done()
		time.Sleep(2 * time.Second)
		var last *uint64
		for len(needed) > 0 {
			last = <-needed
		}
		if last != nil {
			t.Errorf("all is fetched, and %d is needed", *last)
		}
	})
}

func TestOneTaskSubmittedManyTimesCostsNothing(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		var futures []*fray.Future[string]
		for range 2 {
			for i := range 500 {
				futures = append(futures, run(t, echo, strconv.Itoa(i), fray.WithTaskID(fmt.Sprintf("t/%d", i))))
			}
		}
		synctest.Wait()
		fake.mu.Lock()
		before := fake.watches + fake.batches + fake.lookups + fake.looks
		fake.mu.Unlock()
		time.Sleep(time.Minute)
		fake.mu.Lock()
		calls := fake.watches + fake.batches + fake.lookups + fake.looks - before
		fake.mu.Unlock()
		if calls > 15 {
			t.Errorf("%d calls in a minute in which nothing happened", calls)
		}
		for i := range 500 {
			fake.complete(fmt.Sprintf("t/%d", i))
		}
		values(t, futures[:500])
		values(t, futures[500:])
	})
}

// The end of a task may be told before it is known that a call with its id is refused: then it is
// not the call's.
func TestEndOfAnotherTaskIsNotThatOfARefusedCall(t *testing.T) {
	t.Parallel()
	fake := newFake()
	release := make(chan struct{})
	fake.afterSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
		if n == 2 {
			<-release
		}
		return nil
	}
	fake.refuse = func(spec *frayv1.TaskSpec) connect.Code {
		if string(spec.GetPayload().GetData()) == `"theirs"` {
			return connect.CodeAlreadyExists
		}
		return 0
	}
	withFake(t, fake, func(t *trial) {
		release = make(chan struct{}) // of this bubble
		mine := run(t, echo, "mine", fray.WithTaskID("id/0"))
		answer := make(chan error)
		var futures []*fray.Future[string]
		go func() {
			var err error
			futures, err = echo.RunAll(t.ctx, []string{"theirs"}, fray.WithTaskID("id"))
			answer <- err
		}()
		synctest.Wait()
		fake.complete("id/0")
		if v, err := mine.Get(t.ctx); err != nil || v != "mine" {
			t.Errorf("got %q, %v", v, err)
		}
		close(release)
		if err := <-answer; !errors.Is(err, fray.ErrAlreadyExists) {
			t.Errorf("got %v", err)
		}
		if v, err := futures[0].Get(t.ctx); !errors.Is(err, fray.ErrAlreadyExists) || strings.Count(err.Error(), "already_exists") != 1 {
			t.Errorf("got %q, %v", v, err)
		}
	})
}

func TestEndThatIsToldBeforeItsAcknowledgement(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.afterSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
		if fake.echo = true; n > 1 {
			time.Sleep(3 * time.Second)
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		run(t, nothing, struct{}{}, fray.WithTaskID("open")) // So that the watcher does not rest.
		start := time.Now()
		got(t, echo, "x", "x")
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("took %v, the submission 3s", d)
		}
	})
}

// order is which attempts asked for their slots, in which order.
type order struct {
	mu    sync.Mutex
	asked []int
	woken []int // how many had been woken when each asked
}

type orderedSlot struct {
	*order

	n     int
	awake *atomic.Int64
}

func (*orderedSlot) Block() {}

func (s *orderedSlot) Unblock() (wait func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, s.n)
	s.woken = append(s.woken, int(s.awake.Load()))
	return func() {}
}

// Attempts that hear of the ends of their children in one answer ask for their slots in the order
// of these, before any goes on: which of them comes first is not up to the machine.
func TestSlotsComeBackInTheOrderOfEnds(t *testing.T) {
	t.Parallel()
	const attempts = 40
	fake := newFake()
	var held atomic.Bool
	held.Store(true)
	fake.beforeWatch = func(int, *frayv1.WatchJobRequest) error {
		if held.Load() {
			return wire.Error(wire.ReasonShuttingDown, 0, "not yet")
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		var o order
		var awake atomic.Int64
		var all sync.WaitGroup
		var ids []string
		for n := range attempts {
			in := attempt.WithSlot(t.ctx, &orderedSlot{&o, n, &awake})
			f := run(t, echo, "x")
			ids = append(ids, f.ID())
			all.Go(func() {
				var err error
				switch n % 3 {
				case 0:
					_, err = f.Get(in)
				case 1:
					_, _, err = fray.Wait(in, []*fray.Future[string]{f}, 1, -1)
				default:
					for _, err = range fray.AsCompleted(in, []*fray.Future[string]{f}) {
						break
					}
				}
				awake.Add(1)
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		slices.Reverse(ids)
		for _, id := range ids {
			fake.complete(id)
		}
		held.Store(false)
		all.Wait()
		for i, n := range o.asked {
			if n != attempts-1-i || o.woken[i] > 0 {
				t.Fatalf("slots were asked for in the order %v, when %v had gone on", o.asked, o.woken)
			}
		}
	}, fray.WithLogger(nil))
}
