package pebblestore_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

func TestStats(t *testing.T) {
	t.Parallel()
	var told atomic.Uint64
	s := open(t, pebblestore.Config{Dir: "data", FS: vfs.NewMem(), OnSync: func(time.Duration) { told.Add(1) }})
	const commits, size = 10, 1000
	before, synced := s.Stats(), told.Load()
	for n := range uint64(commits) {
		commit(t, s, func(b *store.Batch) {
			b.Set(key(n), make([]byte, size))
			b.Delete(key(n + 1))
		})
	}
	after := s.Stats()
	if after.Commits != commits || after.Records != 2*commits || after.CommitBytes < commits*size {
		t.Errorf("after %d commits: %+v", commits, after)
	}
	if syncs := after.Syncs - before.Syncs; syncs != commits || told.Load()-synced != commits {
		t.Errorf("%d commits took %d fsyncs, and OnSync was told of %d", commits, syncs, told.Load()-synced)
	}
	if after.WrittenBytes-before.WrittenBytes < commits*size {
		t.Errorf("%d bytes were written", after.WrittenBytes-before.WrittenBytes)
	}
	if used, err := s.DiskUsage(); err != nil || used == 0 {
		t.Errorf("disk usage: %d, %v", used, err)
	}
	closeStore(t, s)
	if _, err := s.DiskUsage(); err == nil {
		t.Error("disk usage of a closed store is no error")
	}
}
