package store_test

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/frayrpc/fray/fray/store"
)

// What finds no room in the directory stays in the heap, and the store says that it is full until
// there is room again.
func TestSpillDirectoryIsFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no filesystem that can be filled: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := openSpilling(t, dir)
	const values = 20 // 640 KiB
	for n := range uint64(values) {
		set(t, s, n, large(n))
	}
	if err := s.Room(); !errors.Is(err, store.ErrFull) {
		t.Errorf("room in a full directory: %v", err)
	}
	for n := range uint64(values) {
		if v, err := s.Get(store.Key{Kind: store.Result, Num: n}); err != nil || !bytes.Equal(v, large(n)) {
			t.Errorf("value %d: %d bytes, %v", n, len(v), err)
		}
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	set(t, s, values, large(values))
	if err := s.Room(); err != nil {
		t.Errorf("room when there is some again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
