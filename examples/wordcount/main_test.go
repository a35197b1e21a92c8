package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/examples/wordcount/words"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/fraytest"
)

// sources are what the tests count: package fray and what is below.
const sources = "../../fray"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	goleak.VerifyTestMain(m)
}

// All backends count what one goroutine counts.
func TestBackendsCountTheSame(t *testing.T) {
	t.Parallel()
	var counted atomic.Int64
	elsewhere := fraytest.StartCluster(t, fraytest.Functions(counting(func(n int64) { counted.Store(n) })...)).URL()
	for name, args := range map[string][]string{
		"sync": {"-backend", "sync"}, "threadpool": {"-backend", "threadpool"},
		"fray": nil, "fray elsewhere": {"-address", elsewhere},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend, _, _ := strings.Cut(name, " ")
			var out strings.Builder
			if err := run(t.Context(), append(args, "-dir", sources, "-check"), &out); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if len(lines) != 1+words.TopWords+2 || !strings.Contains(lines[0], " words in "+sources+", ") ||
				!strings.Contains(lines[len(lines)-2], " on "+backend+", and") ||
				lines[len(lines)-1] != "without tasks it is the same" {
				t.Errorf("got\n%s", out.String())
			}
			if backend != name && counted.Load() == 0 {
				t.Error("nothing was counted there")
			}
		})
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-backend", "ray"}, `-backend "ray" must be sync, threadpool or fray`},
		{[]string{"-backend", "sync", "-address", "http://127.0.0.1:7070"}, "tasks run in this process"},
		{[]string{"src"}, "the directory is given with -dir"},
		{[]string{"-dir", filepath.Join(t.TempDir(), "nothing")}, "no such file"},
	} {
		if err := run(t.Context(), tt.args, os.Stderr); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want %s", tt.args, err, tt.want)
		}
	}
}

// counting returns the functions of a worker, and has it told when the n-th text is to be counted.
func counting(tell func(n int64)) []fray.Function {
	functions := words.Functions()
	i := slices.IndexFunc(functions, func(f fray.Function) bool { return f.Name() == words.Count.Name() })
	functions[i] = &counted{Function: functions[i], tell: tell}
	return functions
}

type counted struct {
	fray.Function

	n    atomic.Int64
	tell func(n int64)
}

func (c *counted) Invoke(ctx context.Context, in fray.Payload) (fray.Payload, error) {
	c.tell(c.n.Add(1))
	return c.Function.Invoke(ctx, in)
}
