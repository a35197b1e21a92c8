package fray_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/failure"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func TestInvoke(t *testing.T) {
	t.Parallel()
	second, err := proto.Marshal(durationpb.New(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	type person struct {
		Name string
	}
	greet := fray.Define("greet", func(_ context.Context, p person) (string, error) { return "hi " + p.Name, nil })
	tests := []struct {
		name     string
		function fray.Function
		input    fray.Payload
		encoding string
		data     string
		what     string // of the UndecodableError; empty: none
	}{
		{name: "json", function: echo, input: fray.Payload{Encoding: "json", Data: []byte(`"x"`)}, encoding: "json", data: `"x"`},
		{name: "no input", function: echo, encoding: "json", data: `""`},
		{name: "empty object for an empty struct", function: nothing, input: fray.Payload{Encoding: "json", Data: []byte(`{}`)}, encoding: "json", data: `{}`},
		{name: "unknown fields", function: greet, input: fray.Payload{Encoding: "json", Data: []byte(`{"Name":"Ann","Age":7}`)}, encoding: "json", data: `"hi Ann"`},
		{name: "missing fields", function: greet, input: fray.Payload{Encoding: "json", Data: []byte(`{}`)}, encoding: "json", data: `"hi "`},
		{name: "wrong json", function: greet, input: fray.Payload{Encoding: "json", Data: []byte(`{"Name":1}`)}, what: "input"},
		{name: "torn json", function: greet, input: fray.Payload{Encoding: "json", Data: []byte(`{"Name":"A`)}, what: "input"},
		{name: "more than one json", function: greet, input: fray.Payload{Encoding: "json", Data: []byte(`{} {}`)}, what: "input"},
		{name: "json without data", function: greet, input: fray.Payload{Encoding: "json"}, what: "input"},
		{name: "proto", function: double, input: fray.Payload{Encoding: "proto", Data: second}, encoding: "proto", data: "\b\x02"},
		{name: "proto as json", function: double, input: fray.Payload{Encoding: "json", Data: []byte(`"1s"`)}, encoding: "proto", data: "\b\x02"},
		{name: "proto without input", function: double, encoding: "proto"},
		{name: "torn proto", function: double, input: fray.Payload{Encoding: "proto", Data: []byte{8}}, what: "input"},
		{name: "raw", function: reverse, input: fray.Payload{Encoding: "raw", Data: []byte("abc")}, encoding: "raw", data: "cba"},
		{name: "raw as json", function: reverse, input: fray.Payload{Encoding: "json", Data: []byte(`"abc"`)}, what: "input"},
		{name: "unknown encoding", function: echo, input: fray.Payload{Encoding: "xml", Data: []byte("<x/>")}, what: "input"},
		{name: "result without an encoding", function: unencodable, what: "result"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, err := tt.function.Invoke(t.Context(), tt.input)
			var undecodable *fray.UndecodableError
			if errors.As(err, &undecodable) {
				if undecodable.What != tt.what || undecodable.Function != tt.function.Name() || !errors.Is(err, fray.ErrUndecodable) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || tt.what != "" || out.Encoding != tt.encoding || string(out.Data) != tt.data {
				t.Errorf("got %q %q, %v", out.Encoding, out.Data, err)
			}
		})
	}
}

func TestFunctionsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range functions() {
		if seen[f.Name()] {
			t.Errorf("two are named %s", f.Name())
		}
		seen[f.Name()] = true
	}
}

func TestInvokeReturnsTheFunctionsError(t *testing.T) {
	t.Parallel()
	_, err := fail.Invoke(t.Context(), fray.Payload{Encoding: "json", Data: []byte(`"declared"`)})
	if err.Error() != "wrapped: declared" || !errors.Is(err, errDeclared) {
		t.Errorf("got %v", err)
	}
	defer func() {
		if p := recover(); p != "boom" {
			t.Errorf("recovered %v", p)
		}
	}()
	_, _ = fail.Invoke(t.Context(), fray.Payload{Encoding: "json", Data: []byte(`"panic"`)})
	t.Error("the panic was recovered")
}

// hostileError's methods panic wherever they are called.
type hostileError struct{}

func (*hostileError) Error() string   { panic(hostileError{}) }
func (*hostileError) Is(error) bool   { panic("is") }
func (*hostileError) As(any) bool     { panic("as") }
func (*hostileError) Unwrap() []error { panic("unwrap") }

func TestEncodeError(t *testing.T) {
	t.Parallel()
	plain := errors.New("plain")
	var none *hostileError
	tests := []struct {
		name string
		err  error
		want *frayv1.TaskError
	}{
		{name: "plain", err: plain, want: &frayv1.TaskError{Message: "plain", Type: "*errors.errorString"}},
		{name: "non-retryable", err: fray.NonRetryable(plain), want: &frayv1.TaskError{Message: "plain", Type: "*errors.errorString", NonRetryable: true}},
		{name: "wrapped mark", err: fmt.Errorf("a: %w", fray.NonRetryable(plain)), want: &frayv1.TaskError{Message: "a: plain", Type: "*fmt.wrapError", NonRetryable: true}},
		{name: "retry after", err: fray.RetryAfter(plain, time.Second), want: &frayv1.TaskError{Message: "plain", Type: "*errors.errorString", RetryAfterMs: 1000}},
		{name: "retry at once", err: fray.RetryAfter(plain, -1), want: &frayv1.TaskError{Message: "plain", Type: "*errors.errorString", RetryAfterMs: 1}},
		{name: "retry after years", err: fray.RetryAfter(plain, 1e9*time.Second), want: &frayv1.TaskError{Message: "plain", Type: "*errors.errorString", RetryAfterMs: 86_400_000}},
		{name: "handed back", err: fray.HandBack(plain), want: &frayv1.TaskError{Message: "plain", Type: "*errors.errorString"}},
		{name: "details", err: fmt.Errorf("a: %w", fray.WithDetails(plain, []int{7})), want: &frayv1.TaskError{
			Message: "a: plain", Type: "*fmt.wrapError", Details: &frayv1.Payload{Encoding: "json", Data: []byte("[7]")},
		}},
		{name: "nil", err: nil, want: &frayv1.TaskError{Type: "<nil>"}},
		{name: "hostile", err: none, want: &frayv1.TaskError{Type: "*fray_test.hostileError"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := failure.Encode(tt.err)
			if tt.want.Message == "" {
				if !strings.Contains(got.GetMessage(), "not available") {
					t.Errorf("message %q", got.GetMessage())
				}
				got.Message = ""
			}
			if !proto.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if _, err := proto.Marshal(got); err != nil {
				t.Error(err)
			}
		})
	}
	if err := errors.Join(fray.NonRetryable(nil), fray.RetryAfter(nil, 1), fray.HandBack(nil), fray.WithDetails(nil, 1)); err != nil {
		t.Errorf("marks of nil: %v", err)
	}
}

func TestDetailsOf(t *testing.T) {
	t.Parallel()
	task := fray.Define("details", func(ctx context.Context, late bool) (int, error) {
		if late {
			<-ctx.Done()
		}
		return 0, fray.WithDetails(errors.New("no"), []string{"a", "b"})
	})
	jc, err := fray.NewJobContext(t.Context(), fray.KindSync)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := jc.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, late := range []bool{false, true} {
		_, err = task.Call(fray.NewContext(t.Context(), jc), late, fray.WithExecutionTimeout(50*time.Millisecond))
		details, ok := fray.DetailsOf[[]string](err)
		if !ok || len(details) != 2 || details[1] != "b" || errors.Is(err, context.DeadlineExceeded) != late {
			t.Errorf("late %v: got %q, %v of %v", late, details, ok, err)
		}
		if _, ok := fray.DetailsOf[int](err); ok {
			t.Error("a list is a number")
		}
	}
	if _, ok := fray.DetailsOf[[]string](errors.New("plain")); ok {
		t.Error("details of nothing")
	}
	if got, ok := fray.DetailsOf[int](fray.WithDetails(errors.New("plain"), 7)); !ok || got != 7 {
		t.Errorf("got %d, %v", got, ok)
	}
}

func FuzzEncodeErrorCanBeSent(f *testing.F) {
	f.Add("plain")
	f.Add("\xff\xfe")
	f.Add(strings.Repeat("é", failure.MaxBytes))
	f.Fuzz(func(t *testing.T, text string) {
		e := failure.Encode(errors.New(text))
		if len(e.GetMessage()) > failure.MaxBytes {
			t.Errorf("%d bytes", len(e.GetMessage()))
		}
		if _, err := proto.Marshal(e); err != nil {
			t.Error(err)
		}
	})
}

// slot records what is asked of it.
type slot struct {
	mu       sync.Mutex
	calls    []string
	granting chan struct{} // the wait after Unblock is for it; nil: it does not
}

func (s *slot) Block() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, "block")
}

func (s *slot) Unblock() (wait func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, "unblock")
	return func() {
		if s.granting != nil {
			<-s.granting
		}
	}
}

func TestSlotIsLentOnlyToWait(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		ctx := t.ctx
		s := &slot{}
		inTask := attempt.WithSlot(ctx, s)
		done := run(t, echo, "x")
		<-done.Done()
		name, g := newGate()
		f := run(t, meet, name)
		<-g.entered
		both := []*fray.Future[string]{done, f}

		_, err1 := done.Get(inTask)
		_, _, err2 := fray.Wait(inTask, both, 1, -1)
		_, _, err3 := fray.Wait(inTask, both, 2, 0)
		for _, err := range fray.AsCompleted(inTask, both) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if err := errors.Join(err1, err2, err3); err != nil || len(s.calls) != 0 {
			t.Errorf("%v, %v", err, s.calls)
		}

		if _, _, err := fray.Wait(inTask, both, 2, time.Second); err != nil || !slices.Equal(s.calls, []string{"block", "unblock"}) {
			t.Errorf("%v, %v", err, s.calls)
		}
		short, cancel := context.WithTimeout(inTask, time.Second)
		defer cancel()
		if _, err := f.Get(short); !errors.Is(err, context.DeadlineExceeded) || !slices.Equal(s.calls[2:], []string{"block", "unblock"}) {
			t.Errorf("%v, %v", err, s.calls)
		}
		close(g.opened)
	}, fray.WithWorkers(2))
}

func TestSlotIsLentOnceForAllGoroutinesOfATask(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		ctx := t.ctx
		s := &slot{granting: make(chan struct{})}
		inTask := attempt.WithSlot(ctx, s)
		var futures []*fray.Future[string]
		var opened []*gate
		for range 3 {
			name, g := newGate()
			futures = append(futures, run(t, meet, name))
			<-g.entered
			opened = append(opened, g)
		}
		var group sync.WaitGroup
		get := func(i int) {
			group.Go(func() {
				if _, err := futures[i].Get(inTask); err != nil {
					t.Error(err)
				}
			})
		}
		calls := func(want ...string) {
			t.Helper()
			time.Sleep(time.Second)
			if s.mu.Lock(); !slices.Equal(s.calls, want) {
				t.Errorf("calls %v, want %v", s.calls, want)
			}
			s.mu.Unlock()
		}
		get(0)
		get(1)
		calls("block")
		close(opened[0].opened)
		calls("block") // the other one still waits
		close(opened[1].opened)
		calls("block", "unblock") // nobody does, but there is no slot yet
		get(2)
		calls("block", "unblock")
		close(s.granting)
		calls("block", "unblock", "block") // it is lent again for the third
		close(opened[2].opened)
		group.Wait()
		calls("block", "unblock", "block", "unblock")
	}, fray.WithWorkers(3))
}
