package controller_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// slowStore takes its time to commit.
type slowStore struct {
	store.Store
	takes   time.Duration
	commits [][]uint64 // the specs of each commit that has some
	largest int        // commit, in bytes
}

func (s *slowStore) Commit(b *store.Batch) error {
	var specs []uint64
	bytes := 0
	for _, op := range b.Ops() {
		bytes += len(op.Value)
		if op.Key.Kind == store.Spec {
			specs = append(specs, op.Key.Num)
		}
	}
	s.largest = max(s.largest, bytes)
	if specs != nil {
		s.commits = append(s.commits, specs)
		time.Sleep(s.takes)
	}
	return s.Store.Commit(b)
}

// start runs a controller on the store until stop is called.
func (s *slowStore) start(t *testing.T) (client frayv1connect.ControllerServiceClient, stop func()) {
	t.Helper()
	c, err := controller.New(controller.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	<-c.Ready()
	_, handler := c.Handler()
	return frayv1connect.NewControllerServiceClient(&http.Client{Transport: direct{handler}}, "http://controller"), func() {
		cancel()
		running.Wait()
	}
}

// All that arrives while a commit is under way is in the next one, so that nobody waits for more
// than two.
func TestCommitsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 10 * time.Millisecond
		s := &slowStore{Store: store.NewMemory(), takes: takes}
		client, stop := s.start(t)
		defer stop()
		begun := time.Now()
		const callers = 6
		took := make([]time.Duration, callers)
		var calls sync.WaitGroup
		for i := range callers {
			calls.Go(func() {
				if _, err := client.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: spec(string(rune('a' + i)))}); err != nil {
					t.Error(err)
				}
				took[i] = time.Since(begun)
			})
			time.Sleep(time.Millisecond)
		}
		calls.Wait()
		if want := []time.Duration{takes, 2 * takes, 2 * takes, 2 * takes, 2 * takes, 2 * takes}; !slices.Equal(took, want) {
			t.Errorf("the calls were answered after %v, want %v", took, want)
		}
		if len(s.commits) != 2 || len(s.commits[0]) != 1 || !slices.IsSorted(s.commits[1]) || len(s.commits[1]) != callers-1 {
			t.Errorf("the tasks were committed as %v", s.commits)
		}
	})
}

// What makes up a commit depends on when calls came, and not on which of two goroutines was faster:
// when a commit ends while more calls wait than there are steps, the steps that it frees are part
// of the commit after the next.
func TestCommitsAreTheSameAgain(t *testing.T) {
	const callers, times = 80, 60
	run := func(t *testing.T) (commits [][]uint64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s := &slowStore{Store: store.NewMemory(), takes: time.Second}
			client, stop := s.start(t)
			defer stop()
			var calls sync.WaitGroup
			for i := range callers {
				calls.Go(func() {
					if _, err := client.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: spec(fmt.Sprint(i))}); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(time.Millisecond)
			}
			calls.Wait()
			commits = s.commits
		})
		return commits
	}
	first := run(t)
	if len(first) != 3 || len(first[1]) != 31 {
		t.Errorf("the tasks were committed as %v, want one, the 31 whose steps were made meanwhile, and the rest", first)
	}
	for range times {
		if again := run(t); !slices.EqualFunc(again, first, slices.Equal) {
			t.Fatalf("the tasks were committed as %v, and then as %v", first, again)
		}
	}
}

// However much arrives while a commit is under way, commits do not grow with it: a store takes no
// more than so much at once.
func TestCommitsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{Store: store.NewMemory(), takes: time.Second}
		client, stop := s.start(t)
		defer stop()
		const callers, payload = 40, 4 << 20
		var calls sync.WaitGroup
		for i := range callers {
			calls.Go(func() {
				task := spec(fmt.Sprint(i))
				task.Payload = &frayv1.Payload{Encoding: "raw", Data: make([]byte, payload)}
				if _, err := client.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: task}); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if most := 40 << 20; s.largest < payload || s.largest > most {
			t.Errorf("the largest commit has %d bytes, want %d at most", s.largest, most)
		}
	})
}
