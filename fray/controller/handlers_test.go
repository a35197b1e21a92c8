package controller_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// slowReads takes its time to read.
type slowReads struct {
	store.Store
	takes time.Duration
}

func (s *slowReads) Get(k store.Key) ([]byte, error) {
	if k.Kind == store.Spec {
		time.Sleep(s.takes)
	}
	return s.Store.Get(k)
}

// A call that was granted a task reads it from the store, which may be closed once Run has returned:
// Run waits for it.
func TestRunReturnsAfterTheLastCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowReads{Store: store.NewMemory(), takes: time.Second}
		c, err := controller.New(controller.Config{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ran <- c.Run(ctx) }()
		<-c.Ready()
		_, handler := c.Handler()
		client := frayv1connect.NewControllerServiceClient(&http.Client{Transport: direct{handler}}, "http://controller")
		if _, err := client.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: spec("a")}); err != nil {
			t.Fatal(err)
		}
		w, err := client.RegisterWorker(t.Context(), &frayv1.RegisterWorkerRequest{WorkerId: "w", RegistrationId: "r", Slots: 1, Functions: []string{"f"}})
		if err != nil {
			t.Fatal(err)
		}
		leased := make(chan int, 1)
		go func() {
			r, err := client.LeaseTasks(t.Context(), &frayv1.LeaseTasksRequest{SessionToken: w.GetSessionToken(), PollSeq: 1, MaxTasks: 1})
			if err != nil {
				t.Error(err)
			}
			leased <- len(r.GetTasks())
		}()
		synctest.Wait() // It reads.
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n := <-leased; n != 1 {
			t.Errorf("%d tasks were leased, want the one that the call was granted", n)
		}
		_, err = client.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "a"})
		if connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("a call after Run: %v", err)
		}
	})
}
