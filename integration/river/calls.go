package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// calls has callers make one call after the other for a while, and returns how long each took, the
// shortest first.
func calls(ctx context.Context, s system, callers int, length time.Duration) ([]time.Duration, error) {
	took := make([][]time.Duration, callers)
	errs := make([]error, callers)
	end := time.Now().Add(length)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for now := time.Now(); now.Before(end) && errs[i] == nil; {
				errs[i] = s.call(ctx)
				done := time.Now()
				took[i] = append(took[i], done.Sub(now))
				now = done
			}
		})
	}
	all.Wait()
	sum := slices.Concat(took...)
	slices.Sort(sum)
	return sum, errors.Join(errs...)
}

// probes is how many commits are made to see how long one takes.
const probes = 200

// probe returns how long the median commit takes that changes one row, and the server's version.
func probe(ctx context.Context, url string) (commit time.Duration, version string, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	var fsync, synchronous string
	err = conn.QueryRow(ctx, "SELECT split_part(version(), ' (', 1), current_setting('fsync'), current_setting('synchronous_commit')").Scan(&version, &fsync, &synchronous)
	if err != nil {
		return 0, "", err
	}
	if fsync != "on" || synchronous != "on" {
		return 0, "", errors.New("the server does not sync: nothing that it acknowledges is durable")
	}
	if _, err := conn.Exec(ctx, "CREATE TABLE probe (n integer)"); err != nil {
		return 0, "", err
	}
	if _, err := conn.Exec(ctx, "INSERT INTO probe VALUES (0)"); err != nil {
		return 0, "", err
	}
	took := make([]time.Duration, probes)
	for i := range took {
		began := time.Now()
		if _, err := conn.Exec(ctx, "UPDATE probe SET n = n + 1"); err != nil {
			return 0, "", err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2], version, nil
}
