package pgstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/lead/leadtest"
	"github.com/frayrpc/fray/fray/store/pgstore"
	"github.com/frayrpc/fray/fray/store/pgstore/pgtest"
	"github.com/frayrpc/fray/fray/store/storetest"
)

// shared is one server for all tests that need not stop theirs.
var shared struct {
	once    sync.Once
	server  *pgtest.Server
	err     error
	schemas atomic.Int64
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// newURL returns where a new, empty database is.
func newURL(t *testing.T) string {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = pgtest.New() })
	pgtest.Need(t, shared.err)
	return shared.server.Schema(t, fmt.Sprintf("test_%d", shared.schemas.Add(1)))
}

func open(t *testing.T, url string) *pgstore.Database {
	t.Helper()
	d, err := pgstore.Open(t.Context(), pgstore.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func stand(t *testing.T, d lead.Database, id string) *lead.Term {
	t.Helper()
	term, err := lead.Stand(t.Context(), lead.Config{Database: d, Holder: lead.Holder{ID: id, Address: "http://" + id}})
	if err != nil {
		t.Fatal(err)
	}
	return term
}

// owned is a term that closes its database, too.
type owned struct {
	*lead.Term

	db *pgstore.Database
}

func (o *owned) Close() error {
	err := o.Leave()
	if err == nil {
		err = o.db.Close()
	}
	return err
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	leadtest.Run(t, func(t *testing.T) (a, b lead.Database) {
		t.Helper()
		url := newURL(t)
		return open(t, url), open(t, url)
	})
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		d := open(t, newURL(t))
		return &owned{stand(t, d, "a"), d}
	})
}

// medium is a database that outlives those who use it. What a crash of its server leaves is for
// TestServerCrash.
type medium struct{ url string }

func (m *medium) Open(t *testing.T) store.Store {
	t.Helper()
	d := open(t, m.url)
	return &owned{stand(t, d, "a"), d}
}

func (*medium) Crash(*testing.T, *rand.Rand) storetest.Medium { return nil }

func TestDurableStore(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(t *testing.T) storetest.Medium {
		t.Helper()
		return &medium{newURL(t)}
	})
}

// Each kind of record has a table.
func TestEveryKindHasATable(t *testing.T) {
	t.Parallel()
	d := open(t, newURL(t))
	term := stand(t, d, "a")
	for kind := range store.Kinds() {
		var b store.Batch
		b.Set(store.Key{Kind: kind, Num: 1}, []byte("v"))
		if err := term.Commit(&b); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
	}
	if err := errors.Join(term.Leave(), d.Close()); err != nil {
		t.Error(err)
	}
}

// Tables that exist are used by who would not make them.
func TestOpenExisting(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	if err := open(t, url).Close(); err != nil {
		t.Fatal(err)
	}
	d, err := pgstore.Open(t.Context(), pgstore.Config{URL: url, Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	term := stand(t, d, "a")
	if err := errors.Join(term.Leave(), d.Close()); err != nil {
		t.Error(err)
	}
}
