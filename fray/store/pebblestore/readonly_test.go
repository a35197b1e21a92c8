package pebblestore_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

func TestReadOnly(t *testing.T) {
	t.Parallel()
	dir := made(t)
	before := contents(t, dir)
	s := open(t, pebblestore.Config{Dir: dir, ReadOnly: true})
	if err := s.Damage(); err != nil {
		t.Errorf("damage: %v", err)
	}
	n := 0
	if err := s.Scan(store.Spec, 0, func(uint64, []byte) error { n++; return nil }); err != nil || n != 100 {
		t.Errorf("scan found %d records, %v", n, err)
	}
	var b store.Batch
	b.Set(key(1), nil)
	if err := s.Commit(&b); err == nil {
		t.Error("commit did not fail")
	}
	if err := s.Backup(t.Context(), dir+"-copy", store.Backup{}); err == nil {
		t.Error("backup did not fail")
	}
	closeStore(t, s)
	if err := s.Close(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
	if after := contents(t, dir); after != before {
		t.Errorf("reading changed the directory from\n%s\nto\n%s", before, after)
	}
}

// What a process that was killed left, and what was damaged since, can be read without changing it.
func TestReadOnlyAfterCrash(t *testing.T) {
	t.Parallel()
	sc, found := images(t)
	killed := found["killed"]
	read := func(files map[string]string, atLeast int) (damage error) {
		t.Helper()
		fs := writeAll(t, files)
		cfg := sc.config(fs)
		cfg.ReadOnly = true
		s := open(t, cfg)
		if err := sc.compare(s, atLeast, 400); err != nil {
			t.Error(err)
		}
		damage = s.Damage()
		closeStore(t, s)
		if after := readAll(t, fs, "data"); !maps.Equal(after, files) {
			t.Error("reading changed the files")
		}
		return damage
	}
	if err := read(killed, 400); err != nil {
		t.Errorf("damage after a crash: %v", err)
	}
	newest := newestLog(killed)
	cut := maps.Clone(killed)
	cut[newest] = cut[newest][:50]
	if err := read(cut, 300); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), newest+" is damaged: the last commit in it") {
		t.Errorf("damage when most of the log is missing: %v; want it to name %s", err, newest)
	}
	if _, err := pebblestore.Open(sc.config(writeAll(t, cut))); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("open: %v, want ErrCorrupt", err)
	}
}
