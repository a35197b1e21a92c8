package controller_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// unreadable is a store whose specs cannot be read once it has a cause.
type unreadable struct {
	store.Store
	cause atomic.Pointer[error]
}

func (s *unreadable) Get(k store.Key) ([]byte, error) {
	if cause := s.cause.Load(); cause != nil && k.Kind == store.Spec {
		return nil, *cause
	}
	return s.Store.Get(k)
}

// A task that is submitted again is compared with what is stored. While that cannot be read nothing
// is said of the task: refused for good, its client would give up what runs.
func TestSubmittedAgainWhileTheStoreCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cause error
		code  connect.Code // of the call
		one   string       // of the task alone
	}{
		"not now":   {cause: fmt.Errorf("%w: read: input/output error", store.ErrFailed), code: connect.CodeUnavailable},
		"closed":    {cause: store.ErrClosed, code: connect.CodeUnavailable},
		"forgotten": {cause: store.ErrNotFound, code: connect.CodeUnavailable},
		"damaged":   {cause: fmt.Errorf("%w: block 7", store.ErrCorrupt), one: connect.CodeInternal.String()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &unreadable{Store: store.NewMemory()}
			c := start(t, func(cfg *controller.Config) { cfg.Store = s })
			c.submit("known")
			s.cause.Store(&test.cause)
			res, err := c.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "job", Tasks: []*frayv1.TaskSpec{
				{TaskId: "known", Function: "f"}, {TaskId: "new", Function: "f"},
			}})
			if test.one == "" {
				wantCode(t, err, test.code)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if f := res.GetFailures(); len(f) != 1 || f[0].GetIndex() != 0 || f[0].GetCode() != test.one || res.GetCreatedCount() != 1 {
				t.Errorf("answered %v", res)
			}
			_, err = c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "job", Task: &frayv1.TaskSpec{TaskId: "known", Function: "f"}})
			wantCode(t, err, connect.CodeInternal)
			if errors.Is(err, store.ErrCorrupt) {
				t.Error("the caller is told what is in the store")
			}
		})
	}
}
