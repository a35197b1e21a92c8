package lead_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/lead/leadtest"
	"github.com/frayrpc/fray/fray/store/storetest"
)

// standWith is stand for a leader that remembers so many bytes.
func standWith(t *testing.T, d lead.Database, recentBytes int) *lead.Term {
	t.Helper()
	term, err := lead.Stand(t.Context(), lead.Config{Database: d, Holder: lead.Holder{ID: "a"}, RecentBytes: recentBytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = term.Close() })
	return term
}

func TestTermThatForgetsIsAStore(t *testing.T) {
	t.Parallel()
	for _, bytes := range []int{1, 300, 2000} {
		t.Run(fmt.Sprint(bytes), func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) store.Store {
				t.Helper()
				return standWith(t, leadtest.NewMemory(firstEpoch).Client(), bytes)
			})
		})
	}
}

// counted is a database whose reads are counted.
func counted(m *leadtest.Memory) (*leadtest.Client, *atomic.Int64) {
	d, reads := m.Client(), &atomic.Int64{}
	d.Before = func(_ context.Context, call leadtest.Call) error {
		if call == leadtest.Get {
			reads.Add(1)
		}
		return nil
	}
	return d, reads
}

// What was committed last is read from memory, and the rest from the database.
func TestRecentIsReadFromMemory(t *testing.T) {
	t.Parallel()
	d, reads := counted(leadtest.NewMemory(firstEpoch))
	const room = 10
	term := standWith(t, d, room*(100+128))
	for n := range uint64(room + 5) {
		if err := term.Commit(batch(n, fmt.Sprintf("%0100d", n))); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint64(room + 5) {
		wantRecord(t, term, n, fmt.Sprintf("%0100d", n))
	}
	if n := reads.Load(); n != 5 {
		t.Errorf("%d of %d values were read from the database, want 5", n, room+5)
	}
}

// However values come, are replaced and go, what is read is what the database has.
func TestRecentIsWhatTheDatabaseHas(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		m := leadtest.NewMemory(firstEpoch)
		d, reads := counted(m)
		term, records := standWith(t, d, 1+r.IntN(4000)), m.Client()
		asked := 0
		for range 400 {
			b := &store.Batch{Lazy: r.IntN(2) == 0}
			for range 1 + r.IntN(4) {
				k := store.Key{Kind: store.RecordKind(1 + r.IntN(3)), Num: r.Uint64N(30)} // within: specs, results, states
				if r.IntN(3) == 0 {
					b.Delete(k)
				} else {
					b.Set(k, []byte(fmt.Sprintf("%0*d", r.IntN(200), r.IntN(1000))))
				}
			}
			if err := term.Commit(b); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				k := store.Key{Kind: store.RecordKind(1 + r.IntN(3)), Num: r.Uint64N(30)} // within: likewise
				asked++
				got, gotErr := term.Get(k)
				want, err := records.Get(t.Context(), k)
				if !bytes.Equal(got, want) || errors.Is(gotErr, store.ErrNotFound) != errors.Is(err, store.ErrNotFound) {
					t.Fatalf("seed %d: %v is %q, %v; the database has %q, %v", seed, k, got, gotErr, want, err)
				}
			}
		}
		if n := int(reads.Load()); n == 0 || n == asked {
			t.Errorf("seed %d: %d of %d reads were the database's", seed, n, asked)
		}
	}
}
