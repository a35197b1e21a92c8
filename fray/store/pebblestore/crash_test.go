package pebblestore_test

import (
	"flag"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/internal/race"
)

// stride is how many filesystem operations lie between two that are crashed or failed at.
var stride = flag.Int("stride", 23, "operations between two crashes or failures; 1 is all of them")

// apart is stride, and more under the race detector, where each of them takes ten times as long.
func apart() int {
	if race.Enabled {
		return 5 * *stride
	}
	return *stride
}

// A power cut before each operation on the filesystem leaves a prefix of the batches, with all that
// were acknowledged.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, percent := range []int{0, 30, 100} {
		t.Run(fmt.Sprintf("%d%% of what was not synced is kept", percent), func(t *testing.T) {
			t.Parallel()
			sc, mem := &script{sessions: 4, perSession: 100}, vfs.NewCrashableMem()
			var mu sync.Mutex
			ops := 0
			err := sc.run(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				ops++
				syncsNames := op.Kind == errorfs.OpFileSync && op.Path == "data/db" // The worst moments: some names are there.
				if ops%apart() != 0 && !syncsNames {
					return nil
				}
				crashes := 1
				if syncsNames {
					crashes = 5
				}
				acked := int(sc.acked.Load())
				for i := range crashes {
					clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: seeded(uint64(ops*10 + i))})
					if err := sc.check(clone, acked, int(sc.begun.Load())); err != nil {
						t.Errorf("crash before operation %d, %v: %v", ops, op, err)
					}
				}
				return nil
			})))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d operations", ops)
		})
	}
}

// A power cut takes Relaxed commits, the latest ones, and no part of any.
func TestCrashRelaxed(t *testing.T) {
	t.Parallel()
	sc, mem := &script{sessions: 2, perSession: 300, durability: store.Relaxed}, vfs.NewCrashableMem()
	s, err := pebblestore.Open(sc.config(mem))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 300; n++ {
		if err := s.Commit(sc.batch(n)); err != nil {
			t.Fatal(err)
		}
		if n%10 == 0 {
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: seeded(uint64(n))})
			if err := sc.check(clone, 0, n); err != nil {
				t.Errorf("crash after batch %d: %v", n, err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sc.check(mem.CrashClone(vfs.CrashCloneCfg{}), 300, 300); err != nil {
		t.Errorf("crash after Close: %v", err)
	}
}
