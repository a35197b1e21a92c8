package pebblestore_test

import (
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/fray/store/storetest"
)

// smallTables has records reach the disk's tables in tests that write little.
const smallTables = 64 << 10

func open(tb testing.TB, cfg pebblestore.Config) *pebblestore.Store {
	tb.Helper()
	s, err := pebblestore.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]pebblestore.Config{
		"sync":         {},
		"relaxed":      {Durability: store.Relaxed},
		"small tables": {MemTableBytes: smallTables},
	} {
		t.Run(name+", on disk", func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) store.Store {
				t.Helper()
				cfg := cfg
				cfg.Dir = filepath.Join(t.TempDir(), "data")
				return open(t, cfg)
			})
		})
		t.Run(name+", in memory", func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) store.Store {
				t.Helper()
				cfg := cfg
				cfg.Dir, cfg.FS = "data", vfs.NewCrashableMem()
				return open(t, cfg)
			})
		})
	}
}

func key(n uint64) store.Key { return store.Key{Kind: store.Spec, Num: n} }

func commit(tb testing.TB, s store.Store, change func(b *store.Batch)) {
	tb.Helper()
	var b store.Batch
	change(&b)
	if err := s.Commit(&b); err != nil {
		tb.Fatalf("commit: %v", err)
	}
}

// A medium is a directory, on a filesystem that can lose power or on the disk, which cannot.
type medium struct {
	cfg pebblestore.Config
	mem *vfs.MemFS
}

func (m medium) Open(t *testing.T) store.Store {
	t.Helper()
	return open(t, m.cfg)
}

func (m medium) Crash(_ *testing.T, chance *rand.Rand) storetest.Medium {
	if m.mem == nil {
		return nil
	}
	m.mem = m.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: chance.IntN(101), RNG: chance})
	m.cfg.FS = m.mem
	return m
}

func TestDurability(t *testing.T) {
	t.Parallel()
	t.Run("on disk", func(t *testing.T) {
		t.Parallel()
		storetest.RunDurable(t, func(t *testing.T) storetest.Medium {
			t.Helper()
			return medium{cfg: pebblestore.Config{Dir: filepath.Join(t.TempDir(), "data")}}
		})
	})
	for name, size := range map[string]int64{"in memory": 0, "in memory, small tables": smallTables} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.RunDurable(t, func(*testing.T) storetest.Medium {
				mem := vfs.NewCrashableMem()
				return medium{cfg: pebblestore.Config{Dir: "data", FS: mem, MemTableBytes: size}, mem: mem}
			})
		})
	}
}

func TestValuesAreTheCallers(t *testing.T) {
	t.Parallel()
	s := open(t, pebblestore.Config{Dir: "data", FS: vfs.NewMem()})
	defer closeStore(t, s)
	value := []byte("value")
	commit(t, s, func(b *store.Batch) { b.Set(key(1), value) })
	for range 2 {
		got, err := s.Get(key(1))
		if err != nil || string(got) != "value" {
			t.Fatalf("get: %q, %v", got, err)
		}
		got[0] = 'X'
	}
}

func TestRefusedBatches(t *testing.T) {
	t.Parallel()
	s := open(t, pebblestore.Config{Dir: "data", FS: vfs.NewMem()})
	defer closeStore(t, s)
	huge := make([]byte, pebblestore.MaxBatchBytes/16)
	for name, change := range map[string]func(b *store.Batch){
		"kind 0": func(b *store.Batch) { b.Set(store.Key{}, nil) },
		"too large": func(b *store.Batch) {
			for n := range uint64(16) {
				b.Set(key(n), huge)
			}
		},
	} {
		var b store.Batch
		change(&b)
		if err := s.Commit(&b); err == nil {
			t.Errorf("a batch with %s was not refused", name)
		}
	}
	commit(t, s, func(b *store.Batch) { b.Set(key(1), nil) })
}

// Payloads are outside of the heap, or on disk.
func TestHeapStaysFlat(t *testing.T) {
	const records, size, table = 100_000, 1 << 10, 1 << 20
	s := open(t, pebblestore.Config{
		Dir: filepath.Join(t.TempDir(), "data"), Durability: store.Relaxed, MemTableBytes: table, CacheBytes: table,
	})
	defer closeStore(t, s)
	before := heap()
	fill(t, s, records, size)
	if err := s.Scan(store.Spec, 0, func(uint64, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	const most = 5*table + 6<<20 // Without cgo the tables and the cache are in the heap.
	if after := heap(); after > before+most {
		t.Errorf("%d MiB of payloads made the heap grow from %d to %d KiB", records*size>>20, before>>10, after>>10)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
