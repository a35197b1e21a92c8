package controller_test

import (
	"context"
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
}

func (s *slowStore) Commit(b *store.Batch) error {
	var specs []uint64
	for _, op := range b.Ops() {
		if op.Key.Kind == store.Spec {
			specs = append(specs, op.Key.Num)
		}
	}
	if specs != nil {
		s.commits = append(s.commits, specs)
		time.Sleep(s.takes)
	}
	return s.Store.Commit(b)
}

// All that arrives while a commit is under way is in the next one, so that nobody waits for more than two.
func TestCommitsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 10 * time.Millisecond
		s := &slowStore{Store: store.NewMemory(), takes: takes}
		c, err := controller.New(controller.Config{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := c.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		<-c.Ready()
		_, handler := c.Handler()
		client := frayv1connect.NewControllerServiceClient(&http.Client{Transport: direct{handler}}, "http://controller")
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
		stop()
		running.Wait()
	})
}
