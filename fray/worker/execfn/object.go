package execfn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/frayrpc/fray/fray"
)

// putGrace is how long what was printed before an attempt was stopped may take to be stored.
const putGrace = 2 * time.Second

// objectStore puts what is written to it into an object of the task's job, as it comes. It is for one
// goroutine.
type objectStore struct {
	ctx    context.Context //nolint:containedctx // It is that of the attempt whose output it has.
	header []byte
	pipe   *io.PipeWriter // nil: nothing was written
	stored chan error
	ref    *fray.Ref[[]byte] // set by close
}

func newObjectStore(ctx context.Context, info fray.TaskInfo, name string) *objectStore {
	header := fmt.Sprintf("%.40s/%d.%s\n", info.TaskID, info.Attempt, name)
	return &objectStore{ctx: ctx, header: fmt.Appendf(nil, "%-*.*s", ObjectHeaderBytes, ObjectHeaderBytes, header)}
}

func (s *objectStore) begun() bool { return s.pipe != nil }

// begin starts to put. An attempt that is stopped is given a moment for what it has printed.
func (s *objectStore) begin() {
	var r *io.PipeReader
	r, s.pipe = io.Pipe()
	s.stored = make(chan error, 1)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(s.ctx))
	go func() {
		defer cancel(nil)
		over := make(chan struct{})
		defer close(over)
		go func() {
			select {
			case <-s.ctx.Done():
			case <-over:
				return
			}
			timer := time.NewTimer(putGrace)
			defer timer.Stop()
			select {
			case <-timer.C:
				cancel(context.Cause(s.ctx))
				_ = r.CloseWithError(context.Cause(s.ctx)) // so that who reads or writes it goes on
			case <-over:
			}
		}()
		ref, err := fray.PutReader(ctx, r)
		if err == nil {
			s.ref = &ref
		}
		_ = r.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // It is for who writes.
		s.stored <- err                                          // It has room.
	}()
	_, _ = s.pipe.Write(s.header) // The next write fails alike.
}

// Write implements io.Writer. It waits while the controller has no room.
func (s *objectStore) Write(p []byte) (int, error) { return s.pipe.Write(p) }

// close completes the object, and waits until it is stored.
func (s *objectStore) close() error {
	if s.pipe == nil {
		return nil
	}
	_ = s.pipe.Close() // which never fails
	if err := <-s.stored; err != nil {
		return fmt.Errorf("keep output: %w", err)
	}
	return nil
}
