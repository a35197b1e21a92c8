package fray_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
)

var (
	// environment tells what its job has it see.
	environment = fray.Define("environment", func(ctx context.Context, _ struct{}) (map[string]string, error) {
		return fray.Environment(ctx), nil
	})

	// below tells what a task sees in a job context of its own, of this process, that a task opens.
	below = fray.Define("below", func(ctx context.Context, own map[string]string) (map[string]string, error) {
		jc, err := fray.NewJobContext(ctx, fray.KindSync, fray.WithEnvironment(own))
		if err != nil {
			return nil, err
		}
		defer jc.Close()
		return environment.Call(fray.NewContext(ctx, jc), struct{}{})
	})

	// openChild runs echo in a job of a controller that a task opens, and tells its own job.
	openChild = fray.Define("open-child", func(ctx context.Context, child [2]string) (string, error) {
		info, _ := fray.InTask(ctx)
		jc, err := fray.NewJobContext(ctx, fray.KindFray, fray.WithControllerAddress(child[0]),
			fray.WithJobID(child[1]), fray.WithLogger(nil))
		if err != nil {
			return "", err
		}
		defer jc.Close()
		_, err = echo.Run(fray.NewContext(ctx, jc), "x")
		return info.JobID, err
	})
)

var jobTests = []conformanceTest{
	{
		name: "tasks see the environment of their job", options: []fray.Option{
			fray.WithEnvironment(map[string]string{"A": "1", "EMPTY": "", "B": "x"}),
			fray.WithEnvironment(map[string]string{"B": "Ä=2"}),
		},
		run: func(t *trial) {
			want := map[string]string{"A": "1", "B": "Ä=2", "EMPTY": ""}
			got(t, environment, struct{}{}, want)
			futures, err := environment.RunAll(t.ctx, make([]struct{}, 20))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range futures {
				if v, err := f.Get(t.ctx); err != nil || !maps.Equal(v, want) {
					t.Errorf("got %v, %v", v, err)
				}
			}
			own := map[string]string{"B": "3", "C": "4"}
			got(t, below, own, map[string]string{"A": "1", "B": "3", "C": "4", "EMPTY": ""})
		},
	},
	{name: "tasks of a job without an environment see none", run: func(t *trial) {
		got(t, environment, struct{}{}, nil)
		if e := fray.Environment(t.ctx); e != nil {
			t.Errorf("outside of a task: %v", e)
		}
	}},
	{name: "a job fails as a whole", options: []fray.Option{fray.WithMaxFailed(1)}, run: func(t *trial) {
		var open []*fray.Future[string]
		if !t.inline {
			for range 3 {
				open = append(open, run(t, echo, "never", fray.WithNotBefore(time.Now().Add(time.Hour))))
			}
		}
		repeated := run(t, echo, "a", fray.WithTaskID(t.jc.JobID()+"/a"))
		first := fails(t, fail, "declared", fray.WithRetries(2), fray.WithBackoff(1, 1, 1))
		if first.Attempt != 3 {
			t.Errorf("it has failed after %d attempts", first.Attempt)
		}
		fails(t, fail, "panic")
		for _, f := range open {
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
				t.Errorf("an open task ended with %v", err)
			}
		}
		if _, err := echo.Run(t.ctx, "b"); !errors.Is(err, fray.ErrJobFailed) ||
			!strings.Contains(err.Error(), "has failed as a whole") {
			t.Errorf("run: %v", err)
		}
		if _, err := echo.Call(t.ctx, "b"); !errors.Is(err, fray.ErrJobFailed) {
			t.Errorf("call: %v", err)
		}
		if _, err := echo.RunAll(t.ctx, []string{"b", "c"}); !errors.Is(err, fray.ErrJobFailed) {
			t.Errorf("run all: %v", err)
		}
		if _, _, err := echo.RunOnce(t.ctx, "key", 0, "b"); !errors.Is(err, fray.ErrJobFailed) {
			t.Errorf("run once: %v", err)
		}
		again, err := echo.Run(t.ctx, "a", fray.WithTaskID(repeated.ID()))
		if err != nil {
			t.Fatalf("a task that is known: %v", err)
		}
		if v, err := again.Get(t.ctx); err != nil || v != "a" {
			t.Errorf("got %q, %v", v, err)
		}
	}},
	{
		name: "a job fails past a share of what was submitted", options: []fray.Option{fray.WithMaxFailedShare(0.25)},
		run: func(t *trial) {
			for i := range 7 {
				got(t, echo, fmt.Sprint(i), fmt.Sprint(i))
			}
			fails(t, fail, "declared")
			fails(t, fail, "declared") // 2 of 9
			fails(t, fail, "declared") // 3 of 10
			if _, err := echo.Run(t.ctx, "b"); !errors.Is(err, fray.ErrJobFailed) {
				t.Errorf("got %v", err)
			}
		},
	},
	{name: "a map over a job that fails goes through", options: []fray.Option{fray.WithMaxFailed(2)}, run: func(t *trial) {
		ends := make(map[bool]int) // by whether the job had failed
		ins := slices.Values(slices.Repeat([]string{"declared"}, 50))
		for v, err := range fray.Map(t.ctx, fail, ins, fray.MapInFlight(1)) {
			if err == nil {
				t.Errorf("got %q", v)
			}
			ends[errors.Is(err, fray.ErrJobFailed)]++
		}
		if ends[false] != 3 || ends[true] != 47 {
			t.Errorf("%d failed, and %d were refused", ends[false], ends[true])
		}
	}},
	{
		name: "what fails for what it needs does not count", options: []fray.Option{fray.WithMaxFailed(1)},
		run: func(t *trial) {
			bad := run(t, fail, "declared")
			for range 3 {
				f := run(t, shout, bad)
				if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrDependencyFailed) {
					t.Errorf("got %v", err)
				}
			}
			got(t, echo, "goes on", "goes on")
		},
	},
}

func TestJobOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	for want, opt := range map[string]fray.Option{
		`parent_job_id "a b"`:               fray.WithParentJob("a b"),
		"cannot be its own parent":          fray.WithParentJob("job"),
		`name "1"`:                          fray.WithEnvironment(map[string]string{"1": ""}),
		"are Fray's own":                    fray.WithEnvironment(map[string]string{"FRAY_X": ""}),
		"has a NUL":                         fray.WithEnvironment(map[string]string{"X": "\x00"}),
		"at most 16384 bytes":               fray.WithEnvironment(map[string]string{"X": strings.Repeat("x", 16<<10)}),
		"max failed":                        fray.WithMaxFailed(-1),
		"max failed share 0 is not between": fray.WithMaxFailedShare(0),
		"max failed share 1 is not between": fray.WithMaxFailedShare(1),
		"job weight 0 is not from 1 to 100": fray.WithJobWeight(0),
		"job weight 101 is not":             fray.WithJobWeight(101),
	} {
		for _, kind := range []fray.Kind{fray.KindSync, fray.KindThreadPool, fray.KindFray} {
			jc, err := fray.NewJobContext(t.Context(), kind, fray.WithJobID("job"),
				fray.WithControllerAddress("127.0.0.1:1"), opt)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", kind, err, want)
			}
			if err == nil {
				_ = jc.Close()
			}
		}
	}
}
