package pebblestore_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/store/pebblestore"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/frayrpc/fray/fray/store"
)

// Whichever operation on the filesystem fails, either all goes on, or the store says so and what
// was acknowledged is there when it is opened again.
func TestFailedOperation(t *testing.T) {
	t.Parallel()
	for _, kind := range []errorfs.OpReadWrite{errorfs.OpIsWrite, errorfs.OpIsRead} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			t.Parallel()
			failed := 0
			for at := int64(1); ; at += int64(apart()) {
				sc, mem := &script{sessions: 4, perSession: 80}, vfs.NewCrashableMem()
				var ops atomic.Int64
				var failing atomic.Pointer[errorfs.Op]
				err := sc.run(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
					if op.Kind.ReadOrWrite() != kind || ops.Add(1) != at {
						return nil
					}
					failing.Store(&op)
					return errorfs.ErrInjected
				})))
				op := failing.Load()
				if op == nil {
					break
				}
				acked := int(sc.acked.Load())
				switch {
				case err == nil && acked != 320:
					t.Errorf("operation %d, %v: %d batches were acknowledged, and no error", at, *op, acked)
				case err != nil && !errors.Is(err, errorfs.ErrInjected) && !errors.Is(err, store.ErrCorrupt):
					t.Errorf("operation %d, %v: got error %v", at, *op, err)
				case err != nil:
					failed++
				}
				for percent := 0; percent <= 100; percent += 50 {
					clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: seeded(uint64(at))})
					if err := sc.check(clone, acked, int(sc.begun.Load())); err != nil {
						t.Errorf("after operation %d, %v: %v", at, *op, err)
					}
				}
			}
			if failed == 0 {
				t.Error("no failed operation made the store fail")
			}
		})
	}
}

// failingBelow returns a filesystem on which the nth change below a directory fails, and all after
// it until it is set again; 0 and less are no number.
func failingBelow(fs vfs.FS, dir string) (failing vfs.FS, nth *atomic.Int64) {
	nth = new(atomic.Int64)
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose || !strings.HasPrefix(op.Path, dir) {
			return nil
		}
		if nth.Add(-1) == 0 {
			return os.ErrInvalid
		}
		return nil
	})), nth
}

// A compaction that cannot read its tables is done no second time: the store has failed, and nothing
// becomes of another one.
func TestFailedCompactionIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 1000 // Then reads work again, so that the test ends.
		var failing atomic.Bool
		var reads atomic.Int64
		fs := errorfs.Wrap(vfs.NewCrashableMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !failing.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsRead || !strings.HasSuffix(op.Path, ".sst") || reads.Add(1) > most {
				return nil
			}
			return errorfs.ErrInjected
		}))
		s := open(t, pebblestore.Config{Dir: "data", FS: fs, MemTableBytes: smallTables})
		failing.Store(true)
		var err error
		for i := uint64(0); i < 100_000 && err == nil; i++ {
			var b store.Batch
			b.Set(key(i%100), make([]byte, 1000)) // Tables that are to be compacted.
			err = s.Commit(&b)
		}
		if !errors.Is(err, store.ErrFailed) || !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("commit: %v, want ErrFailed and its cause", err)
		}
		time.Sleep(time.Minute)
		if n := reads.Load(); n == 0 || n > 10 {
			t.Errorf("tables were read %d times in vain", n)
		}
		if err := s.Close(); !errors.Is(err, store.ErrFailed) {
			t.Errorf("close: %v, want ErrFailed", err)
		}
	})
}

// The reason why a store failed is what every later commit returns, and Close.
func TestFailureIsKept(t *testing.T) {
	t.Parallel()
	fs, nth := failingBelow(vfs.NewMem(), "data/db")
	s := open(t, pebblestore.Config{Dir: "data", FS: fs})
	commit(t, s, func(b *store.Batch) { b.Set(key(1), []byte("kept")) })
	nth.Store(2) // The sync of the log.
	for range 3 {
		var b store.Batch
		b.Set(key(2), nil)
		err := s.Commit(&b)
		if !errors.Is(err, store.ErrFailed) || !errors.Is(err, os.ErrInvalid) || !strings.Contains(err.Error(), ".log") {
			t.Errorf("commit: %v; want ErrFailed, its cause and the name of the log", err)
		}
	}
	if v, err := s.Get(key(1)); err != nil || string(v) != "kept" {
		t.Errorf("get: %q, %v", v, err)
	}
	if err := s.Close(); !errors.Is(err, store.ErrFailed) {
		t.Errorf("close: %v, want ErrFailed", err)
	}
	s = open(t, pebblestore.Config{Dir: "data", FS: fs})
	defer closeStore(t, s)
	if _, err := s.Get(key(1)); err != nil {
		t.Errorf("get after reopening: %v", err)
	}
}
