package fray_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/frayrpc/fray/fray"
)

// counted is how often count was executed, by the ids of its tasks.
var counted sync.Map

type names struct{ Names []string }

// The tasks of the tests of every backend. A worker of the fray backend has to run in this process,
// because some of them meet their test at a gate.
var (
	errDeclared   = errors.New("declared")
	errUndeclared = errors.New("undeclared")

	echo = fray.Define("echo", func(_ context.Context, s string) (string, error) { return s, nil })

	deep = fray.Define("deep", func(_ context.Context, d document) (*document, error) { return &d, nil })

	double = fray.Define("double", func(_ context.Context, d *durationpb.Duration) (*durationpb.Duration, error) {
		return durationpb.New(2 * d.AsDuration()), nil
	})

	reverse = fray.Define("reverse", func(_ context.Context, b []byte) ([]byte, error) {
		out := make([]byte, len(b))
		for i := range b {
			out[len(b)-1-i] = b[i]
		}
		return out, nil
	})

	count = fray.Define("count", func(ctx context.Context, _ int) (int64, error) {
		info, _ := fray.InTask(ctx)
		n, _ := counted.LoadOrStore(info.TaskID, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		return time.Now().UnixNano(), nil
	})

	size = fray.Define("size", func(_ context.Context, b []byte) (int, error) { return len(b), nil })

	fill = fray.Define("fill", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })

	changed = fray.Define("changed", func(context.Context, struct{}) (names, error) { return names{[]string{"a", "\xff"}}, nil })

	nothing = fray.Define("nothing", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })

	fail = fray.Define("fail", func(_ context.Context, how string) (string, error) {
		switch how {
		case "declared":
			return "", fmt.Errorf("wrapped: %w", errDeclared)
		case "undeclared":
			return "", fmt.Errorf("wrapped: %w", errUndeclared)
		case "non-retryable":
			return "", fray.NonRetryable(fmt.Errorf("hopeless: %w", errDeclared))
		case "panic":
			panic("boom")
		case "panic with an error":
			panic(errDeclared)
		case "exit":
			runtime.Goexit()
		case "huge":
			return "", errors.New(strings.Repeat("é", 1<<20))
		case "invalid":
			return "", errors.New("\xff\xfe")
		case "bad error":
			return "", badError{}
		case "typed":
			return "", typedError{}
		}
		return how, nil
	}, fray.Errors(errDeclared))

	flaky = fray.Define("flaky", func(ctx context.Context, failures int) (int, error) {
		info, ok := fray.InTask(ctx)
		if !ok {
			return 0, errors.New("not in a task")
		}
		if info.Attempt <= failures {
			return 0, fmt.Errorf("failure %d: %w", info.Attempt, errDeclared)
		}
		return info.Attempt, nil
	}, fray.Errors(errDeclared), fray.WithBackoff(time.Millisecond, 1, time.Millisecond))

	notBefore = fray.Define("not-before", func(ctx context.Context, _ struct{}) (time.Time, error) {
		info, _ := fray.InTask(ctx)
		return info.NotBefore, nil
	})

	later = fray.Define("later", func(ctx context.Context, d time.Duration) (int, error) {
		info, _ := fray.InTask(ctx)
		if info.Attempt == 1 {
			return 0, fray.RetryAfter(errors.New("not yet"), d)
		}
		return info.Attempt, nil
	}, fray.WithRetries(1), fray.WithBackoff(time.Hour, 1, time.Hour))

	hang = fray.Define("hang", func(ctx context.Context, _ struct{}) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})

	hangOnce = fray.Define("hang-once", func(ctx context.Context, _ struct{}) (string, error) {
		if info, _ := fray.InTask(ctx); info.Attempt > 1 {
			return "done", nil
		}
		<-ctx.Done()
		return "", ctx.Err()
	})

	unencodable = fray.Define("unencodable", func(context.Context, struct{}) (map[string]any, error) {
		return map[string]any{"a": func() {}}, nil
	})

	// strict is known to clients under another input type as lax.
	strict = fray.Define("strict", func(_ context.Context, n int) (int, error) { return n, nil })
	lax    = fray.Define("strict", func(_ context.Context, s string) (int, error) { return len(s), nil })

	tell = fray.Define("tell", func(ctx context.Context, _ struct{}) (fray.TaskInfo, error) {
		info, _ := fray.InTask(ctx)
		return info, nil
	})

	meet = fray.Define("meet", meetAt)

	// fibonacci waits for its own kind, deeper than there are slots.
	fibonacci *fray.Task[int, int]

	// chain waits for the one below it in each of the ways.
	chain *fray.Task[int, int]

	// leaves counts those of a tree, of which it maps itself to the branches.
	leaves *fray.Task[int, int]
)

// meetAt meets a test at a gate.
func meetAt(ctx context.Context, name string) (string, error) {
	g := gateOf(name)
	if g == nil {
		return "", fmt.Errorf("no %s", name)
	}
	close(g.entered)
	select {
	case <-g.opened:
		return name, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func init() {
	fibonacci = fray.Define("fibonacci", func(ctx context.Context, n int) (int, error) {
		if n < 2 {
			return n, nil
		}
		futures, err := fibonacci.RunAll(ctx, []int{n - 1, n - 2})
		if err != nil {
			return 0, err
		}
		sum := 0
		for f, err := range fray.AsCompleted(ctx, futures) {
			if err != nil {
				return 0, err
			}
			v, err := f.Get(ctx)
			if err != nil {
				return 0, err
			}
			sum += v
		}
		return sum, nil
	})
	chain = fray.Define("chain", func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 0, nil
		}
		f, err := chain.Run(ctx, n-1)
		if err != nil {
			return 0, err
		}
		if n%2 == 0 {
			if _, _, err := fray.Wait(ctx, []*fray.Future[int]{f}, 1, -1); err != nil {
				return 0, err
			}
		}
		v, err := f.Get(ctx)
		return v + 1, err
	})
	leaves = fray.Define("leaves", func(ctx context.Context, depth int) (int, error) {
		if depth == 0 {
			return 1, nil
		}
		opts := []fray.MapOption{fray.MapInFlight(2)}
		if depth%2 == 0 {
			opts = append(opts, fray.MapAsCompleted())
		}
		sum := 0
		for n, err := range fray.Map(ctx, leaves, slices.Values([]int{depth - 1, depth - 1, depth - 1}), opts...) {
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	})
}

// functions are all that a worker has to know.
func functions() []fray.Function {
	return append(slices.Concat(actorFunctions(), limitFunctions(), scheduleFunctions(), gangFunctions()),
		echo, deep, double, reverse, nothing, count, size, fill, changed, fail, flaky, notBefore, later, hang, hangOnce, unencodable, strict, tell, meet, fibonacci, chain, leaves,
		lengthOf, digest, joined,
		square, sumOf, settledOf, increment, shout, lengthLater, sizeOf, spread, passOn, giveBack, keysOf, attached,
		rawFunction{}, environment, below, openChild,
	)
}

// document has what JSON can carry, nested.
type document struct {
	Name   string                      `json:"name"`
	Nested map[string]map[string][]int `json:"nested"`
	List   []*document                 `json:"list,omitempty"`
	Next   *document                   `json:"next,omitempty"`
	At     time.Time                   `json:"at"`
	Took   time.Duration               `json:"took"`
	Raw    []byte                      `json:"raw"`
	Ratio  float64                     `json:"ratio"`
	Any    any                         `json:"any"`
	Flag   *bool                       `json:"flag"`
}

type badError struct{}

func (badError) Error() string { panic("no text") }

type typedError struct{}

func (typedError) Error() string { return "typed" }

// gate is where a running task and its test meet.
type gate struct {
	entered chan struct{}
	opened  chan struct{}
}

var (
	gates     sync.Map // by name
	gateCount atomic.Int64
)

// newGate returns a gate and the name by which the task meet finds it.
func newGate() (string, *gate) {
	name := fmt.Sprintf("gate %d", gateCount.Add(1))
	g := &gate{entered: make(chan struct{}), opened: make(chan struct{})}
	gates.Store(name, g)
	return name, g
}

// gateOf returns the gate of a name; nil: there is none.
func gateOf(name string) *gate {
	found, _ := gates.Load(name)
	g, _ := found.(*gate)
	return g
}
