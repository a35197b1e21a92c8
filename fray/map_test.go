package fray_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func testMapOrder(t *trial) {
	for _, tt := range []struct{ inputs, inFlight int }{{50, 1}, {200, 7}, {3000, 500}, {3000, 5000}} {
		ins := inputs(tt.inputs)
		at := 0
		for v, err := range fray.Map(t.ctx, echo, slices.Values(ins), fray.MapInFlight(tt.inFlight)) {
			if err != nil || v != ins[at] {
				t.Fatalf("%d in flight: result %d is %q, %v", tt.inFlight, at, v, err)
			}
			at++
		}
		if at != len(ins) {
			t.Fatalf("%d in flight: %d results of %d", tt.inFlight, at, len(ins))
		}
	}
}

// newGates returns gates and their names.
func newGates(n int) (names []string, all []*gate) {
	for range n {
		name, g := newGate()
		names, all = append(names, name), append(all, g)
	}
	return names, all
}

func testMapAsCompleted(t *trial) {
	names, all := newGates(4)
	close(all[0].opened)
	// The third is cancelled while the second is open.
	var order []string
	for v, err := range fray.Map(t.ctx, meet, slices.Values(names), fray.MapAsCompleted(), fray.WithTaskID(t.jc.JobID())) {
		order = append(order, v)
		switch len(order) {
		case 1:
			f := run(t, meet, names[2], fray.WithTaskID(t.jc.JobID()+"/2"))
			if err := f.Cancel(t.ctx); err != nil {
				t.Error(err)
			}
		case 2:
			if v != "" || !errors.Is(err, fray.ErrCancelled) {
				t.Errorf("second result %q, %v", v, err)
			}
			close(all[3].opened)
			close(all[1].opened)
		}
	}
	if len(order) != 4 || order[0] != names[0] {
		t.Errorf("got %q of %q", order, names)
	}
}

func testMapErrors(t *trial) {
	want := []string{"ok", "wrapped: declared", "not UTF-8", "wrapped: undeclared", "ok"}
	at := 0
	for v, err := range fray.Map(t.ctx, fail, slices.Values([]string{"ok", "declared", "caf\xe9", "undeclared", "ok"})) {
		var e *fray.TaskError
		switch {
		case at >= len(want):
			t.Fatalf("one more result: %q, %v", v, err)
		case at == 2:
			if !errors.Is(err, fray.ErrUndecodable) || !strings.Contains(err.Error(), "input 2") || !strings.Contains(err.Error(), want[at]) {
				t.Errorf("input that cannot be encoded: %v", err)
			}
		case at == 0 || at == 4:
			if v != want[at] || err != nil {
				t.Errorf("result %d: %q, %v", at, v, err)
			}
		default:
			if v != "" || !errors.As(err, &e) || e.Message != want[at] || errors.Is(err, errDeclared) != (at == 1) {
				t.Errorf("result %d: %q, %v", at, v, err)
			}
		}
		at++
	}
	if at != len(want) {
		t.Errorf("%d results", at)
	}
}

// counting yields ins, and counts in *taken how many it has.
func counting[T any](ins []T, taken *int) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, in := range ins {
			if *taken++; !yield(in) {
				return
			}
		}
	}
}

func testMapBound(t *trial) {
	const bound = 3
	for _, opts := range [][]fray.MapOption{nil, {fray.MapAsCompleted()}} {
		names, all := newGates(8)
		full := make(chan struct{})
		opened := make(chan struct{})
		go func() {
			defer close(opened)
			<-full
			for _, g := range all {
				close(g.opened)
			}
		}()
		taken, yielded := 0, 0
		ins := func(yield func(string) bool) {
			for in := range counting(names, &taken) {
				if taken-yielded > bound {
					t.Errorf("%d inputs are taken, and %d results yielded", taken, yielded)
				}
				if taken == bound {
					close(full)
				}
				if !yield(in) {
					return
				}
			}
		}
		for _, err := range fray.Map(t.ctx, meet, ins, append(opts, fray.MapInFlight(bound))...) {
			if yielded++; err != nil {
				t.Error(err)
			}
		}
		<-opened
		if yielded != len(names) {
			t.Errorf("%d results", yielded)
		}
	}
}

func testMapProgress(t *trial) {
	const n = 50
	for _, opts := range [][]fray.MapOption{{fray.MapInFlight(4)}, {fray.MapInFlight(4), fray.MapAsCompleted()}} {
		var done, taken, results int
		report := func(d, k int) {
			if (d != done || k != taken+1) && (d != done+1 || k != taken) || d > k || k > results+4 {
				t.Errorf("%d of %d, after %d of %d and %d results", d, k, done, taken, results)
			}
			done, taken = d, k
		}
		for v, err := range fray.Map(t.ctx, echo, slices.Values(append(inputs(n-1), "\xff")), append(opts, fray.MapProgress(report))...) {
			if results++; done < results || (v == "") != (err != nil) {
				t.Errorf("result %d is %q, %v, and %d are done", results, v, err, done)
			}
		}
		if done != n || taken != n || results != n {
			t.Errorf("in the end: %d of %d, and %d results", done, taken, results)
		}
	}
}

func testMapIDs(t *trial) {
	at := 0
	for info, err := range fray.Map(t.ctx, tell, slices.Values(make([]struct{}, 5)), fray.WithTaskID(t.jc.JobID()), fray.WithRetries(4)) {
		if want := t.jc.JobID() + "/" + strconv.Itoa(at); err != nil || info.TaskID != want || info.MaxAttempts != 5 {
			t.Errorf("%+v, %v: want task %s", info, err, want)
		}
		at++
	}
}

func testMapRejects(t *trial) {
	for _, tt := range []struct {
		ctx    context.Context
		option fray.MapOption
		want   string
	}{
		{t.ctx, fray.MapInFlight(0), "inputs in flight 0"},
		{t.ctx, fray.MapInFlight(1<<20 + 1), "inputs in flight 1048577"},
		{t.ctx, fray.WithRetries(-1), "retries -1"},
		{t.Context(), fray.MapAsCompleted(), fray.ErrNoJobContext.Error()},
	} {
		taken, rounds := 0, 0
		for _, err := range fray.Map(tt.ctx, echo, counting([]string{"x"}, &taken), tt.option) {
			if rounds++; err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "echo") {
				t.Errorf("got %v, want one that has %q", err, tt.want)
			}
		}
		if rounds != 1 || taken != 0 {
			t.Errorf("%s: %d rounds, and %d inputs taken", tt.want, rounds, taken)
		}
	}
}

func testMapContext(t *trial) {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	var errs []error
	taken := 0
	for v, err := range fray.Map(ctx, echo, counting(inputs(100), &taken), fray.MapInFlight(10)) {
		if errs = append(errs, err); len(errs) == 1 && v != "0" {
			t.Errorf("got %q", v)
		}
		cancel()
	}
	if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], context.Canceled) || taken > 12 {
		t.Errorf("got %v, and %d inputs were taken", errs, taken)
	}
}

func testMapLeft(t *trial) {
	taken, rounds := 0, 0
	for _, err := range fray.Map(t.ctx, echo, counting(inputs(100), &taken), fray.MapInFlight(10)) {
		if rounds++; rounds == 5 || err != nil {
			break
		}
	}
	if rounds != 5 || taken > 15 {
		t.Errorf("%d rounds, and %d inputs were taken", rounds, taken)
	}
}

// areCancelled checks that tasks of a map under the job's id, which were open as it ended, are
// cancelled, as far as the backend knows them.
func areCancelled(t *trial, names []string) {
	t.Helper()
	for i, name := range names[1:] {
		id := fray.WithTaskID(fmt.Sprintf("%s/%d", t.jc.JobID(), i+1))
		if _, err := meet.Run(t.ctx, "none", id); !errors.Is(err, fray.ErrAlreadyExists) {
			if err != nil || i == 0 {
				t.Errorf("task %d: %v, want that it is known", i+1, err)
			}
			continue
		}
		if v, err := run(t, meet, name, id).Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("task %d: %q, %v", i+1, v, err)
		}
	}
}

func testMapCancels(t *trial) {
	names, all := newGates(6)
	close(all[0].opened)
	for v, err := range fray.Map(t.ctx, meet, slices.Values(names), fray.WithTaskID(t.jc.JobID()), fray.MapInFlight(4)) {
		if v != names[0] || err != nil {
			t.Fatalf("got %q, %v", v, err)
		}
		<-all[1].entered
		break
	}
	areCancelled(t, names)
}

func testMapPanic(t *trial) {
	names, all := newGates(3)
	ins := func(yield func(string) bool) {
		for i, in := range names {
			if i == 2 && !t.inline {
				<-all[1].entered
			}
			if i == 2 {
				panic("no more")
			}
			if i == 0 || t.inline {
				close(all[i].opened)
			}
			if !yield(in) {
				return
			}
		}
	}
	rounds := 0
	func() {
		defer func() {
			if p := recover(); p != "no more" {
				t.Errorf("recovered %v", p)
			}
		}()
		for v, err := range fray.Map(t.ctx, meet, ins, fray.WithTaskID(t.jc.JobID())) {
			if rounds++; err != nil || v != names[rounds-1] {
				t.Errorf("got %q, %v", v, err)
			}
		}
	}()
	if t.inline {
		if rounds != 2 {
			t.Errorf("%d rounds", rounds)
		}
		return
	}
	areCancelled(t, names[:2])
}

// A submission whose answer is still to come as the loop is left could reach the controller after the
// cancellation of its tasks.
func TestMapCancelsWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.afterSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
		if n > 1 {
			time.Sleep(3 * time.Second)
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		ins := func(yield func(string) bool) {
			for i := range 10 {
				if i > 0 {
					synctest.Wait() // The one before is on its way.
				}
				if i == 2 {
					fake.complete("id/0")
					synctest.Wait()
				}
				if !yield(strconv.Itoa(i)) {
					return
				}
			}
		}
		start := time.Now()
		for v, err := range fray.Map(t.ctx, echo, ins, fray.WithTaskID("id")) {
			if v != "0" || err != nil {
				t.Errorf("got %q, %v", v, err)
			}
			break
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("left after %v, and the submission is answered after 3s", d)
		}
		fake.mu.Lock()
		defer fake.mu.Unlock()
		for id, task := range fake.tasks {
			if status := task.GetTask().GetStatus(); id != "id/0" && status != frayv1.TaskStatus_TASK_STATUS_CANCELLED {
				t.Errorf("%s is %s", id, status)
			}
		}
		if len(fake.tasks) != 2 {
			t.Errorf("%d tasks were submitted, want 2", len(fake.tasks))
		}
	})
}

// While the controller is away, the loop can be left all the same; and what has not been submitted by
// then is not, once it is back.
func TestMapIsLeftDuringAnOutage(t *testing.T) {
	t.Parallel()
	fake := newFake()
	var back atomic.Bool
	fake.beforeSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
		if n > 1 && !back.Load() {
			return wire.Error(wire.ReasonShuttingDown, 0, "away")
		}
		return nil
	}
	fake.echo = true
	withFake(t, fake, func(t *trial) {
		start := time.Now()
		for v, err := range fray.Map(t.ctx, echo, slices.Values(inputs(1000))) {
			if v != "0" || err != nil {
				t.Errorf("got %q, %v", v, err)
			}
			break
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("left after %v", d)
		}
		back.Store(true)
		time.Sleep(time.Minute)
		fake.mu.Lock()
		defer fake.mu.Unlock()
		if len(fake.tasks) > fake.submits[0] {
			t.Errorf("%d tasks were submitted, %d of them before the outage", len(fake.tasks), fake.submits[0])
		}
	})
}

// A task that is refused is an error in its place.
func TestMapYieldsRefusals(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo = true
	fake.refuse = func(spec *frayv1.TaskSpec) connect.Code {
		if spec.GetTaskId() == "id/2" {
			return connect.CodeAlreadyExists
		}
		return 0
	}
	withFake(t, fake, func(t *trial) {
		var got []string
		for v, err := range fray.Map(t.ctx, echo, slices.Values(inputs(4)), fray.WithTaskID("id")) {
			if got = append(got, v); errors.Is(err, fray.ErrAlreadyExists) != (len(got) == 3) {
				t.Errorf("result %d: %q, %v", len(got)-1, v, err)
			}
		}
		if !slices.Equal(got, []string{"0", "1", "", "3"}) {
			t.Errorf("got %q", got)
		}
	})
}
