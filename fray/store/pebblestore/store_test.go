package pebblestore_test

import (
	"path/filepath"
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
