package database_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/lead/leadtest"
	"github.com/frayrpc/fray/fray/store/storetest"
	"github.com/frayrpc/fray/sim/cluster/database"
)

const firstEpoch = 41

// A site is the host of a database, and the network.
type site struct {
	*database.Server

	disk *database.Disk
	url  string
	full atomic.Bool

	mu      sync.Mutex
	held    chan struct{} // syncs wait for it; nil: for nothing
	waits   chan struct{} // is told of a sync that waits
	changes []database.Change
}

func newSite(t *testing.T, disk *database.Disk) *site {
	t.Helper()
	s := &site{disk: disk, waits: make(chan struct{}, 1)}
	s.Server = database.NewServer(database.Config{Disk: disk, Full: s.full.Load, Fails: func(string) error { return nil }, Sync: s.sync, Observe: func(c database.Change) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changes = append(s.changes, c)
	}})
	network := httptest.NewServer(s)
	t.Cleanup(network.Close)
	s.url = network.URL
	return s
}

func (s *site) sync(lead.Seat) {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if held != nil {
		s.waits <- struct{}{}
		<-held
	}
}

// hold has syncs wait until what it returns is called.
func (s *site) hold() (letGo func()) {
	held := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = nil
		close(held)
	}
}

func (s *site) client(host string) *database.Client {
	return &database.Client{HTTP: http.DefaultClient, URL: s.url, Host: host}
}

func TestIsADatabase(t *testing.T) {
	leadtest.Run(t, func(t *testing.T) (a, b lead.Database) {
		t.Helper()
		s := newSite(t, database.NewDisk(firstEpoch))
		return s.client("a"), s.client("b")
	})
}

func TestTermIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return stand(t, newSite(t, database.NewDisk(firstEpoch)).client("a"))
	})
}

func stand(t *testing.T, d *database.Client) *lead.Term {
	t.Helper()
	term, err := lead.Stand(t.Context(), lead.Config{Database: d, Holder: lead.Holder{ID: d.Host}})
	if err != nil {
		t.Fatal(err)
	}
	return term
}

func take(t *testing.T, d *database.Client) lead.Seat {
	t.Helper()
	seen := look(t, d)
	if err := d.Take(t.Context(), seen, lead.Holder{ID: d.Host}); err != nil {
		t.Fatal(err)
	}
	return look(t, d)
}

func look(t *testing.T, d *database.Client) lead.Seat {
	t.Helper()
	seat, err := d.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return seat
}

func batch(num uint64, lazy bool) *store.Batch {
	b := &store.Batch{Lazy: lazy}
	b.Set(store.Key{Kind: store.Spec, Num: num}, []byte("v"))
	return b
}

func has(t *testing.T, d *database.Client, num uint64) bool {
	t.Helper()
	_, err := d.Get(t.Context(), store.Key{Kind: store.Spec, Num: num})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// What was acknowledged outlives each kind of end; what was not may, and does for some seeds only.
func TestEnds(t *testing.T) {
	ends := map[string]func(s *site, random *rand.Rand) *site{
		"the process dies": func(s *site, random *rand.Rand) *site {
			return newSite(t, s.disk.AfterCrash(false, random).(*database.Disk))
		},
		"the power fails": func(s *site, random *rand.Rand) *site {
			return newSite(t, s.disk.AfterCrash(true, random).(*database.Disk))
		},
		"the standby takes over": func(s *site, random *rand.Rand) *site {
			s.Failover(random, func(string) bool { return false })
			return s
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			kept := map[bool]int{}
			for seed := range uint64(20) {
				s := newSite(t, database.NewDisk(firstEpoch))
				a := s.client("a")
				epoch := take(t, a).Epoch
				for n, lazy := range []bool{false, true} {
					if err := a.Commit(t.Context(), epoch, uint64(n)+1, batch(uint64(n), lazy)); err != nil {
						t.Fatal(err)
					}
				}
				letGo := s.hold()
				ended := make(chan error, 1)
				go func() { ended <- a.Commit(context.Background(), epoch, 3, batch(2, false)) }()
				<-s.waits
				if has(t, a, 2) {
					t.Fatal("a commit is seen that is not durable")
				}
				next := end(s, rand.New(rand.NewPCG(seed, 0)))
				if next != s {
					a = next.client("a")
					s.Failover(rand.New(rand.NewPCG(0, 0)), func(string) bool { return false }) // Lets the caller go.
				}
				letGo()
				if err := <-ended; err == nil {
					t.Fatal("a commit is acknowledged by what was replaced")
				}
				if !has(t, a, 0) {
					t.Fatalf("seed %d: what was acknowledged is lost", seed)
				}
				kept[has(t, a, 2)]++
				if has(t, a, 2) && !has(t, a, 1) {
					t.Fatalf("seed %d: a commit is kept, and the one before is not", seed)
				}
			}
			if kept[true] == 0 || kept[false] == 0 {
				t.Errorf("what was in the air is kept, or not: %v", kept)
			}
		})
	}
}

// Who is on the side of a database that was replaced can read, and commit what is lazy, and nothing
// else, until it comes over.
func TestReplacedDatabaseAcknowledgesNothing(t *testing.T) {
	s := newSite(t, database.NewDisk(firstEpoch))
	old, other := s.client("old"), s.client("other")
	epoch := take(t, old).Epoch
	if err := old.Commit(t.Context(), epoch, 1, batch(1, false)); err != nil {
		t.Fatal(err)
	}
	s.Failover(rand.New(rand.NewPCG(1, 1)), func(host string) bool { return host == "old" })
	if next := take(t, other).Epoch; next != epoch+1 {
		t.Errorf("the next epoch is %d", next)
	}
	if seat := look(t, old); seat.Epoch != epoch || !has(t, old, 1) {
		t.Errorf("on the other side there is %+v", seat)
	}
	if err := old.Commit(t.Context(), epoch, 2, batch(2, true)); err != nil || !has(t, old, 2) || has(t, other, 2) {
		t.Errorf("a lazy commit there: %v", err)
	}
	letGo := s.hold()
	ended := make(chan error, 1)
	go func() { ended <- old.Commit(context.Background(), epoch, 3, batch(3, false)) }()
	<-s.waits
	letGo()
	s.Rejoin()
	if err := <-ended; err == nil {
		t.Error("it has acknowledged a commit")
	}
	if has(t, old, 2) || has(t, old, 3) || look(t, old).Epoch != epoch+1 {
		t.Error("it has not come over")
	}
	if err := old.Commit(t.Context(), epoch, 2, batch(2, false)); !errors.Is(err, lead.ErrReplaced) {
		t.Errorf("a commit of the leader that was replaced: %v", err)
	}
}

func TestFullDiskTakesNoRecords(t *testing.T) {
	s := newSite(t, database.NewDisk(firstEpoch))
	a := s.client("a")
	epoch := take(t, a).Epoch
	s.full.Store(true)
	if err := a.Commit(t.Context(), epoch, 1, batch(1, false)); !errors.Is(err, store.ErrFull) {
		t.Errorf("got %v", err)
	}
	if err := a.Beat(t.Context(), epoch); err != nil {
		t.Errorf("beat: %v", err)
	}
	s.full.Store(false)
	if err := a.Commit(t.Context(), epoch, 1, batch(1, false)); err != nil {
		t.Error(err)
	}
}

// Each change is told of once, as whose it is, and what a start finds.
func TestChangesAreObserved(t *testing.T) {
	s := newSite(t, database.NewDisk(firstEpoch))
	a := s.client("a")
	epoch := take(t, a).Epoch
	if err := errors.Join(a.Commit(t.Context(), epoch, 1, batch(1, false)), a.Leave(t.Context(), epoch)); err != nil {
		t.Fatal(err)
	}
	if err := a.Commit(t.Context(), epoch, 2, batch(1, false)); !errors.Is(err, lead.ErrReplaced) {
		t.Errorf("a commit of one who has left: %v", err)
	}
	want := []database.Kind{database.Found, database.Took, database.Committed, database.Left}
	if len(s.changes) != len(want) {
		t.Fatalf("got %+v", s.changes)
	}
	for i, c := range s.changes {
		if c.Kind != want[i] || i > 0 && (c.Host != "a" || c.Seat.Epoch != epoch) {
			t.Errorf("change %d is %+v", i, c)
		}
	}
}
