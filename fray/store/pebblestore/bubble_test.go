package pebblestore_test

import (
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
