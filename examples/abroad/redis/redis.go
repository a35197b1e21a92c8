// Package redis runs clients of go-redis against miniredis: counters, optimistic transactions, and the lock
// with a lease that the documentation of Redis shows.
package redis

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/frayrpc/fray/examples/abroad"
)

// lease is for how long somebody has the lock.
const lease = 2 * time.Second

// Serve is the server: it runs until its process ends. Its time has to be told to pass.
func Serve(ctx context.Context) error {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(":6379"); err != nil {
		return err
	}
	const tick = 50 * time.Millisecond
	for ctx.Err() == nil {
		time.Sleep(tick)
		server.FastForward(tick)
	}
	return nil
}

// connect makes a client that does not try again by itself, so that attempts can be counted.
func connect() *goredis.Client {
	return goredis.NewClient(&goredis.Options{
		Addr: "server:6379", PoolSize: 4, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: 150 * time.Millisecond,
	})
}

// add adds one to a number by a transaction that fails if somebody else changes it meanwhile, and returns
// what the number is then.
func add(ctx context.Context, c *goredis.Client, key string) (int, error) {
	n := 0
	err := c.Watch(ctx, func(tx *goredis.Tx) (err error) {
		if n, err = tx.Get(ctx, key).Int(); err != nil && !errors.Is(err, goredis.Nil) {
			return err
		}
		n++
		_, err = tx.TxPipelined(ctx, func(p goredis.Pipeliner) error { return p.Set(ctx, key, n, 0).Err() })
		return err
	}, key)
	return n, err
}

// release gives the lock back, if it is still one's own.
var release = goredis.NewScript(`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`)

// told is what the clients were told. They share it, by abroad.Tell.
type told struct {
	hits, sums         map[int64]string // by the numbers, who got them
	hitTries, sumTries int64
	holder             string
	until              time.Time // when the holder's lease ends
}

// app is one of several equal programs: it runs until its process ends.
func app(ctx context.Context, t *told, errorf func(format string, args ...any)) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	c := connect()
	take := func(numbers map[int64]string, what string, n int64) {
		was, ok := "", false
		abroad.Tell(func() {
			was, ok = numbers[n]
			numbers[n] = name
		})
		if ok {
			errorf("%s: %s and %s were both told %d", what, was, name, n)
		}
	}
	for i := 0; ctx.Err() == nil; i++ {
		time.Sleep(200 * time.Millisecond)
		abroad.Tell(func() { t.hitTries++ })
		if n, err := c.Incr(ctx, "hits").Result(); err == nil {
			take(t.hits, "INCR", n)
		}
		abroad.Tell(func() { t.sumTries++ })
		if n, err := add(ctx, c, "sum"); err == nil {
			take(t.sums, "WATCH", int64(n))
		}
		id := name + "-" + time.Now().Format(time.RFC3339Nano)
		if c.Set(ctx, id, id, 0).Err() == nil {
			if got, err := c.Get(ctx, id).Result(); err == nil && got != id {
				errorf("GET: %s has written %s and reads %s", name, id, got)
			}
		}
		// The lease is counted from before it was asked for, and the server's time passes in ticks.
		until := time.Now().Add(lease - 200*time.Millisecond)
		if ok, err := c.SetNX(ctx, "lock", id, lease).Result(); err != nil || !ok || !time.Now().Before(until) {
			continue
		}
		var (
			holder string
			ends   time.Time
		)
		abroad.Tell(func() {
			holder, ends = t.holder, t.until
			t.holder, t.until = id, until
		})
		if holder != "" && time.Now().Before(ends) {
			errorf("lock: %s has it until %v, and %s gets it", holder, ends, name)
		}
		time.Sleep(min(300*time.Millisecond, time.Until(until)))
		abroad.Tell(func() {
			if t.holder == id {
				t.holder = ""
			}
		})
		_ = release.Run(ctx, c, []string{"lock"}, id).Err()
	}
	return nil
}
