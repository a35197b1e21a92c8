package controller

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// backups are those that are being made. They belong to the controller and not to the calls that
// ask for them, so that one which takes longer than a call is made all the same.
type backups struct {
	mu     sync.Mutex
	making map[string]*backup
	all    sync.WaitGroup
	ctx    context.Context //nolint:containedctx // Done when the controller ends.
	end    context.CancelFunc
}

type backup struct {
	request string
	copied  atomic.Int64
	done    chan struct{}
	err     error // once done is closed
}

func (b *backups) init() {
	b.making = make(map[string]*backup)
	b.ctx, b.end = context.WithCancel(context.Background())
}

// stop ends what is being made, and returns when nothing is.
func (b *backups) stop() {
	b.mu.Lock()
	b.end()
	b.mu.Unlock()
	b.all.Wait()
}

// join returns the backup of a name that is being made for a request, or begins it. It returns nil
// if another request's is.
func (b *backups) join(name, request string, work func(ctx context.Context, m *backup) error) (*backup, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		return nil, errStopping()
	}
	if m := b.making[name]; m != nil {
		if request == "" || m.request != request {
			return nil, fs.ErrExist
		}
		return m, nil
	}
	m := &backup{request: request, done: make(chan struct{})}
	b.making[name] = m
	b.all.Go(func() {
		m.err = work(b.ctx, m)
		b.mu.Lock()
		delete(b.making, name)
		b.mu.Unlock()
		close(m.done)
	})
	return m, nil
}

func (s *service) CreateBackup(ctx context.Context, req *frayv1.CreateBackupRequest) (*frayv1.CreateBackupResponse, error) {
	backuper, ok := s.c.cfg.Store.(store.Backuper)
	switch {
	case !ok:
		return nil, wire.Error(wire.ReasonUnsupported, 0, "this controller has no data directory to copy: what is in memory has no backups, and a database is backed up by its own tools")
	case s.c.cfg.BackupDir == "":
		return nil, wire.Error(wire.ReasonUnsupported, 0, "this controller was given no directory for backups: start it with one")
	}
	name, request := req.GetName(), req.GetRequestId()
	path := filepath.Join(s.c.cfg.BackupDir, name)
	resp := &frayv1.CreateBackupResponse{Path: path}
	m, err := s.c.backups.join(name, request, func(ctx context.Context, m *backup) error {
		if note, err := backuper.BackupNote(path); request != "" && err == nil && note == request {
			return nil // Made before, for the same request.
		}
		began := time.Now()
		err := backuper.Backup(ctx, path, store.Backup{Note: request, Copied: &m.copied})
		switch {
		case err == nil:
			s.c.cfg.Logger.Info("backup made", "path", path, "took", time.Since(began))
		case !errors.Is(err, fs.ErrExist):
			s.c.cfg.Logger.Error("backup", "path", path, "error", err)
		}
		return err
	})
	if err == nil {
		select {
		case <-m.done:
			err = m.err
		case <-ctx.Done():
			return nil, contextError(ctx)
		case <-after(ctx, s.c, req.GetMaxWaitMs()):
			resp.UnderWay, resp.CopiedBytes = true, uint64(m.copied.Load()) //nolint:gosec // Not negative.
			return resp, nil
		}
	}
	switch {
	case err == nil:
		return resp, nil
	case errors.Is(err, fs.ErrExist):
		return nil, wire.Error(wire.ReasonExists, 0, "backup %q: %s is there already, or being made for another request: choose another name", name, path)
	case errors.Is(err, context.Canceled):
		return nil, errStopping()
	case errors.Is(err, store.ErrFull):
		return nil, wire.Error(wire.ReasonStoreFull, storeFullHint, "backup %q: %w", name, err)
	default: // The machine did not let it be made; that is nothing of ours, nor will it pass by itself.
		return nil, wire.Error(wire.ReasonBackupFailed, 0, "backup %q: %w", name, err)
	}
}

// after returns a channel that says when a call that may wait so long is to be answered; nil, for
// never, where it says nothing.
func after(ctx context.Context, c *Controller, maxWaitMs int64) <-chan time.Time {
	if maxWaitMs == 0 {
		return nil
	}
	return time.After(time.Duration(c.until(ctx, maxWaitMs) - c.now()))
}
