package pebblestore_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// A script is a run of a store whose batch n leaves it with contents that are known for each n.
type script struct {
	sessions, perSession int
	durability           store.Durability
	acked, begun         atomic.Int64 // batches
}

const (
	recordsPerBatch = 4
	kept            = 60 // batches whose records are not yet deleted
)

func (sc *script) config(fs vfs.FS) pebblestore.Config {
	return pebblestore.Config{Dir: "data", FS: fs, MemTableBytes: smallTables, Durability: sc.durability}
}

// batch makes the nth batch, counted from 1: the number itself, some records, and the deletion of
// old ones.
func (*script) batch(n int) *store.Batch {
	var b store.Batch
	b.Set(store.Key{Kind: store.Result, Num: 0}, fmt.Append(nil, n))
	for i := range recordsPerBatch {
		b.Set(key(uint64(n*recordsPerBatch+i)), value(n, i))
		if n > kept {
			b.Delete(key(uint64((n-kept)*recordsPerBatch + i)))
		}
	}
	return &b
}

func value(n, i int) []byte {
	v := fmt.Appendf(make([]byte, 0, 700), "batch %d record %d", n, i)
	return v[:100+(n*131+i*17)%600]
}

// run runs the script until it ends or the store fails.
func (sc *script) run(fs vfs.FS) error {
	n := 0
	for range sc.sessions {
		s, err := pebblestore.Open(sc.config(fs))
		if err != nil {
			return err
		}
		for range sc.perSession {
			n++
			sc.begun.Store(int64(n))
			if err := s.Commit(sc.batch(n)); err != nil {
				return errors.Join(err, s.Close())
			}
			sc.acked.Store(int64(n))
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// check opens what a crash left and returns an error unless it has exactly the first n batches, for
// some n from acked to begun.
func (sc *script) check(fs vfs.FS, acked, begun int) error {
	s, err := pebblestore.Open(sc.config(fs))
	if err != nil {
		return err
	}
	return errors.Join(sc.compare(s, acked, begun), s.Close())
}

func (sc *script) compare(s store.Store, acked, begun int) error {
	n := 0
	last, err := s.Get(store.Key{Kind: store.Result, Num: 0})
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	default:
		if _, err := fmt.Sscan(string(last), &n); err != nil {
			return err
		}
	}
	if n < acked || n > begun {
		return fmt.Errorf("found %d batches, of which %d were acknowledged and %d begun", n, acked, begun)
	}
	want := make(map[uint64]string)
	for m := max(1, n-kept+1); m <= n; m++ {
		for i := range recordsPerBatch {
			want[uint64(m*recordsPerBatch+i)] = string(value(m, i))
		}
	}
	got := make(map[uint64]string)
	if err := s.Scan(store.Spec, 0, func(num uint64, v []byte) error { got[num] = string(v); return nil }); err != nil {
		return err
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("after %d batches found %d records, want %d, or other values", n, len(got), len(want))
	}
	return nil
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func TestScript(t *testing.T) {
	t.Parallel()
	sc, fs := &script{sessions: 3, perSession: 200}, vfs.NewMem()
	if err := sc.run(fs); err != nil {
		t.Fatal(err)
	}
	if err := sc.check(fs, 600, 600); err != nil {
		t.Fatal(err)
	}
	if tables := count(t, fs, ".sst"); tables == 0 {
		t.Error("the script is too small to have written a table")
	}
}

func count(t *testing.T, fs vfs.FS, suffix string) int {
	t.Helper()
	names, err := fs.List("data/db")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range names {
		if len(name) > len(suffix) && name[len(name)-len(suffix):] == suffix {
			n++
		}
	}
	return n
}
