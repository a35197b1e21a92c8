package pebblestore_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// BenchmarkCommit commits records of 1 KiB, one in a batch, from so many goroutines.
func BenchmarkCommit(b *testing.B) {
	for _, durability := range []store.Durability{store.Sync, store.Relaxed} {
		for _, committers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%v/committers=%d", durability, committers), func(b *testing.B) {
				s := open(b, pebblestore.Config{Dir: filepath.Join(b.TempDir(), "data"), Durability: durability})
				defer closeStore(b, s)
				payload := make([]byte, 1<<10)
				var next atomic.Uint64
				var wg sync.WaitGroup
				b.ReportAllocs()
				b.SetBytes(int64(len(payload)))
				b.ResetTimer()
				for range committers {
					wg.Go(func() {
						for {
							n := next.Add(1)
							if n > uint64(b.N) { // Not negative.
								return
							}
							commit(b, s, func(batch *store.Batch) { batch.Set(key(n), payload) })
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				st := s.Stats()
				b.ReportMetric(float64(st.Commits)/b.Elapsed().Seconds(), "commits/s")
				b.ReportMetric(float64(st.Commits)/float64(max(st.Syncs, 1)), "commits/fsync")
				b.ReportMetric(st.SyncTime.Seconds()/b.Elapsed().Seconds()*100, "fsync-%")
			})
		}
	}
}

// BenchmarkCommitBatch commits batches of 1,000 records of 100 bytes, as a busy controller does.
func BenchmarkCommitBatch(b *testing.B) {
	const records = 1000
	s := open(b, pebblestore.Config{Dir: filepath.Join(b.TempDir(), "data")})
	defer closeStore(b, s)
	payload := make([]byte, 100)
	var batch store.Batch
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset()
		for range records {
			n++
			batch.Set(key(n), payload)
		}
		if err := s.Commit(&batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

func fill(tb testing.TB, s store.Store, records, size int) {
	tb.Helper()
	var batch store.Batch
	for n := 0; n < records; {
		batch.Reset()
		for range min(1000, records-n) {
			n++
			batch.Set(key(uint64(n)), make([]byte, size)) // Not negative.
		}
		if err := s.Commit(&batch); err != nil {
			tb.Fatal(err)
		}
	}
}

const million = 1_000_000

// BenchmarkScan reads 1,000,000 records of 32 bytes.
func BenchmarkScan(b *testing.B) {
	s := open(b, pebblestore.Config{Dir: filepath.Join(b.TempDir(), "data"), Durability: store.Relaxed})
	defer closeStore(b, s)
	fill(b, s, million, 32)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := s.Scan(store.Spec, 0, func(uint64, []byte) error { n++; return nil }); err != nil || n != million {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkGet reads one of 1,000,000 records of 32 bytes.
func BenchmarkGet(b *testing.B) {
	s := open(b, pebblestore.Config{Dir: filepath.Join(b.TempDir(), "data"), Durability: store.Relaxed})
	defer closeStore(b, s)
	fill(b, s, million, 32)
	r := seeded(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(key(1 + r.Uint64N(million))); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens a store with so many records of 100 bytes: on disk, and in memory as the
// simulator does.
func BenchmarkOpen(b *testing.B) {
	for _, records := range []int{0, 1000, million} {
		for _, medium := range []string{"disk", "memory"} {
			b.Run(fmt.Sprintf("%s/records=%d", medium, records), func(b *testing.B) {
				cfg := pebblestore.Config{Dir: filepath.Join(b.TempDir(), "data")}
				if medium == "memory" {
					cfg = pebblestore.Config{Dir: "data", FS: vfs.NewCrashableMem()}
				}
				s := open(b, cfg)
				fill(b, s, records, 100)
				closeStore(b, s)
				b.ReportAllocs()
				for b.Loop() {
					closeStore(b, open(b, cfg))
				}
			})
		}
	}
}

// BenchmarkCommitUnderDeletes commits 100 records of 1 KiB, with and without the deletion of the
// oldest 100 of 200,000 that retention adds.
func BenchmarkCommitUnderDeletes(b *testing.B) {
	const kept = 200_000
	for _, deletes := range []bool{false, true} {
		b.Run(fmt.Sprintf("deletes=%v", deletes), func(b *testing.B) {
			s := open(b, pebblestore.Config{Dir: filepath.Join(b.TempDir(), "data")})
			defer closeStore(b, s)
			fill(b, s, kept, 1<<10)
			payload := make([]byte, 1<<10)
			var batch store.Batch
			var took []time.Duration
			n := uint64(kept)
			for b.Loop() {
				batch.Reset()
				for range 100 {
					n++
					batch.Set(key(n), payload)
					if deletes {
						batch.Delete(key(n - kept))
					}
				}
				start := time.Now()
				if err := s.Commit(&batch); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			for name, share := range map[string]float64{"p50-us": 0.5, "p99-us": 0.99, "p100-us": 1} {
				b.ReportMetric(float64(took[int(share*float64(len(took)-1))].Microseconds()), name)
			}
			used, err := s.DiskUsage()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(used)/(1<<20), "MiB-on-disk")
			b.ReportMetric(float64(s.Stats().Stalls), "stalls")
		})
	}
}
