package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/pgstore"
	"github.com/frayrpc/fray/fray/store/pgstore/pgtest"
)

// load has a term commit records, each its own, until it is told to end or the lead is lost, and
// counts those that were acknowledged.
type load struct {
	acknowledged atomic.Uint64
	stop         context.CancelFunc
	ended        chan error
}

func commitUntil(t *testing.T, term *lead.Term) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel, ended: make(chan error, 1)}
	go func() {
		for n := uint64(0); ctx.Err() == nil; n++ {
			var b store.Batch
			b.Set(key(n), fmt.Append(nil, n))
			if err := term.Commit(&b); err != nil {
				l.ended <- err
				return
			}
			l.acknowledged.Store(n + 1)
		}
		l.ended <- nil
	}()
	return l
}

// more waits until so many more are acknowledged.
func (l *load) more(t *testing.T, n uint64) {
	t.Helper()
	for enough := l.acknowledged.Load() + n; l.acknowledged.Load() < enough; {
		select {
		case err := <-l.ended:
			t.Fatalf("it has ended with %v", err)
		case <-time.After(time.Millisecond):
		}
	}
}

func wantAll(t *testing.T, s *lead.Term, acknowledged uint64) {
	t.Helper()
	n := uint64(0)
	err := s.Scan(store.Spec, 0, func(num uint64, v []byte) error {
		if num != n || string(v) != fmt.Sprint(n) {
			return fmt.Errorf("record %d is %q, and comes after %d", num, v, n)
		}
		n++
		return nil
	})
	if err != nil || n < acknowledged || n > acknowledged+1 {
		t.Errorf("%d records are there, and %d were acknowledged; %v", n, acknowledged, err)
	}
}

// A server that crashes, and comes back, has all that was acknowledged, and the leader goes on.
func TestServerCrash(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	d := open(t, server.URL())
	term := stand(t, d, "a")
	l := commitUntil(t, term)
	for range 3 {
		l.more(t, 20)
		if err := server.Stop(syscall.SIGQUIT); err != nil {
			t.Fatal(err)
		}
		if err := server.Run(); err != nil {
			t.Fatal(err)
		}
	}
	l.more(t, 20)
	l.end(t, term, d)
}

// A primary is lost, and its synchronous standby takes over: all that was acknowledged is there, and
// the leader finds the new primary by itself.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary := pgtest.Start(t)
	standby := primary.Follow(t, "s1")
	both := fmt.Sprintf("postgres://fray@%s,%s/postgres?sslmode=disable", primary.Address(), standby.Address())
	d := open(t, both)
	term := stand(t, d, "a")
	l := commitUntil(t, term)
	l.more(t, 50)
	if err := primary.Stop(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	l.more(t, 50)
	l.end(t, term, d)
}

// A commit that the server reports as done although its standby does not have it is not acknowledged
// until that has.
func TestCommitWithoutItsStandby(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	d := open(t, server.URL())
	term := stand(t, d, "a")
	execute(t, server.URL(), "ALTER SYSTEM SET synchronous_standby_names = 'missing'", "SELECT pg_reload_conf()")
	l := commitUntil(t, term)
	const tries = 3
	for range tries {
		waitFor(t, server.URL(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		before := l.acknowledged.Load()
		execute(t, server.URL(), "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		time.Sleep(100 * time.Millisecond)
		// The first may have been made before the settings had come to its connection.
		if now := l.acknowledged.Load(); now != before {
			t.Errorf("%d commits were acknowledged that no standby has", now-before)
		}
	}
	execute(t, server.URL(), "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
	l.more(t, 5)
	l.end(t, term, d)
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func execute(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn := connect(t, url)
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// waitFor waits until a query counts something.
func waitFor(t *testing.T, url, query string) {
	t.Helper()
	conn := connect(t, url)
	for n := 0; n == 0; {
		if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
}

// end ends the load, and what it worked with, of which all that was acknowledged must be there.
func (l *load) end(t *testing.T, term *lead.Term, d *pgstore.Database) {
	t.Helper()
	l.stop()
	if err := <-l.ended; err != nil {
		t.Fatal(err)
	}
	wantAll(t, term, l.acknowledged.Load())
	if err := errors.Join(term.Leave(), d.Close()); err != nil {
		t.Error(err)
	}
}

// What will not go away by itself is said at once, with what it is about.
func TestOpenIsRefused(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	newer := newURL(t)
	d := open(t, newer)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	schema := newer[strings.LastIndex(newer, "=")+1:]
	execute(t, shared.server.URL(), "UPDATE "+schema+".fray_format SET version = 99")
	for name, tt := range map[string]struct {
		url, want string
		existing  bool
	}{
		"no URL":           {"", "URL is required", false},
		"no URL at all":    {"postgres://[", "parse", false},
		"a newer format":   {newer, "they have format 99, and this Fray has format 1", true},
		"no such database": {strings.Replace(url, "/postgres?", "/nowhere?", 1), `database "nowhere" does not exist`, false},
		"no such user":     {strings.Replace(url, "fray@", "nobody@", 1), `role "nobody" does not exist`, false},
		"no such schema":   {shared.server.URL() + "&search_path=nowhere", "no schema has been selected to create in", false},
		"no tables":        {url, "there are no tables of Fray in the first schema of the search_path", true},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := pgstore.Open(t.Context(), pgstore.Config{URL: tt.url, Existing: tt.existing})
			if err == nil {
				_ = d.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// A database that is away is waited for.
func TestOpenWhileAway(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	if err := server.Stop(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	d := open(t, server.URL())
	led := make(chan *lead.Term, 1)
	go func() {
		term, _ := lead.Stand(t.Context(), lead.Config{Database: d, Holder: lead.Holder{ID: "a"}})
		led <- term
	}()
	if err := server.Run(); err != nil {
		t.Fatal(err)
	}
	term := <-led
	if err := term.Commit(&store.Batch{}); err != nil {
		t.Error(err)
	}
	if err := errors.Join(term.Leave(), d.Close()); err != nil {
		t.Error(err)
	}
}
