// Package storetest is the suite that every store.Store passes.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/store"
)

// Run runs the suite. open returns a new, empty store; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, s store.Store)
	}{
		{"what is set is got", setAndGet},
		{"what is not there is not found", notFound},
		{"a later change of a batch wins", laterWins},
		{"deleting what is not there is no error", deleteMissing},
		{"kinds do not mix", kindsApart},
		{"empty values are values", emptyValue},
		{"scan is in order and starts where it is told", scanOrder},
		{"scan stops at an error", scanStops},
		{"a batch can be reused", reuse},
		{"readers see all of a batch or nothing", atomicity},
		{"a closed store says so", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer func() { _ = s.Close() }()
			c.test(t, s)
		})
	}
	t.Run("it is a map", func(t *testing.T) { likeAMap(t, open) })
}

func key(n uint64) store.Key { return store.Key{Kind: store.Spec, Num: n} }

func commit(t *testing.T, s store.Store, change func(b *store.Batch)) {
	t.Helper()
	var b store.Batch
	change(&b)
	if err := s.Commit(&b); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func wantValue(t *testing.T, s store.Store, k store.Key, want string) {
	t.Helper()
	v, err := s.Get(k)
	if err != nil || string(v) != want {
		t.Errorf("get %v = %q, %v; want %q", k, v, err, want)
	}
}

func wantMissing(t *testing.T, s store.Store, k store.Key) {
	t.Helper()
	if v, err := s.Get(k); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get %v = %q, %v; want ErrNotFound", k, v, err)
	}
}

func setAndGet(t *testing.T, s store.Store) {
	commit(t, s, func(b *store.Batch) {
		b.Set(key(1), []byte("one"))
		b.Set(key(math.MaxUint64), []byte("last"))
		b.Set(key(0), []byte("first"))
	})
	wantValue(t, s, key(0), "first")
	wantValue(t, s, key(1), "one")
	wantValue(t, s, key(math.MaxUint64), "last")
}

func notFound(t *testing.T, s store.Store) {
	wantMissing(t, s, key(1))
	commit(t, s, func(*store.Batch) {})
	wantMissing(t, s, key(1))
}

func laterWins(t *testing.T, s store.Store) {
	commit(t, s, func(b *store.Batch) {
		b.Set(key(1), []byte("a"))
		b.Set(key(1), []byte("b"))
		b.Set(key(2), []byte("a"))
		b.Delete(key(2))
		b.Delete(key(3))
		b.Set(key(3), []byte("c"))
	})
	wantValue(t, s, key(1), "b")
	wantMissing(t, s, key(2))
	wantValue(t, s, key(3), "c")
}

func deleteMissing(t *testing.T, s store.Store) {
	commit(t, s, func(b *store.Batch) { b.Delete(key(9)) })
	wantMissing(t, s, key(9))
}

func kindsApart(t *testing.T, s store.Store) {
	commit(t, s, func(b *store.Batch) {
		b.Set(store.Key{Kind: store.Spec, Num: 7}, []byte("spec"))
		b.Set(store.Key{Kind: store.Result, Num: 7}, []byte("result"))
	})
	commit(t, s, func(b *store.Batch) { b.Delete(store.Key{Kind: store.Spec, Num: 7}) })
	wantMissing(t, s, store.Key{Kind: store.Spec, Num: 7})
	wantValue(t, s, store.Key{Kind: store.Result, Num: 7}, "result")
}

func emptyValue(t *testing.T, s store.Store) {
	commit(t, s, func(b *store.Batch) { b.Set(key(1), nil) })
	wantValue(t, s, key(1), "")
}

func scan(s store.Store, from uint64) (string, error) {
	var out bytes.Buffer
	err := s.Scan(store.Spec, from, func(n uint64, v []byte) error {
		fmt.Fprintf(&out, "%d=%s ", n, v)
		return nil
	})
	return out.String(), err
}

func scanOrder(t *testing.T, s store.Store) {
	commit(t, s, func(b *store.Batch) {
		for _, n := range []uint64{300, 2, 256, 1, 255} {
			b.Set(key(n), []byte("v"))
		}
		b.Set(store.Key{Kind: store.Result, Num: 3}, []byte("other"))
	})
	for from, want := range map[uint64]string{
		0:   "1=v 2=v 255=v 256=v 300=v ",
		2:   "2=v 255=v 256=v 300=v ",
		257: "300=v ",
		301: "",
	} {
		if got, err := scan(s, from); err != nil || got != want {
			t.Errorf("scan from %d = %q, %v; want %q", from, got, err, want)
		}
	}
}

func scanStops(t *testing.T, s store.Store) {
	commit(t, s, func(b *store.Batch) {
		b.Set(key(1), nil)
		b.Set(key(2), nil)
	})
	stop, n := errors.New("enough"), 0
	err := s.Scan(store.Spec, 0, func(uint64, []byte) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("scan = %v after %d records, want %v after 1", err, n, stop)
	}
}

func reuse(t *testing.T, s store.Store) {
	var b store.Batch
	b.Set(key(1), []byte("a"))
	if err := s.Commit(&b); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	b.Set(key(2), []byte("b"))
	if err := s.Commit(&b); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, key(1), "a")
	wantValue(t, s, key(2), "b")
}

func atomicity(t *testing.T, s store.Store) {
	const rounds = 200
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range rounds {
			v := fmt.Appendf(nil, "%d", i)
			var b store.Batch
			b.Set(key(1), v)
			b.Set(key(2), v)
			if err := s.Commit(&b); err != nil {
				t.Errorf("commit: %v", err)
				return
			}
		}
	})
	for range rounds {
		got := make(map[uint64]string)
		err := s.Scan(store.Spec, 0, func(n uint64, v []byte) error { got[n] = string(v); return nil })
		if err != nil || got[1] != got[2] {
			t.Errorf("scan saw half a batch: %v, %v", got, err)
			break
		}
	}
	wg.Wait()
}

func closed(t *testing.T, s store.Store) {
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	var b store.Batch
	b.Set(key(1), nil)
	_, getErr := s.Get(key(1))
	_, scanErr := scan(s, 0)
	for name, err := range map[string]error{"commit": s.Commit(&b), "get": getErr, "scan": scanErr} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after close: %v, want ErrClosed", name, err)
		}
	}
}

// likeAMap compares the store with a map over random batches.
func likeAMap(t *testing.T, open func(t *testing.T) store.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t)
		defer func() { _ = s.Close() }()
		model := make(map[store.Key]string)
		keys := rapid.Custom(func(rt *rapid.T) store.Key {
			return store.Key{
				Kind: store.RecordKind(rapid.IntRange(1, 2).Draw(rt, "kind")), //nolint:gosec // 1 or 2.
				Num:  rapid.Uint64Range(0, 12).Draw(rt, "num"),
			}
		})
		for range rapid.IntRange(1, 20).Draw(rt, "batches") {
			var b store.Batch
			for range rapid.IntRange(0, 6).Draw(rt, "ops") {
				k := keys.Draw(rt, "key")
				if rapid.Bool().Draw(rt, "delete") {
					b.Delete(k)
					delete(model, k)
				} else {
					v := rapid.StringN(0, 8, -1).Draw(rt, "value")
					b.Set(k, []byte(v))
					model[k] = v
				}
			}
			if err := s.Commit(&b); err != nil {
				rt.Fatal(err)
			}
			k := keys.Draw(rt, "read")
			want, ok := model[k]
			v, err := s.Get(k)
			if ok && (err != nil || string(v) != want) || !ok && !errors.Is(err, store.ErrNotFound) {
				rt.Fatalf("get %v = %q, %v; the map has %q, %v", k, v, err, want, ok)
			}
		}
		n := 0
		for _, kind := range []store.RecordKind{store.Spec, store.Result} {
			err := s.Scan(kind, 0, func(num uint64, v []byte) error {
				n++
				if want := model[store.Key{Kind: kind, Num: num}]; want != string(v) {
					return fmt.Errorf("scan has %q under %d, the map %q", v, num, want)
				}
				return nil
			})
			if err != nil {
				rt.Fatal(err)
			}
		}
		if n != len(model) {
			rt.Fatalf("scan has %d records, the map %d", n, len(model))
		}
	})
}
