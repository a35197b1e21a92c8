package pebblestore_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// A bubble ends in a panic if a goroutine is left in it, and hangs if one waits for the wall clock.
func TestItRunsInABubble(t *testing.T) {
	for _, durability := range []store.Durability{store.Sync, store.Relaxed} {
		for round := range 3 { // Pools outlive a bubble.
			synctest.Test(t, func(t *testing.T) {
				fs := vfs.NewCrashableMem()
				for i := range 5 {
					s := open(t, pebblestore.Config{Dir: "data", FS: fs, Durability: durability, MemTableBytes: smallTables})
					for j := range 200 {
						commit(t, s, func(b *store.Batch) {
							b.Set(key(uint64(i*200+j)), make([]byte, 1000))
							if j > 100 {
								b.Delete(key(uint64(i*200 + j - 100)))
							}
						})
					}
					time.Sleep(time.Minute)
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
				s := open(t, pebblestore.Config{Dir: "data", FS: fs})
				n := 0
				if err := s.Scan(store.Spec, 0, func(uint64, []byte) error { n++; return nil }); err != nil || n != 5*101 {
					t.Errorf("round %d: scan found %d records, %v; want %d", round, n, err, 5*101)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// What is relaxed or lazy is on disk after RelaxedInterval, and not each by itself.
func TestRelaxedIsOnDiskSoon(t *testing.T) {
	for name, test := range map[string]struct {
		durability store.Durability
		lazy       bool
	}{"relaxed": {durability: store.Relaxed}, "lazy": {durability: store.Sync, lazy: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := vfs.NewCrashableMem()
				sc := &script{durability: test.durability}
				s := open(t, pebblestore.Config{Dir: "data", FS: mem, Durability: test.durability})
				defer closeStore(t, s)
				for n := 1; n <= 40; n++ {
					b := sc.batch(n)
					b.Lazy = test.lazy
					if err := s.Commit(b); err != nil {
						t.Fatal(err)
					}
					if n%10 == 0 {
						time.Sleep(pebblestore.RelaxedInterval)
						synctest.Wait()
						if err := sc.check(mem.CrashClone(vfs.CrashCloneCfg{}), n, n); err != nil {
							t.Errorf("crash %v after batch %d: %v", pebblestore.RelaxedInterval, n, err)
						}
					}
				}
				if syncs := s.Stats().Syncs; syncs != 4 {
					t.Errorf("40 commits in 4 intervals took %d fsyncs, want 4", syncs)
				}
			})
		})
	}
}

// slowDisk takes its time to sync a file.
type slowDisk struct {
	vfs.FS

	takes time.Duration
}

func (d slowDisk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, category)
	return slowFile{f, d.takes}, err
}

func (d slowDisk) Unwrap() vfs.FS { return d.FS }

type slowFile struct {
	vfs.File

	takes time.Duration
}

func (f slowFile) SyncData() error {
	time.Sleep(f.takes)
	return f.File.SyncData()
}

// What is lazy rides along with a commit that is under way when it is to be on disk, or with the
// next, and takes a sync of its own only if there is none.
func TestLazyCommitsShareSyncs(t *testing.T) {
	const takes = 3 * pebblestore.RelaxedInterval
	for name, test := range map[string]struct {
		before, after bool // a commit that is not lazy
		syncs         uint64
	}{
		"alone": {syncs: 1}, "a commit follows": {after: true, syncs: 1},
		"a commit is under way": {before: true, syncs: 2}, "one is under way and one follows": {before: true, after: true, syncs: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := vfs.NewCrashableMem()
				sc := &script{}
				s := open(t, pebblestore.Config{Dir: "data", FS: slowDisk{mem, takes}})
				defer closeStore(t, s)
				before := s.Stats().Syncs
				var wg sync.WaitGroup
				defer wg.Wait()
				put := func(n int, lazy bool) {
					b := sc.batch(n)
					b.Lazy = lazy
					wg.Go(func() {
						if err := s.Commit(b); err != nil {
							t.Error(err)
						}
					})
					synctest.Wait()
				}
				n := 0
				if test.before {
					n++
					put(n, false)
				}
				n++
				put(n, true)
				if test.after {
					n++
					put(n, false)
				}
				time.Sleep(2*takes + pebblestore.RelaxedInterval + time.Second)
				synctest.Wait()
				if syncs := s.Stats().Syncs - before; syncs != test.syncs {
					t.Errorf("%d fsyncs, want %d", syncs, test.syncs)
				}
				if err := sc.check(mem.CrashClone(vfs.CrashCloneCfg{}), n, n); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A second after a commit not even a power loss hides that it is missing from the log.
func TestNumberOfCommitsIsSyncedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		sc := &script{}
		s := open(t, sc.config(mem))
		defer closeStore(t, s)
		for n := 1; n <= 20; n++ {
			if err := s.Commit(sc.batch(n)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		files := readAll(t, mem.CrashClone(vfs.CrashCloneCfg{}), "data")
		if err := sc.check(writeAll(t, files), 20, 20); err != nil {
			t.Error(err)
		}
		newest := newestLog(files)
		files[newest] = files[newest][:len(files[newest])-1]
		if err := sc.check(writeAll(t, files), 20, 20); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("one byte less of the log: %v, want ErrCorrupt", err)
		}
	})
}
