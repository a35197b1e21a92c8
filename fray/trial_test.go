package fray_test

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/frayrpc/fray/fray"
)

// trial is a test with a job context, which ctx carries.
type trial struct {
	*testing.T

	ctx    context.Context
	jc     *fray.JobContext
	inline bool // Run returns when the task has ended
}

func newTrial(t *testing.T, jc *fray.JobContext) *trial {
	t.Helper()
	return &trial{T: t, ctx: fray.NewContext(t.Context(), jc), jc: jc, inline: jc.Kind() == fray.KindSync}
}

// newJobContext returns a job context that is closed when the test ends.
func newJobContext(t *testing.T, kind fray.Kind, opts ...fray.Option) *fray.JobContext {
	t.Helper()
	jc, err := fray.NewJobContext(context.Background(), kind, append([]fray.Option{fray.WithLogger(nil)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := jc.Close(); err != nil {
			t.Error(err)
		}
	})
	return jc
}

// inBubble runs a test in virtual time with a job context of a kind.
func inBubble(t *testing.T, kind fray.Kind, test func(*trial), opts ...fray.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(newTrial(t, newJobContext(t, kind, opts...)))
	})
}

// run runs a task that has to be accepted.
func run[In, Out any](t *trial, task *fray.Task[In, Out], in In, opts ...fray.CallOption) *fray.Future[Out] {
	t.Helper()
	f, err := task.Run(t.ctx, in, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// got runs a task that has to end with a value.
func got[In, Out any](t *trial, task *fray.Task[In, Out], in In, want Out, opts ...fray.CallOption) {
	t.Helper()
	v, err := task.Call(t.ctx, in, opts...)
	if err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("%s(%v) = %v, %v; want %v", task.Name(), in, v, err, want)
	}
}

// fails runs a task that has to be accepted and to fail.
func fails[In, Out any](t *trial, task *fray.Task[In, Out], in In, opts ...fray.CallOption) *fray.TaskError {
	t.Helper()
	f := run(t, task, in, opts...)
	_, err := f.Get(t.ctx)
	var e *fray.TaskError
	if !errors.As(err, &e) {
		t.Fatalf("%s(%v): %v, want a *TaskError", task.Name(), in, err)
	}
	if e.TaskID != f.ID() {
		t.Errorf("error of task %s, want %s", e.TaskID, f.ID())
	}
	return e
}

// inputs are n texts, and values gets futures that have to end with them.
func inputs(n int) []string {
	ins := make([]string, n)
	for i := range ins {
		ins[i] = strconv.Itoa(i)
	}
	return ins
}

func values(t *trial, futures []*fray.Future[string]) {
	t.Helper()
	for i, f := range futures {
		if v, err := f.Get(t.ctx); err != nil || v != strconv.Itoa(i) {
			t.Fatalf("future %d: %q, %v", i, v, err)
		}
	}
}

// runInBackground returns what ends run and waits for it.
func runInBackground(tb testing.TB, what string, run func(context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("%s: %v", what, err)
		}
	}
}
