package dial_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/internal/sleep"
)

// trickle is a body of which a byte comes each second, and nothing after the last.
type trickle struct {
	ctx  context.Context
	left int
}

func (b *trickle) Read(p []byte) (int, error) {
	wait := time.Second
	if b.left == 0 {
		wait = time.Hour
	}
	if sleep.For(b.ctx, wait) != nil || b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	b.left--
	return copy(p, "x"), nil
}

func (*trickle) Close() error { return nil }

type answers struct{ bytes int }

func (a answers) Do(req *http.Request) (*http.Response, error) {
	return &http.Response{ContentLength: -1, Body: &trickle{req.Context(), a.bytes}}, nil
}

// A call is not cut while its answer moves, and is when that stands still.
func TestAnAnswerThatMovesIsNotCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bytes = 100
		began := time.Now()
		err := dial.Do(t.Context(), dial.Policy{AttemptTimeout: 5 * time.Second}, func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://controller", nil)
			if err != nil {
				return err
			}
			res, err := dial.Paced(answers{bytes}).Do(req)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			for n := range bytes {
				if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil {
					t.Errorf("byte %d: %v", n, err)
				}
			}
			if _, err := res.Body.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("an answer that stands still: %v", err)
			}
			return nil
		})
		if took := time.Since(began); err != nil || took != (bytes+10)*time.Second {
			t.Errorf("the call ended after %v with %v", took, err)
		}
	})
}

func TestAllow(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int]time.Duration{
		0: 10 * time.Second, dial.FloorRate: 11 * time.Second, 4 << 20: 42 * time.Second, 64 << 20: 42 * time.Second,
	} {
		if got := dial.Allow(10*time.Second, bytes); got != want {
			t.Errorf("%d bytes: %v, want %v", bytes, got, want)
		}
	}
}

// Both ends allow for the same lines.
func TestFloorRateIsTheCores(t *testing.T) {
	t.Parallel()
	if dial.FloorRate != core.FloorRate {
		t.Errorf("%d bytes per second here, %d in package core", dial.FloorRate, core.FloorRate)
	}
}
