package storecopy_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/pgstore"
	"github.com/frayrpc/fray/fray/store/pgstore/pgtest"
)

// shared is one server for all tests.
var shared struct {
	once    sync.Once
	server  *pgtest.Server
	err     error
	schemas atomic.Int64
}

func openDatabase(t *testing.T) *pgstore.Database {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = pgtest.New() })
	pgtest.Need(t, shared.err)
	url := shared.server.Schema(t, fmt.Sprintf("copy_%d", shared.schemas.Add(1)))
	d, err := pgstore.Open(t.Context(), pgstore.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// What goes from a data directory to PostgreSQL, and from there to another data directory, comes back
// byte for byte: values of all sizes around those of a row, a batch and more, and numbers of all.
func TestRoundTripByPostgres(t *testing.T) {
	t.Parallel()
	chance := rand.NewChaCha8([32]byte{1})
	want := records{}.withController(12_000_000) // Beyond where the database counts from.
	sizes := []int{0, 1, 100, pgstore.PartBytes - 1, pgstore.PartBytes, pgstore.PartBytes + 1, 3*pgstore.PartBytes + 5, 4 << 20, 20 << 20}
	for kind := range store.Kinds() {
		if kind == store.Controller {
			continue
		}
		for n := range uint64(300) {
			value := make([]byte, n%90)
			_, _ = chance.Read(value)
			want[store.Key{Kind: kind, Num: rand.New(chance).Uint64()}] = string(value)
		}
		want[store.Key{Kind: kind, Num: 0}], want[store.Key{Kind: kind, Num: math.MaxUint64}] = "first", "last"
		want[store.Key{Kind: kind, Num: math.MaxInt64}], want[store.Key{Kind: kind, Num: math.MaxInt64 + 1}] = "before", "after"
	}
	for n, size := range sizes {
		value := make([]byte, size)
		_, _ = chance.Read(value)
		want[store.Key{Kind: store.Piece, Num: 1_000_000 + uint64(n)}] = string(value)
	}
	dir := openPebble(t, vfs.NewMem())
	defer dir.Close()
	want.fill(t, dir)
	d := openDatabase(t)
	term := claim(t, d, from(t, dir).Incarnation())
	if term.Epoch() != 12_000_001 {
		t.Errorf("epoch %d", term.Epoch())
	}
	copied(t, dir, term)
	leave(t, term)
	original := claim(t, d, 0)
	wantRecords(t, original, want)
	back := openPebble(t, vfs.NewMem())
	defer back.Close()
	report := copied(t, original, back)
	wantRecords(t, back, want)
	leave(t, original)
	if n, _ := report.Total(); n != uint64(len(want)) {
		t.Errorf("%d records of %d", n, len(want))
	}
}

// A copy to PostgreSQL that is interrupted at any commit is refused by controllers, and made whole by
// the next.
func TestInterruptedCopyToPostgres(t *testing.T) {
	t.Parallel()
	d := openDatabase(t)
	source := filled(t, some())
	const commits = 4
	for at := range commits {
		term := claim(t, d, 7)
		_, err := from(t, source).To(t.Context(), &cutting{Store: term, at: at + 1, applied: at%2 == 0}, nil)
		if !errors.Is(err, errCut) {
			t.Fatalf("copy: %v", err)
		}
		leave(t, term)
		next, err := lead.Stand(t.Context(), lead.Config{Database: d, Holder: lead.Holder{ID: "controller"}})
		if err != nil {
			t.Fatal(err)
		}
		wantUnfinished(t, next)
		leave(t, next)
	}
	term := claim(t, d, 7)
	copied(t, source, term)
	wantRecords(t, term, some())
	leave(t, term)
}
