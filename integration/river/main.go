// The river command measures Fray beside River, a queue of jobs in PostgreSQL, on the same server in
// the same run.
//
//	go run . -jobs 100000 -repeat 3 -call 5s
//
// Both get jobs of 64 bytes that do nothing, and have the same number of slots for them. All of a
// system is in this process: of River the client that inserts and its workers, of Fray a controller
// with its store in the database, a worker and a client, which speak to each other over TCP. The
// server is one with PostgreSQL's own defaults, so that what is committed is on the disk. The systems
// take turns, each time with an empty database of their own.
//
// A row "batch" is how many jobs a second are submitted, in batches, executed, and known to have
// ended, which the database has by then. A row "call" is the time from submitting one job until its
// end is known to who has submitted it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/fray/store/pgstore/pgtest"
)

// payloadBytes is how long a job's input is.
const payloadBytes = 64

var payload = strings.Repeat("x", payloadBytes)

// system runs jobs.
type system interface {
	// batch submits n jobs, in batches, and returns once all have ended.
	batch(ctx context.Context, n int) error
	// call submits one job, and returns once it has ended.
	call(ctx context.Context) error
	close() error
}

// contender is a system that is measured.
type contender struct {
	name  string
	start func(ctx context.Context, database string, slots int) (system, error)
}

// contenders are all of them. Ratios are Fray's to the others'.
var contenders = []contender{
	{name: "Fray", start: startFray},
	{name: "River", start: startRiver},
	{name: "River, JobCompleteTx", start: startRiverTx},
}

// options are the command's.
type options struct {
	jobs, slots, repeat int
	call                time.Duration
	only, profile       string
}

func main() {
	var o options
	flag.IntVar(&o.jobs, "jobs", 100_000, "how many jobs a batch row has")
	flag.IntVar(&o.slots, "slots", 100, "how many jobs are executed at a time")
	flag.IntVar(&o.repeat, "repeat", 3, "how often each system has its turn")
	flag.DurationVar(&o.call, "call", 5*time.Second, "for how long calls are made, each time")
	flag.StringVar(&o.only, "only", "", "measure the system of this `name` alone")
	flag.StringVar(&o.profile, "cpuprofile", "", "write what the process spends its time on to this `file`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, &o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "river:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) (err error) {
	if o.jobs < 1 || o.slots < 1 || o.repeat < 1 || o.call <= 0 {
		return errors.New("-jobs, -slots, -repeat and -call must be more than 0")
	}
	// What pgtest sets for tests is set back to PostgreSQL's own.
	server, err := pgtest.New("shared_buffers = 128MB", "wal_keep_size = 0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Remove()) }()
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	chosen := slices.DeleteFunc(slices.Clone(contenders), func(c contender) bool { return o.only != "" && o.only != c.name })
	if len(chosen) == 0 {
		return fmt.Errorf("-only %s: there is no such system", o.only)
	}
	commit, version, err := probe(ctx, server.URL())
	if err != nil {
		return err
	}
	fmt.Printf("%s, GOMAXPROCS %d, %s; a commit of one row takes %v\n\n", version, runtime.GOMAXPROCS(0), runtime.Version(), commit.Round(time.Microsecond))
	t := newTable(o)
	for n := range o.repeat {
		for i, c := range chosen {
			database, err := server.Database(ctx, fmt.Sprintf("run_%d_%d", n, i))
			if err != nil {
				return err
			}
			if err := measure(ctx, o, c, database, t); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return t.print(os.Stdout)
}

// measure gives a system its turn.
func measure(ctx context.Context, o *options, c contender, database string, t *table) (err error) {
	s, err := c.start(ctx, database, o.slots)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, s.close()) }()
	if err := s.batch(ctx, max(1, o.jobs/20)); err != nil { // Connections are there then, and caches filled.
		return err
	}
	began := time.Now()
	if err := s.batch(ctx, o.jobs); err != nil {
		return err
	}
	t.addRate(c.name, "batch", float64(o.jobs)/time.Since(began).Seconds())
	for _, callers := range []int{1, 8} {
		took, err := calls(ctx, s, callers, o.call)
		if err != nil {
			return err
		}
		t.addCalls(c.name, callers, o.call, took)
	}
	return nil
}
