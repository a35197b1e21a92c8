package pebblestore_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/frayrpc/fray/fray/store"
)

// Whichever operation on the filesystem fails, either all goes on, or the store says so and what was acknowledged is
// there when it is opened again.
func TestFailedOperation(t *testing.T) {
	t.Parallel()
	for _, kind := range []errorfs.OpReadWrite{errorfs.OpIsWrite, errorfs.OpIsRead} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			t.Parallel()
			failed := 0
			for at := int64(1); ; at += int64(*stride) {
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
