package pebblestore_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// fullable returns a filesystem that is full while full is set.
func fullable(mem *vfs.MemFS) (fs vfs.FS, full *atomic.Bool) {
	full = new(atomic.Bool)
	return errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpRename:
			if full.Load() {
				return syscall.ENOSPC
			}
		default:
		}
		return nil
	})), full
}

// commitAsync commits batch n of a script and closes done when it returns.
func commitAsync(s *pebblestore.Store, sc *script, n int) (done chan struct{}, result *error) {
	done, result = make(chan struct{}), new(error)
	go func() {
		defer close(done)
		*result = s.Commit(sc.batch(n))
	}()
	return done, result
}

func isDone(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestFullDiskIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		fs, full := fullable(mem)
		sc := &script{}
		s := open(t, sc.config(fs))
		for n := 1; n <= 100; n++ { // Enough for tables to be written.
			if n%10 != 0 {
				if err := s.Commit(sc.batch(n)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			full.Store(true)
			done, result := commitAsync(s, sc, n)
			time.Sleep(time.Hour)
			if isDone(done) {
				t.Fatalf("a commit on a full disk returned %v", *result)
			}
			if err := s.Room(); !errors.Is(err, store.ErrFull) {
				t.Errorf("room on a full disk: %v, want ErrFull", err)
			}
			if _, err := s.Get(key(uint64((n - 1) * recordsPerBatch))); err != nil {
				t.Errorf("get on a full disk: %v", err)
			}
			if err := s.Backup(t.Context(), "copy", store.Backup{}); !errors.Is(err, store.ErrFull) {
				t.Errorf("backup on a full disk: %v, want ErrFull", err)
			}
			full.Store(false)
			<-done
			if *result != nil {
				t.Fatalf("commit when there was room again: %v", *result)
			}
			time.Sleep(time.Second)
			if err := s.Room(); err != nil {
				t.Errorf("room when there was room again: %v", err)
			}
		}
		closeStore(t, s)
		if err := sc.check(mem, 100, 100); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseEndsWaitingForAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		fs, full := fullable(mem)
		sc := &script{}
		s := open(t, sc.config(fs))
		for n := 1; n <= 20; n++ {
			if err := s.Commit(sc.batch(n)); err != nil {
				t.Fatal(err)
			}
		}
		full.Store(true)
		done, result := commitAsync(s, sc, 21)
		synctest.Wait()
		start := time.Now()
		if err := s.Close(); !errors.Is(err, store.ErrFull) {
			t.Errorf("close: %v, want ErrFull", err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("close took %v", took)
		}
		<-done
		if !errors.Is(*result, store.ErrFull) || !errors.Is(*result, store.ErrFailed) {
			t.Errorf("commit: %v, want ErrFailed and ErrFull", *result)
		}
		full.Store(false)
		if err := sc.check(mem, 20, 21); err != nil {
			t.Error(err)
		}
	})
}

func TestOpenOnAFullDisk(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	sc := &script{sessions: 1, perSession: 10}
	if err := sc.run(mem); err != nil {
		t.Fatal(err)
	}
	fs, full := fullable(mem)
	full.Store(true)
	if _, err := pebblestore.Open(sc.config(fs)); !errors.Is(err, store.ErrFull) {
		t.Errorf("open on a full disk: %v, want ErrFull", err)
	}
	full.Store(false)
	if err := sc.check(fs, 10, 10); err != nil {
		t.Error(err)
	}
}

// What the machine lacks is no damage of the files, for which an operator might restore a backup.
func TestOpenWithoutFileDescriptors(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	sc := &script{sessions: 1, perSession: 10}
	if err := sc.run(mem); err != nil {
		t.Fatal(err)
	}
	var exhausted atomic.Bool
	exhausted.Store(true)
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if exhausted.Load() && op.Kind == errorfs.OpOpen && strings.HasSuffix(op.Path, ".log") {
			return syscall.EMFILE
		}
		return nil
	}))
	_, err := pebblestore.Open(sc.config(fs))
	if !errors.Is(err, syscall.EMFILE) || errors.Is(err, store.ErrCorrupt) || strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v, want %v and no word of damage", err, syscall.EMFILE)
	}
	exhausted.Store(false)
	if err := sc.check(fs, 10, 10); err != nil {
		t.Error(err)
	}
}

func TestReserve(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		reserve int64
		free    uint64
		want    string // of the error, or empty
	}{
		"enough":               {free: 64 * mib},
		"too little":           {free: 63 * mib, want: "the disk of data has 63 MiB left, and 64 MiB are kept in reserve"},
		"almost nothing":       {free: mib / 2, want: "has 0.5 MiB left"},
		"a reserve of its own": {reserve: mib, free: 2 * mib},
		"no reserve":           {reserve: -1, free: 1},
		"no answer":            {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := vfs.NewMem()
				s := open(t, pebblestore.Config{Dir: "data", FS: mem, ReserveBytes: test.reserve})
				defer closeStore(t, s)
				if err := s.Room(); err != nil {
					t.Fatal(err)
				}
				mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: test.free, TotalBytes: min(test.free, 1) * 1000 * mib})
				time.Sleep(time.Second)
				err := s.Room()
				if (err != nil) != (test.want != "") || err != nil && (!errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("room: %v, want %q", err, test.want)
				}
				commit(t, s, func(b *store.Batch) { b.Set(key(1), nil) })
				mem.TestingSetDiskUsage(vfs.DiskUsage{})
				time.Sleep(time.Second)
				if err := s.Room(); err != nil {
					t.Errorf("room when there was enough again: %v", err)
				}
			})
		})
	}
}

func BenchmarkRoom(b *testing.B) {
	s := open(b, pebblestore.Config{Dir: b.TempDir()})
	defer closeStore(b, s)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Room(); err != nil {
			b.Fatal(err)
		}
	}
}
