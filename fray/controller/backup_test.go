package controller_test

import (
	"context"
	"path/filepath"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// slowBackups is a store whose backups take until they are let through.
type slowBackups struct {
	*pebblestore.Store
	begun, let chan struct{}
}

func (s *slowBackups) Backup(ctx context.Context, dir string, b store.Backup) error {
	s.begun <- struct{}{}
	select {
	case <-s.let:
		return s.Store.Backup(ctx, dir, b)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func openSlow(t *testing.T, dir string) *slowBackups {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Dir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	return &slowBackups{Store: s, begun: make(chan struct{}, 8), let: make(chan struct{}, 8)}
}

func startSlow(t *testing.T, s *slowBackups, dir string) *cluster {
	t.Helper()
	return start(t, func(c *controller.Config) { c.Store, c.BackupDir = s, filepath.Join(dir, "backups") })
}

// A backup that takes longer than a call is asked for again, and is one; also once the controller
// was restarted.
func TestBackupOutlivesItsCall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openSlow(t, dir)
	c := startSlow(t, s, dir)
	mine := &frayv1.CreateBackupRequest{Name: "b", RequestId: "mine", MaxWaitMs: 1}
	for range 3 {
		if r, err := c.CreateBackup(t.Context(), mine); err != nil || !r.GetUnderWay() {
			t.Fatalf("backup that takes its time: %v, %v", r, err)
		}
	}
	if n := len(s.begun); n != 1 {
		t.Errorf("one request began %d backups", n)
	}
	for _, id := range []string{"other", ""} {
		_, err := c.CreateBackup(t.Context(), &frayv1.CreateBackupRequest{Name: "b", RequestId: id})
		wantCode(t, err, connect.CodeAlreadyExists)
	}
	s.let <- struct{}{}
	mine.MaxWaitMs = 0
	if r, err := c.CreateBackup(t.Context(), mine); err != nil || r.GetUnderWay() {
		t.Errorf("backup that was let through: %v, %v", r, err)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSlow(t, dir)
	c = startSlow(t, s, dir)
	if r, err := c.CreateBackup(t.Context(), mine); err != nil || r.GetPath() != filepath.Join(dir, "backups", "b") {
		t.Errorf("the same request after a restart: %v, %v", r, err)
	}
	s.let <- struct{}{}
	_, err := c.CreateBackup(t.Context(), &frayv1.CreateBackupRequest{Name: "b", RequestId: "other"})
	wantCode(t, err, connect.CodeAlreadyExists)
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A controller that is to end does not wait for a backup.
func TestShutdownEndsABackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openSlow(t, dir)
	c := startSlow(t, s, dir)
	asked := make(chan error, 1)
	go func() {
		_, err := c.CreateBackup(t.Context(), &frayv1.CreateBackupRequest{Name: "b", RequestId: "mine"})
		asked <- err
	}()
	<-s.begun
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	wantCode(t, <-asked, connect.CodeUnavailable)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
