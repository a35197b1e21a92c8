package fray_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
)

// tally is the state of most actors of these tests.
type tally struct {
	total  int
	noted  []int
	inside atomic.Int64
	mu     sync.Mutex
	most   int64
	books  *books
}

// books is what a test sees of its actor.
type books struct {
	constructed, closed atomic.Int64
	ended               chan struct{} // closed with the first Close
}

// Close implements io.Closer.
func (s *tally) Close() error {
	if s.books != nil && s.books.closed.Add(1) == 1 {
		close(s.books.ended)
	}
	return errors.New("of which nobody is told")
}

// enter notes that a call runs, until leave is called.
func (s *tally) enter() (leave func()) {
	n := s.inside.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = max(s.most, n)
	return func() { s.inside.Add(-1) }
}

// opening is the input of a tally.
type opening struct {
	Start int
	Book  string // names what the test sees of it; empty: nothing
	Fails int    // so often the constructor fails first, on the backends that construct it in this process
	How   string
}

var (
	allBooks  sync.Map // by name
	bookCount atomic.Int64
)

// newBook returns books and the name by which a tally finds them.
func newBook() (string, *books) {
	name := fmt.Sprintf("book %d", bookCount.Add(1))
	b := &books{ended: make(chan struct{})}
	allBooks.Store(name, b)
	return name, b
}

func newTally(_ context.Context, in opening) (*tally, error) {
	s := &tally{total: in.Start}
	if found, ok := allBooks.Load(in.Book); ok {
		s.books, _ = found.(*books)
		if int(s.books.constructed.Add(1)) <= in.Fails {
			return nil, fmt.Errorf("not yet: %w", errDeclared)
		}
	}
	switch in.How {
	case "error":
		return nil, fmt.Errorf("wrapped: %w", errDeclared)
	case "panic":
		panic("boom")
	case "nil":
		return nil, nil //nolint:nilnil // That is what is tested.
	}
	return s, nil
}

// step is the input of a method that waits for what the test does.
type step struct {
	Gate string
	Task string // that it waits for, and lends its slot
	N    int
}

// member is an actor in a value.
type member struct {
	Actor *fray.Actor[*tally]
	By    int
}

// ledgerState is the state of actors with checkpoints.
type ledgerState struct {
	entries []byte
	broken  string
}

func (s *ledgerState) Checkpoint() ([]byte, error) {
	switch s.broken {
	case "error":
		return nil, errDeclared
	case "panic":
		panic("boom")
	case "large":
		return make([]byte, 1<<20+1), nil
	}
	return s.entries, nil
}

func (s *ledgerState) Restore(checkpoint []byte) error {
	if string(checkpoint) == "torn" {
		return errDeclared
	}
	s.entries = checkpoint
	return nil
}

// The classes and methods of the tests about actors, and tasks that call them.
var (
	tallies     = fray.DefineActor("tally", newTally)
	wideTallies = fray.DefineActor("wide-tally", newTally, fray.WithMaxConcurrency(3))
	add         = fray.DefineMethod(tallies, "add", func(_ context.Context, s *tally, n int) (int, error) {
		s.total += n
		return s.total, nil
	})
	addLater = fray.DefineMethod(tallies, "add-later", func(ctx context.Context, s *tally, f *fray.Future[int]) (int, error) {
		n, err := f.Get(ctx)
		s.total += n
		return s.total, err
	})
	note = fray.DefineMethod(tallies, "note", func(_ context.Context, s *tally, n int) ([]int, error) {
		s.noted = append(s.noted, n)
		return s.noted, nil
	})
	spoil = fray.DefineMethod(tallies, "spoil", func(ctx context.Context, s *tally, how string) (string, error) {
		switch how {
		case "error":
			return "", fmt.Errorf("wrapped: %w", errDeclared)
		case "panic":
			panic("boom")
		case "exit":
			runtime.Goexit()
		case "hang":
			<-ctx.Done()
			return "", ctx.Err()
		case "flaky":
			s.total++
			if info, _ := fray.InTask(ctx); info.Attempt < 3 {
				return "", errDeclared
			}
		}
		return how, nil
	}, fray.Errors(errDeclared), fray.WithBackoff(time.Millisecond, 1, time.Millisecond))
	// stuck ignores its context: it tells its gate once that is done, and returns once the gate is open.
	stuck = fray.DefineMethod(tallies, "stuck", func(ctx context.Context, s *tally, name string) (int, error) {
		leave := s.enter()
		defer leave()
		g := gateOf(name)
		<-ctx.Done()
		close(g.entered)
		<-g.opened
		s.total = 1000
		return 0, nil
	})
	meetThere = fray.DefineMethod(tallies, "meet", func(ctx context.Context, _ *tally, name string) (string, error) {
		return meetAt(ctx, name)
	})
	// visit waits for a task, and lends its slot meanwhile.
	visit     = fray.DefineMethod(tallies, "visit", visitTally)
	visitWide = fray.DefineMethod(wideTallies, "visit", visitTally)
	info      = fray.DefineMethod(tallies, "info", func(ctx context.Context, _ *tally, _ struct{}) (fray.TaskInfo, error) {
		info, _ := fray.InTask(ctx)
		return info, nil
	})
	mostInside = fray.DefineMethod(tallies, "most-inside", func(_ context.Context, s *tally, _ struct{}) (int64, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.most, nil
	})
	// addOfTask is known to clients as a task, and to workers as a method.
	addOfTask     = fray.Define("tally.add", func(context.Context, int) (int, error) { return 0, nil })
	talliesOfTask = fray.Define("tally", func(context.Context, opening) (int, error) { return 0, nil })

	ledgers = fray.DefineActor("ledger", func(_ context.Context, broken string) (*ledgerState, error) {
		return &ledgerState{broken: broken}, nil
	})
	enterEntry = fray.DefineMethod(ledgers, "enter", func(_ context.Context, s *ledgerState, b []byte) ([]byte, error) {
		s.entries = append(s.entries, b...)
		return s.entries, nil
	}, fray.Errors(errDeclared))

	addBy = fray.Define("add-by", func(ctx context.Context, in member) (int, error) {
		return add.Call(ctx, in.Actor, in.By)
	})
	// founded creates an actor, and returns it.
	founded = fray.Define("founded", func(ctx context.Context, n int) (member, error) {
		a, err := tallies.Create(ctx, opening{Start: n})
		return member{Actor: a, By: n}, err
	})
	// lateTallies are constructed from what a task has ended with.
	lateTallies = fray.DefineActor("late-tally", func(ctx context.Context, f *fray.Future[int]) (*tally, error) {
		n, err := f.Get(ctx)
		return &tally{total: n}, err
	})
	addToLate = fray.DefineMethod(lateTallies, "add", func(_ context.Context, s *tally, n int) (int, error) {
		s.total += n
		return s.total, nil
	})
)

func visitTally(ctx context.Context, s *tally, in step) (int, error) {
	leave := s.enter()
	defer leave()
	if in.Gate != "" {
		close(gateOf(in.Gate).entered)
	}
	if in.Task == "" {
		_, err := echo.Call(ctx, "")
		return in.N, err
	}
	f, err := fray.Attach[string](ctx, in.Task)
	if err != nil {
		return 0, err
	}
	if _, err := f.Get(ctx); !errors.Is(err, fray.ErrCancelled) || ctx.Err() != nil {
		return 0, fmt.Errorf("the task: %w", err)
	}
	return in.N, nil
}

// actorFunctions are those of the tests about actors that a worker has to know.
func actorFunctions() []fray.Function {
	return []fray.Function{
		tallies, wideTallies, add, addLater, note, spoil, stuck, meetThere, visit, visitWide, info, mostInside,
		ledgers, enterEntry, lateTallies, addToLate, addBy, founded,
	}
}

// tallying creates a tally that has to be accepted.
func tallying(t *trial, in opening, opts ...fray.ActorOption) *fray.Actor[*tally] {
	t.Helper()
	a, err := tallies.Create(t.ctx, in, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// calling calls an actor with what has to be accepted.
func calling[S, In, Out any](t *trial, m *fray.Method[S, In, Out], a *fray.Actor[S], in In, opts ...fray.CallOption) *fray.Future[Out] {
	t.Helper()
	f, err := m.Run(t.ctx, a, in, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// totals calls an actor that has to have a total after n is added.
func totals(t *trial, a *fray.Actor[*tally], n, want int) {
	t.Helper()
	if v, err := add.Call(t.ctx, a, n); err != nil || v != want {
		t.Errorf("the total is %d, %v; want %d", v, err, want)
	}
}

// dead checks what a call ends with whose actor is dead.
func dead(t *trial, err error, why string) {
	t.Helper()
	var e *fray.TaskError
	if !errors.Is(err, fray.ErrActorDead) || !errors.As(err, &e) || e.Reason != fray.ReasonActorDead || !strings.Contains(err.Error(), why) {
		t.Errorf("got %v, want that the actor is dead: %s", err, why)
	}
}

var actorTests = []conformanceTest{
	{name: "an actor keeps its state between calls", run: func(t *trial) {
		a, b := tallying(t, opening{Start: 10}), tallying(t, opening{})
		totals(t, a, 1, 11)
		totals(t, a, 2, 13)
		totals(t, b, 1, 1)
		if a.ID() == b.ID() {
			t.Errorf("two actors have the id %s", a.ID())
		}
	}},
	{name: "calls come in their order", run: func(t *trial) {
		a := tallying(t, opening{})
		var last *fray.Future[[]int]
		want := make([]int, 200)
		for i := range want {
			want[i] = i
			last = calling(t, note, a, i)
		}
		if got, err := last.Get(t.ctx); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v", got, err)
		}
	}},
	{name: "calls of a batch come in their order", run: func(t *trial) {
		a := tallying(t, opening{})
		want := make([]int, 3000)
		for i := range want {
			want[i] = i
		}
		futures, err := note.RunAll(t.ctx, a, want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := futures[len(want)-1].Get(t.ctx); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v", got, err)
		}
		if got, err := futures[0].Get(t.ctx); err != nil || !slices.Equal(got, want[:1]) {
			t.Errorf("got %v, %v", got, err)
		}
	}},
	{name: "an actor is found by its name", run: func(t *trial) {
		name := t.jc.JobID() + "/found"
		a := tallying(t, opening{Start: 5}, fray.WithActorName(name))
		totals(t, a, 1, 6)
		again := tallying(t, opening{Start: 5}, fray.WithActorName(name))
		found, err := tallies.Find(t.ctx, name)
		if err != nil || *found != *a || *again != *a {
			t.Errorf("got %v and %v, %v; want %v", again, found, err, a)
		}
		totals(t, again, 1, 7)
	}},
	{name: "an unknown name is that of no actor", run: func(t *trial) {
		if a, err := tallies.Find(t.ctx, t.jc.JobID()+"/none"); !errors.Is(err, fray.ErrUnknownActor) || !strings.Contains(err.Error(), t.jc.JobID()+"/none") {
			t.Errorf("got %v, %v", a, err)
		}
		if _, err := tallies.Find(t.ctx, "no name"); err == nil || errors.Is(err, fray.ErrUnknownActor) || !strings.Contains(err.Error(), "actor name") {
			t.Errorf("got %v", err)
		}
	}},
	{name: "a name is that of one class and input", run: func(t *trial) {
		name := t.jc.JobID() + "/taken"
		a := tallying(t, opening{Start: 5}, fray.WithActorName(name))
		_, err1 := tallies.Create(t.ctx, opening{Start: 6}, fray.WithActorName(name))
		_, err2 := wideTallies.Create(t.ctx, opening{Start: 5}, fray.WithActorName(name))
		for _, err := range []error{err1, err2} {
			if !errors.Is(err, fray.ErrAlreadyExists) || connect.CodeOf(err) != connect.CodeAlreadyExists || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v", err)
			}
		}
		if _, err := wideTallies.Find(t.ctx, name); err == nil || !strings.Contains(err.Error(), "it is of class tally") {
			t.Errorf("got %v", err)
		}
		totals(t, a, 1, 6)
	}},
	{name: "a name is free once its actor is deleted", run: func(t *trial) {
		name := t.jc.JobID() + "/free"
		a := tallying(t, opening{}, fray.WithActorName(name))
		totals(t, a, 3, 3)
		if err := errors.Join(a.Delete(t.ctx), a.Delete(t.ctx)); err != nil {
			t.Error(err)
		}
		if _, err := tallies.Find(t.ctx, name); !errors.Is(err, fray.ErrUnknownActor) {
			t.Errorf("got %v", err)
		}
		b := tallying(t, opening{Start: 100}, fray.WithActorName(name))
		totals(t, b, 1, 101)
		if a.ID() == b.ID() {
			t.Errorf("it has the id of the one that was deleted: %v", a)
		}
	}},
	{name: "an actor has the id that it was given", run: func(t *trial) {
		id := fray.WithTaskID(t.jc.JobID() + "/actor")
		a := tallying(t, opening{Start: 1}, id)
		totals(t, a, 1, 2)
		if again := tallying(t, opening{Start: 1}, id); a.ID() != t.jc.JobID()+"/actor" || *again != *a {
			t.Errorf("got %v and %v", a, again)
		}
		if _, err := tallies.Create(t.ctx, opening{Start: 2}, id); !errors.Is(err, fray.ErrAlreadyExists) {
			t.Errorf("got %v", err)
		}
		totals(t, a, 1, 3)
	}},
	{name: "a call of a deleted actor fails", run: func(t *trial) {
		a := tallying(t, opening{})
		totals(t, a, 1, 1)
		if err := a.Delete(t.ctx); err != nil {
			t.Error(err)
		}
		f := calling(t, add, a, 1)
		_, err := f.Get(t.ctx)
		dead(t, err, f.ID())
	}},
	{name: "a call that runs is stopped with its actor", detached: true, run: func(t *trial) {
		a := tallying(t, opening{})
		name, g := newGate()
		f := calling(t, meetThere, a, name, fray.WithRetries(3))
		waiting := calling(t, add, a, 1)
		<-g.entered
		if err := a.Delete(t.ctx); err != nil {
			t.Error(err)
		}
		_, err := f.Get(t.ctx)
		dead(t, err, f.ID())
		_, err = waiting.Get(t.ctx)
		dead(t, err, waiting.ID())
	}},
	{name: "an actor that cannot be constructed is dead", run: func(t *trial) {
		for how, cause := range map[string]string{"error": "wrapped: declared", "panic": "boom", "nil": "neither a state nor an error"} {
			a := tallying(t, opening{How: how}, fray.WithMaxRestarts(1), fray.WithBackoff(time.Millisecond, 1, time.Millisecond))
			f := calling(t, add, a, 1)
			_, err := f.Get(t.ctx)
			dead(t, err, cause)
			_, err = add.Call(t.ctx, a, 1)
			dead(t, err, cause)
			if err := a.Delete(t.ctx); err != nil {
				t.Errorf("delete what is dead: %v", err)
			}
		}
	}},
	{name: "a constructor that fails is called again", run: func(t *trial) {
		name, b := newBook()
		a := tallying(t, opening{Start: 7, Book: name, Fails: 2}, fray.WithMaxRestarts(2), fray.WithBackoff(time.Millisecond, 1, time.Millisecond))
		totals(t, a, 1, 8)
		if n := b.constructed.Load(); n != 3 {
			t.Errorf("it was constructed %d times", n)
		}
	}},
	{name: "a constructor waits for the futures in its input", run: func(t *trial) {
		a, err := lateTallies.Create(t.ctx, squares(t, 5)[0])
		if err != nil {
			t.Fatal(err)
		}
		if n, err := addToLate.Call(t.ctx, a, 1); err != nil || n != 26 {
			t.Errorf("got %d, %v", n, err)
		}
	}},
	{name: "a call that fails leaves its actor alive", run: func(t *trial) {
		a := tallying(t, opening{})
		totals(t, a, 1, 1)
		for how, text := range map[string]string{"error": "wrapped: declared", "panic": "boom"} {
			_, err := spoil.Call(t.ctx, a, how)
			var e *fray.TaskError
			if !errors.As(err, &e) || e.Reason != fray.ReasonApplication || e.Function != "tally.spoil" || !strings.Contains(e.Message, text) || errors.Is(err, errDeclared) != (how == "error") {
				t.Errorf("%s: got %v", how, err)
			}
		}
		totals(t, a, 1, 2)
	}},
	{name: "a call that ends its goroutine leaves its actor alive", detached: true, run: func(t *trial) {
		a := tallying(t, opening{})
		if _, err := spoil.Call(t.ctx, a, "exit"); err == nil {
			t.Error("no error")
		}
		totals(t, a, 1, 1)
	}},
	{name: "a call that times out leaves its actor alive", run: func(t *trial) {
		a := tallying(t, opening{})
		f := calling(t, spoil, a, "hang", fray.WithExecutionTimeout(10*time.Millisecond))
		totals(t, a, 1, 1)
		if _, err := f.Get(t.ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}},
	{name: "a function that ignores its context keeps its actor", detached: true, run: func(t *trial) {
		a := tallying(t, opening{})
		name, g := newGate()
		f := calling(t, stuck, a, name, fray.WithExecutionTimeout(10*time.Millisecond))
		next := calling(t, add, a, 1)
		<-g.entered // It is past its timeout, and runs.
		if isDone(next) {
			t.Error("the next call has not waited")
		}
		close(g.opened)
		if _, err := f.Get(t.ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if v, err := next.Get(t.ctx); err != nil || v != 1001 {
			t.Errorf("got %d, %v", v, err)
		}
	}},
	{name: "a call is retried on the same state", run: func(t *trial) {
		a := tallying(t, opening{})
		if v, err := spoil.Call(t.ctx, a, "flaky", fray.WithRetries(2)); err != nil || v != "flaky" {
			t.Errorf("got %q, %v", v, err)
		}
		totals(t, a, 1, 4)
		f := calling(t, spoil, a, "error", fray.WithRetries(2))
		_, err := f.Get(t.ctx)
		var e *fray.TaskError
		if !errors.As(err, &e) || e.Attempt != 3 || e.MaxAttempts != 3 || !errors.Is(err, errDeclared) {
			t.Errorf("got %+v", err)
		}
	}},
	{name: "a call waits for the futures in its input", run: func(t *trial) {
		a := tallying(t, opening{})
		if v, err := addLater.Call(t.ctx, a, squares(t, 4)[0]); err != nil || v != 16 {
			t.Errorf("got %d, %v", v, err)
		}
		totals(t, a, 1, 17)
	}},
	{name: "a call that waits has later ones wait", detached: true, run: func(t *trial) {
		a := tallying(t, opening{})
		late := run(t, strict, 5, fray.WithNotBefore(time.Now().Add(200*time.Millisecond)))
		first, second := calling(t, addLater, a, late), calling(t, add, a, 1)
		if v, err := second.Get(t.ctx); err != nil || v != 6 {
			t.Errorf("got %d, %v", v, err)
		}
		if v, err := first.Get(t.ctx); err != nil || v != 5 {
			t.Errorf("got %d, %v", v, err)
		}
	}},
	{name: "a call fails with what it needs, and later ones go on", detached: true, run: func(t *trial) {
		a := tallying(t, opening{})
		never := run(t, strict, 5, fray.WithNotBefore(time.Now().Add(time.Hour)))
		first, second := calling(t, addLater, a, never, fray.WithRetries(2)), calling(t, add, a, 1)
		if err := never.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		_, err := first.Get(t.ctx)
		dependencyFailed(t, err, never.ID())
		if v, err := second.Get(t.ctx); err != nil || v != 1 {
			t.Errorf("got %d, %v", v, err)
		}
	}},
	{name: "a call is a need of others", run: func(t *trial) {
		a := tallying(t, opening{Start: 3})
		f := calling(t, add, a, 1)
		got(t, increment, f, 5)
		if v, err := addLater.Call(t.ctx, a, f); err != nil || v != 8 {
			t.Errorf("got %d, %v", v, err)
		}
	}},
	{name: "an actor travels in inputs and results", run: func(t *trial) {
		a := tallying(t, opening{})
		totals(t, a, 1, 1)
		got(t, addBy, member{a, 4}, 5)
		totals(t, a, 1, 6)
		m, err := founded.Call(t.ctx, 40)
		if err != nil {
			t.Fatal(err)
		}
		totals(t, m.Actor, 2, 42)
		got(t, addBy, m, 82)
	}},
	{name: "calls run at once as far as the class says", detached: true, run: func(t *trial) {
		a, err := wideTallies.Create(t.ctx, opening{})
		if err != nil {
			t.Fatal(err)
		}
		never := run(t, echo, "never", fray.WithNotBefore(time.Now().Add(time.Hour)))
		var gates []*gate
		var futures []*fray.Future[int]
		for i := range 4 {
			name, g := newGate()
			gates = append(gates, g)
			futures = append(futures, calling(t, visitWide, a, step{Gate: name, Task: never.ID(), N: i}))
		}
		for _, g := range gates[:3] {
			<-g.entered
		}
		select {
		case <-gates[3].entered:
			t.Error("a fourth call runs")
		default:
		}
		if err := never.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		for i, f := range futures {
			if v, err := f.Get(t.ctx); err != nil || v != i {
				t.Errorf("got %d, %v", v, err)
			}
		}
	}},
	{name: "calls run one at a time", run: func(t *trial) {
		a := tallying(t, opening{})
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				for i := range 5 {
					if v, err := visit.Call(t.ctx, a, step{N: i}); err != nil || v != i {
						t.Errorf("got %d, %v", v, err)
					}
				}
			})
		}
		callers.Wait()
		if n, err := mostInside.Call(t.ctx, a, struct{}{}); err != nil || n != 1 {
			t.Errorf("%d calls ran at once, %v", n, err)
		}
	}},
	{name: "a call that waits can be cancelled", detached: true, run: func(t *trial) {
		a := tallying(t, opening{})
		name, g := newGate()
		first, second, third := calling(t, meetThere, a, name), calling(t, add, a, 1), calling(t, add, a, 10)
		<-g.entered
		if err := second.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		if _, err := second.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("got %v", err)
		}
		close(g.opened)
		if v, err := first.Get(t.ctx); err != nil || v != name {
			t.Errorf("got %q, %v", v, err)
		}
		if v, err := third.Get(t.ctx); err != nil || v != 10 {
			t.Errorf("got %d, %v", v, err)
		}
	}},
	{name: "a call that runs can be cancelled", detached: true, run: func(t *trial) {
		a := tallying(t, opening{})
		name, g := newGate()
		f := calling(t, meetThere, a, name, fray.WithRetries(2))
		<-g.entered
		if err := f.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("got %v", err)
		}
		totals(t, a, 1, 1)
	}},
	{name: "a call that does not start in time fails", detached: true, run: func(t *trial) {
		a := tallying(t, opening{})
		name, g := newGate()
		first := calling(t, meetThere, a, name)
		<-g.entered
		f := calling(t, add, a, 1, fray.WithSchedulingTimeout(10*time.Millisecond))
		next := calling(t, add, a, 10)
		if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrSchedulingTimeout) {
			t.Errorf("got %v", err)
		}
		close(g.opened)
		if v, err := next.Get(t.ctx); err != nil || v != 10 {
			t.Errorf("got %d, %v", v, err)
		}
		if _, err := first.Get(t.ctx); err != nil {
			t.Error(err)
		}
	}},
	{name: "a call has the id that it was given", run: func(t *trial) {
		a := tallying(t, opening{})
		id := fray.WithTaskID(t.jc.JobID() + "/call")
		for range 3 {
			if v, err := add.Call(t.ctx, a, 5, id); err != nil || v != 5 {
				t.Errorf("got %d, %v", v, err)
			}
		}
		if _, err := add.Run(t.ctx, a, 6, id); !errors.Is(err, fray.ErrAlreadyExists) {
			t.Errorf("got %v", err)
		}
		totals(t, a, 1, 6)
	}},
	{name: "a call sees who it is", run: func(t *trial) {
		f := calling(t, info, tallying(t, opening{}), struct{}{}, fray.WithRetries(4))
		v, err := f.Get(t.ctx)
		if err != nil || v.TaskID != f.ID() || v.JobID != t.jc.JobID() || v.Function != "tally.info" || v.Attempt != 1 || v.MaxAttempts != 5 || v.WorkerID == "" {
			t.Errorf("got %+v, %v", v, err)
		}
	}},
	{name: "what is no actor cannot be called", run: func(t *trial) {
		var a, other *fray.Actor[*tally]
		err := errors.Join(
			json.Unmarshal(fmt.Appendf(nil, `{"actor":"%s/none","class":"tally"}`, t.jc.JobID()), &a),
			json.Unmarshal([]byte(`{"actor":"x","class":"wide-tally"}`), &other),
		)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := add.Run(t.ctx, a, 1); f != nil || !errors.Is(err, fray.ErrUnknownActor) || connect.CodeOf(err) != connect.CodeNotFound || !strings.Contains(err.Error(), a.ID()) {
			t.Errorf("got %v, %v", f, err)
		}
		futures, err := add.RunAll(t.ctx, a, []int{1, 2})
		if !errors.Is(err, fray.ErrUnknownActor) || len(futures) != 2 {
			t.Errorf("got %v, %v", futures, err)
		}
		if err := a.Delete(t.ctx); !errors.Is(err, fray.ErrUnknownActor) {
			t.Errorf("got %v", err)
		}
		if _, err := add.Run(t.ctx, other, 1); err == nil || !strings.Contains(err.Error(), "actor x (wide-tally) is of another class") {
			t.Errorf("got %v", err)
		}
		if _, err := add.Call(t.ctx, nil, 1); err == nil || !strings.Contains(err.Error(), "run tally.add: the actor is nil") {
			t.Errorf("got %v", err)
		}
		if _, err := add.RunAll(t.ctx, new(fray.Actor[*tally]), []int{1}); err == nil || !strings.Contains(err.Error(), "the actor is empty") {
			t.Errorf("got %v", err)
		}
		if _, err := addBy.Run(t.ctx, member{Actor: new(fray.Actor[*tally])}); err == nil || !strings.Contains(err.Error(), "the actor is empty") {
			t.Errorf("got %v", err)
		}
	}},
	{name: "a call asks for nothing of a worker", run: func(t *trial) {
		a := tallying(t, opening{})
		for name, opt := range map[string]fray.CallOption{
			"WithResources": fray.WithResources(map[string]int64{"cpu": 1}), "WithLabels": fray.WithLabels(map[string]string{"a": "b"}), "WithPriority": fray.WithPriority(1),
		} {
			if _, err := add.Run(t.ctx, a, 1, opt); err == nil || !strings.Contains(err.Error(), name+" is no option of a call") {
				t.Errorf("%s: got %v", name, err)
			}
		}
		for name, opt := range map[string]fray.ActorOption{
			"WithRetries": fray.WithRetries(1), "WithExecutionTimeout": fray.WithExecutionTimeout(1), "WithNotBefore": fray.WithNotBefore(time.Now()),
			"WithMaxWorkerLosses": fray.WithMaxWorkerLosses(1), "max restarts": fray.WithMaxRestarts(1001), "max concurrency": fray.WithMaxConcurrency(0),
			"actor name": fray.WithActorName("no name"), "backoff factor": fray.WithBackoff(1, 0, 1),
		} {
			if _, err := tallies.Create(t.ctx, opening{}, opt); err == nil || !strings.Contains(err.Error(), "create tally: ") || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		totals(t, a, 1, 1)
	}},
	{name: "the state of an actor is closed once", run: func(t *trial) {
		name, b := newBook()
		a := tallying(t, opening{Book: name})
		totals(t, a, 1, 1)
		if n := b.closed.Load(); n != 0 {
			t.Errorf("closed %d times before the end", n)
		}
		if err := errors.Join(a.Delete(t.ctx), a.Delete(t.ctx)); err != nil {
			t.Error(err)
		}
		<-b.ended
		if n := b.closed.Load(); n != 1 {
			t.Errorf("closed %d times", n)
		}
	}},
	{name: "a checkpoint that fails fails its call", run: func(t *trial) {
		for broken, cause := range map[string]string{"error": "checkpoint after ledger.enter: declared", "panic": "boom", "large": "checkpoint after ledger.enter has 1048577 bytes, which is more than 1048576"} {
			a, err := ledgers.Create(t.ctx, broken)
			if err != nil {
				t.Fatal(err)
			}
			f := calling(t, enterEntry, a, []byte("x"))
			_, err = f.Get(t.ctx)
			var e *fray.TaskError
			if !errors.As(err, &e) || e.Reason != fray.ReasonApplication || !strings.Contains(e.Message, cause) || errors.Is(err, errDeclared) != (broken == "error") {
				t.Errorf("%s: got %v", broken, err)
			}
		}
		a, err := ledgers.Create(t.ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if v, err := enterEntry.Call(t.ctx, a, []byte("x")); err != nil || len(v) != i+1 {
				t.Errorf("got %q, %v", v, err)
			}
		}
	}},
	{name: "checkpoints are of one call at a time", run: func(t *trial) {
		if _, err := ledgers.Create(t.ctx, "", fray.WithMaxConcurrency(2)); err == nil || !strings.Contains(err.Error(), "*fray_test.ledgerState has checkpoints") {
			t.Errorf("got %v", err)
		}
	}},
	{name: "actors end with their job", detached: true, run: func(t *trial) {
		name, b := newBook()
		a := tallying(t, opening{Book: name})
		totals(t, a, 1, 1)
		if err := t.jc.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		<-b.ended
		_, err := add.Call(t.ctx, a, 1)
		dead(t, err, "")
	}},
	{name: "a closed job context has no actors", run: func(t *trial) {
		a := tallying(t, opening{})
		if err := t.jc.Close(); err != nil {
			t.Error(err)
		}
		_, err1 := tallies.Create(t.ctx, opening{})
		_, err2 := tallies.Find(t.ctx, "x")
		_, err3 := add.Run(t.ctx, a, 1)
		for _, err := range []error{err1, err2, err3, a.Delete(t.ctx)} {
			if !errors.Is(err, fray.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	}},
	{name: "a done context creates no actor", run: func(t *trial) {
		ctx, cancel := context.WithCancel(t.ctx)
		cancel()
		_, err1 := tallies.Create(ctx, opening{})
		_, err2 := tallies.Find(ctx, "x")
		for _, err := range []error{err1, err2, tallying(t, opening{}).Delete(ctx)} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
	}},
	{name: "a class and a method are no tasks", remote: true, run: func(t *trial) {
		if e := fails(t, addOfTask, 1, fray.WithRetries(3)); e.Attempt != 1 || !strings.Contains(e.Message, "tally.add is a method and no task") {
			t.Errorf("got %v", e)
		}
		if e := fails(t, talliesOfTask, opening{}); !strings.Contains(e.Message, "is a class of actors") {
			t.Errorf("got %v", e)
		}
	}},
}
