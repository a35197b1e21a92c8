package fray_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray"
)

var onceTests = []conformanceTest{
	{name: "a task is the only one of its key", run: func(t *trial) {
		key := t.jc.JobID()
		first, created, err := echo.RunOnce(t.ctx, key, time.Minute, "first")
		if err != nil || !created {
			t.Fatalf("%v, %v", created, err)
		}
		second, created, err := echo.RunOnce(t.ctx, key, 0, "second")
		if err != nil || created || second.ID() != first.ID() {
			t.Fatalf("%v, %v, %v", second, created, err)
		}
		for _, f := range []*fray.Future[string]{first, second} {
			if v, err := f.Get(t.ctx); err != nil || v != "first" {
				t.Errorf("got %q, %v", v, err)
			}
		}
		// It has completed, and the minute is not over.
		third, created, err := echo.RunOnce(t.ctx, key, 0, "third")
		if err != nil || created || third.ID() != first.ID() {
			t.Errorf("%v, %v, %v", third, created, err)
		} else if v, err := third.Get(t.ctx); err != nil || v != "first" {
			t.Errorf("got %q, %v", v, err)
		}
		other, created, err := echo.RunOnce(t.ctx, key+"/other", 0, "other", fray.WithTaskID(key+"/id"))
		if err != nil || !created || other.ID() != key+"/id" {
			t.Errorf("%v, %v, %v", other, created, err)
		}
		_, _, err = nothing.RunOnce(t.ctx, key, 0, struct{}{})
		if !errors.Is(err, fray.ErrAlreadyExists) || !strings.Contains(err.Error(), first.ID()) {
			t.Errorf("another function: %v", err)
		}
	}},
	{name: "a key is free once its task has ended and its period is over", run: func(t *trial) {
		key := t.jc.JobID()
		for _, in := range []string{"a", "b"} {
			f, created, err := echo.RunOnce(t.ctx, key, 0, in)
			if err != nil || !created {
				t.Fatalf("%v, %v", created, err)
			}
			if v, err := f.Get(t.ctx); err != nil || v != in {
				t.Errorf("got %q, %v", v, err)
			}
		}
		for range 2 { // One that fails leaves it at once.
			f, created, err := fail.RunOnce(t.ctx, key+"/fails", time.Minute, "undeclared")
			if err != nil || !created {
				t.Fatalf("%v, %v", created, err)
			}
			if _, err := f.Get(t.ctx); err == nil {
				t.Error("it did not fail")
			}
		}
	}},
	{name: "of many that ask for a key at once one gets it", run: func(t *trial) {
		var group sync.WaitGroup
		var created atomic.Int32
		for range 20 {
			group.Go(func() {
				f, is, err := echo.RunOnce(t.ctx, t.jc.JobID(), time.Minute, "x")
				if err != nil {
					t.Error(err)
					return
				}
				if is {
					created.Add(1)
				}
				if v, err := f.Get(t.ctx); err != nil || v != "x" {
					t.Errorf("got %q, %v", v, err)
				}
			})
		}
		group.Wait()
		if n := created.Load(); n != 1 {
			t.Errorf("%d tasks have one key", n)
		}
	}},
	{name: "keys and periods that there are not are refused", run: func(t *trial) {
		for want, refused := range map[string]func() error{
			"of 1 to 128 characters": func() error { _, _, err := echo.RunOnce(t.ctx, "", 0, ""); return err },
			"UTF-8":                  func() error { _, _, err := echo.RunOnce(t.ctx, "\xff", 0, ""); return err },
			"period":                 func() error { _, _, err := echo.RunOnce(t.ctx, "k", 31*24*time.Hour, ""); return err },
		} {
			if err := refused(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
	}},
}
