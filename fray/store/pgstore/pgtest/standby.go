package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Follow makes and starts a synchronous standby of s under a name, and removes it when the test ends.
// From when it returns, what s acknowledges is on the standby's disk, and so is all that s has
// acknowledged before.
func (s *Server) Follow(tb testing.TB, name string) *Server {
	tb.Helper()
	f, err := newServer()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Remove(); err != nil {
			tb.Error(err)
		}
	})
	if err := f.FollowAnew(s, name); err != nil {
		tb.Fatal(err)
	}
	return f
}

// FollowAnew makes s, which is stopped, the standby of a primary as Follow does. It has the address
// that it had, and nothing of its data.
func (s *Server) FollowAnew(primary *Server, name string) error {
	if err := errors.Join(s.freeMemory(), os.RemoveAll(s.data())); err != nil {
		return err
	}
	err := s.run("pg_basebackup", "--pgdata", s.data(), "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--wal-method=stream",
		"--dbname", fmt.Sprintf("host=127.0.0.1 port=%d user=fray application_name=%s", primary.port, name))
	if err == nil {
		err = s.configure([]string{"synchronous_standby_names = ''"}) // It has no standby once it is promoted.
	}
	if err != nil {
		return err
	}
	return primary.require(name, s.Run)
}

// require has the commits of s wait for a standby, calls start once they do, and returns once the
// standby has what was committed before. So that no commit is acknowledged in between that the
// standby lacks, one commit has to be seen to wait.
func (s *Server) require(name string, start func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + name + "'", "SELECT pg_reload_conf()"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	committed := make(chan error, 1)
	waits, err := s.commitOne(ctx, conn, committed)
	for !waits && err == nil {
		waits, err = s.commitOne(ctx, conn, committed) // The settings had not come to all processes.
	}
	if err != nil {
		return err
	}
	if err := start(); err != nil {
		return err
	}
	return <-committed
}

// commitOne makes a commit. It returns true once that waits for a standby, and committed is told
// then how it ended; or false after it has ended at once.
func (s *Server) commitOne(ctx context.Context, watch *pgx.Conn, committed chan error) (waits bool, err error) {
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return false, err
	}
	pid := conn.PgConn().PID()
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_logical_emit_message(true, 'pgtest', '')") // A record in the log that changes nothing.
		committed <- errors.Join(err, conn.Close(ctx))
	}()
	for !waits {
		select {
		case err := <-committed:
			return false, err
		case <-time.After(time.Millisecond):
		}
		err := watch.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'", pid).Scan(&waits)
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// Promote makes a standby one that is written to.
func (s *Server) Promote() error {
	return s.run("pg_ctl", "promote", "--pgdata", s.data(), "--wait", "--timeout", "60")
}
