package fray

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"
)

func TestCloseEndsRunsThatWaitForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		jc, err := NewJobContext(context.Background(), KindThreadPool, WithWorkers(1))
		if err != nil {
			t.Fatal(err)
		}
		pool, _ := jc.backend.(*threadPool)
		pool.room = semaphore.NewWeighted(2)
		ctx := NewContext(t.Context(), jc)
		hang := Define("hang", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		for range 3 { // One runs, two wait.
			if _, err := hang.Run(ctx, 1); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error)
		go func() {
			_, err := hang.Run(ctx, 1)
			ended <- err
		}()
		synctest.Wait()
		if err := jc.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, ErrClosed) {
				t.Errorf("got %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("Run waits for room in a closed pool")
			pool.room.Release(1)
			<-ended
		}
	})
}

func TestLedgerForgetsTheOldest(t *testing.T) {
	t.Parallel()
	jc, err := NewJobContext(t.Context(), KindSync)
	if err != nil {
		t.Fatal(err)
	}
	defer jc.Close()
	b, _ := jc.backend.(*inline)
	ctx := NewContext(t.Context(), jc)
	runs := 0
	task := Define("runs", func(context.Context, int) (int, error) { runs++; return runs, nil })
	if _, err := task.RunAll(ctx, make([]int, maxLedgerEnded+10), WithTaskID("t")); err != nil {
		t.Fatal(err)
	}
	if n := len(b.ledger.entries); n != maxLedgerEnded || len(b.ledger.ended) != n {
		t.Errorf("%d entries and %d ended, want %d", n, len(b.ledger.ended), maxLedgerEnded)
	}
	for _, c := range []struct { // In this order: what runs anew has another forgotten.
		id   string
		want int
	}{{"t/10", 11}, {"t/0", maxLedgerEnded + 11}} {
		if v, err := task.Call(ctx, 0, WithTaskID(c.id)); err != nil || v != c.want {
			t.Errorf("%s: %d, %v; want %d", c.id, v, err, c.want)
		}
	}
	large := Define("large", func(context.Context, int) ([]byte, error) { return make([]byte, DefaultMaxPayloadBytes), nil })
	for range 2 {
		if _, err := large.RunAll(ctx, make([]int, 6), WithTaskID("l")); err != nil {
			t.Fatal(err)
		}
	}
	if b.ledger.bytes > maxLedgerBytes {
		t.Errorf("%d bytes are kept, at most %d should be", b.ledger.bytes, maxLedgerBytes)
	}
}
