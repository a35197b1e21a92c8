package pgstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
)

// cutter passes connections on to a server, and cuts them: where it is told after so many bytes more,
// of which those that come before still arrive.
type cutter struct {
	listener net.Listener
	server   string
	conns    sync.WaitGroup
	// How many bytes more reach the server, and how many come back; negative: all.
	there, back atomic.Int64
	cuts        atomic.Int64
}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, server: server}
	c.there.Store(-1)
	c.back.Store(-1)
	c.conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.conns.Go(func() { c.pass(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.conns.Wait()
	})
	return c
}

func (c *cutter) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	var ways sync.WaitGroup
	way := func(to io.Writer, from io.Reader, left *atomic.Int64) {
		defer func() { _, _ = client.Close(), server.Close() }() // Ends the other way, too.
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				if may := left.Load(); may >= 0 {
					if int64(n) > may {
						_, _ = to.Write(buf[:may])
						left.Store(-1) // Only one is cut.
						c.cuts.Add(1)
						return
					}
					left.Add(int64(-n))
				}
				if _, err := to.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	ways.Go(func() { way(server, client, &c.there) })
	ways.Go(func() { way(client, server, &c.back) })
	ways.Wait()
}

// through is a URL by way of a cutter.
func (c *cutter) through(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = c.listener.Addr().String()
	return u.String()
}

func key(n uint64) store.Key { return store.Key{Kind: store.Spec, Num: n} }

// batchOf sets records of these numbers.
func batchOf(nums ...uint64) *store.Batch {
	b := &store.Batch{}
	for _, n := range nums {
		b.Set(key(n), fmt.Append(nil, n))
	}
	return b
}

// A connection is cut before, within and after a commit, at any byte of what goes there and of what
// comes back. Each commit that returns is there, as a whole, and counted once.
func TestCutCommits(t *testing.T) {
	t.Parallel()
	database := newURL(t)
	proxy := newCutter(t, shared.server.Address())
	d := open(t, proxy.through(t, database))
	term := stand(t, d, "a")
	chance := rand.New(rand.NewPCG(1, 2))
	const commits = 300
	value := make([]byte, 2000)
	for n := range uint64(commits) {
		switch chance.IntN(3) {
		case 0:
			proxy.there.Store(chance.Int64N(3000))
		case 1:
			proxy.back.Store(chance.Int64N(120))
		}
		var b store.Batch
		b.Set(key(2*n), value)
		b.Set(store.Key{Kind: store.State, Num: n}, fmt.Append(nil, n))
		b.Set(store.Key{Kind: store.Controller, Num: 1}, fmt.Append(nil, n))
		if n > 0 {
			b.Delete(key(2 * (n - 1)))
		}
		b.Lazy = n%5 == 0
		if err := term.Commit(&b); err != nil {
			t.Fatalf("commit %d: %v", n, err)
		}
	}
	proxy.there.Store(-1)
	proxy.back.Store(-1)
	seat, err := d.Look(t.Context())
	if err != nil || seat.Commits != commits {
		t.Errorf("%d commits are counted, and %d were made; %v", seat.Commits, commits, err)
	}
	if cuts := proxy.cuts.Load(); cuts < commits/4 {
		t.Errorf("only %d connections were cut", cuts)
	}
	for kind, want := range map[store.RecordKind]int{store.Spec: 1, store.State: commits, store.Controller: 1} {
		n := 0
		if err := term.Scan(kind, 0, func(uint64, []byte) error { n++; return nil }); err != nil || n != want {
			t.Errorf("%d records of kind %d, want %d; %v", n, kind, want, err)
		}
	}
	if v, err := term.Get(store.Key{Kind: store.Controller, Num: 1}); err != nil || string(v) != fmt.Sprint(commits-1) {
		t.Errorf("the last commit has left %q, %v", v, err)
	}
	if err := errors.Join(term.Leave(), d.Close()); err != nil {
		t.Error(err)
	}
}

// What a leader that was replaced had sent, and that arrives late, changes nothing.
func TestCommitsOfTwoLeaders(t *testing.T) {
	t.Parallel()
	database := newURL(t)
	a, b := open(t, database), open(t, database)
	first := stand(t, a, "a")
	seen, err := b.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 200
	var wg sync.WaitGroup
	acknowledged := -1
	wg.Go(func() {
		for n := range rounds {
			var batch store.Batch
			batch.Set(key(uint64(n)), []byte("a"))
			if err := first.Commit(&batch); err != nil {
				if !errors.Is(err, lead.ErrLost) {
					t.Errorf("commit: %v", err)
				}
				return
			}
			acknowledged = n
		}
	})
	for seen.Commits < rounds/4 {
		if seen, err = b.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for {
		if seen, err = b.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.Take(t.Context(), seen, lead.Holder{ID: "b"}); err == nil {
			break
		} else if !errors.Is(err, lead.ErrReplaced) {
			t.Fatal(err)
		}
	}
	count := func() (n int) {
		if err := b.Scan(t.Context(), store.Spec, 0, func(uint64, []byte) error { n++; return nil }); err != nil {
			t.Error(err)
		}
		return n
	}
	found := count()
	wg.Wait()
	if now := count(); now != found || found < acknowledged+1 {
		t.Errorf("the next leader found %d commits, now there are %d, and %d were acknowledged", found, now, acknowledged+1)
	}
	if err := first.Close(); acknowledged < rounds-1 && !errors.Is(err, lead.ErrLost) {
		t.Errorf("close: %v", err)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Error(err)
	}
}

// Values of every size around the parts come back as they went, also in place of longer and shorter ones.
func TestLargeValues(t *testing.T) {
	t.Parallel()
	d := open(t, newURL(t))
	term := stand(t, d, "a")
	chance := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{3<<20 + 1, 1 << 20, 1<<20 + 1, 0, 2 << 20, 1<<20 - 1, 5, 16 << 20} {
		value := make([]byte, size)
		_, _ = chance.Read(value)
		var b store.Batch
		b.Set(key(1), value)
		b.Set(key(2), []byte("small"))
		if err := term.Commit(&b); err != nil {
			t.Fatal(err)
		}
		if got, err := term.Get(key(1)); err != nil || !bytes.Equal(got, value) {
			t.Errorf("a value of %d bytes comes back with %d, %v", size, len(got), err)
		}
		sizes := map[uint64]int{}
		err := term.Scan(store.Spec, 0, func(n uint64, v []byte) error { sizes[n] = len(v); return nil })
		if err != nil || len(sizes) != 2 || sizes[1] != size || sizes[2] != 5 {
			t.Errorf("a scan finds values of %v bytes, %v", sizes, err)
		}
	}
	var b store.Batch
	b.Delete(key(1))
	if err := term.Commit(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := term.Get(key(1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a large value that was deleted: %v", err)
	}
	b.Reset()
	b.Set(key(1), make([]byte, 257<<20))
	if err := term.Commit(&b); !errors.Is(err, lead.ErrRefused) {
		t.Errorf("a batch that is too large: %v", err)
	}
	if err := errors.Join(term.Leave(), d.Close()); err != nil {
		t.Error(err)
	}
}
