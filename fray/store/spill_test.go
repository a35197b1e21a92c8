package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/storetest"
)

func TestSpilling(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return openSpilling(t, t.TempDir())
	})
}

func openSpilling(t *testing.T, dir string) *store.Memory {
	t.Helper()
	s, err := store.NewSpilling(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func large(n uint64) []byte {
	return bytes.Repeat([]byte(strconv.FormatUint(n, 10)), 2*store.SpillBytes)[:store.SpillBytes+int(n)]
}

func set(t *testing.T, s store.Store, n uint64, value []byte) {
	t.Helper()
	var b store.Batch
	b.Set(store.Key{Kind: store.Result, Num: n}, value)
	if err := s.Commit(&b); err != nil {
		t.Fatal(err)
	}
}

// Large values come and go, become small and large again, and are not in the heap; what is left of
// full files moves on.
func TestLargeValuesAreNotInTheHeap(t *testing.T) {
	t.Parallel()
	s := openSpilling(t, t.TempDir())
	defer s.Close()
	const values = 10_000 // 320 MiB
	for n := range uint64(values) {
		set(t, s, n, large(n%100))
	}
	var b store.Batch
	for n := range uint64(values) {
		if n%10 != 0 {
			b.Delete(store.Key{Kind: store.Result, Num: n})
		}
	}
	b.Set(store.Key{Kind: store.Result, Num: 0}, []byte("small"))
	if err := s.Commit(&b); err != nil {
		t.Fatal(err)
	}
	set(t, s, 0, large(0))
	for n := uint64(0); n < values; n += 10 {
		if v, err := s.Get(store.Key{Kind: store.Result, Num: n}); err != nil || !bytes.Equal(v, large(n%100)) {
			t.Fatalf("value %d: %d bytes, %v", n, len(v), err)
		}
	}
	seen := 0
	if err := s.Scan(store.Result, 0, func(n uint64, value []byte) error {
		seen++
		if !bytes.Equal(value, large(n%100)) {
			return errors.New("a value differs")
		}
		return nil
	}); err != nil || seen != values/10 {
		t.Errorf("scanned %d values, %v", seen, err)
	}
	if err := s.Room(); err != nil {
		t.Error(err)
	}
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	if most := uint64(100 << 20); stats.HeapAlloc > most {
		t.Errorf("the heap has %d MiB", stats.HeapAlloc>>20)
	}
}

// The files have no names that could be left behind, and a directory that cannot be written to is
// said at once.
func TestSpillDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openSpilling(t, dir)
	set(t, s, 1, large(1))
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("the directory has %v, %v", names, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	if _, err := store.NewSpilling(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
}
