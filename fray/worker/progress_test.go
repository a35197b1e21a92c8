package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// What attempts say of themselves goes with the next heartbeat: once, unless that was not answered, or the session
// is another.
func TestProgressGoesWithHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		said := make(chan float64)
		speaker := fray.Define("speaker", func(ctx context.Context, _ string) (string, error) {
			for share := range said {
				if err := fray.ReportProgress(ctx, share, fmt.Sprint("at ", share)); err != nil {
					return "", err
				}
			}
			return "", nil
		})
		w := start(t, c, func(cfg *worker.Config) { cfg.Functions = append(cfg.Functions, speaker) })
		c.add("speaker", `""`)
		pass(10 * time.Second)
		heard := func(since int) (list []*frayv1.AttemptProgress, beats int) {
			for _, b := range c.seen().beats[since:] {
				list = append(list, b.GetProgress()...)
			}
			return list, len(c.seen().beats)
		}
		list, n := heard(0)
		if len(list) > 0 {
			t.Fatalf("heard %v, and nothing was said", list)
		}
		said <- 0.25
		said <- 0.5
		pass(10 * time.Second)
		list, n = heard(n)
		if len(list) != 1 || list[0].GetProgress().GetShare() != 0.5 || list[0].GetProgress().GetMessage() != "at 0.5" || list[0].GetLeaseToken() != 1 {
			t.Fatalf("heard %v", list)
		}
		said <- fray.UnknownShare
		pass(10 * time.Second)
		if list, n = heard(n); len(list) != 1 || list[0].GetProgress().Share != nil {
			t.Fatalf("heard %v", list)
		}

		cut := true
		c.change(func() {
			c.fault = func(procedure string) fault {
				return fault{loseReply: cut && procedure == "Heartbeat"}
			}
		})
		said <- 0.75
		pass(7 * time.Second)
		c.change(func() { cut = false })
		pass(10 * time.Second)
		if list, n = heard(n); len(list) < 2 || list[0].GetProgress().GetShare() != 0.75 || list[len(list)-1].GetProgress().GetShare() != 0.75 {
			t.Fatalf("heard %v where answers were lost", list)
		}

		c.change(func() {
			c.keep = func(held []*frayv1.HeldAttempt) (kept []uint64) {
				for _, h := range held {
					kept = append(kept, h.GetAttempt().GetLeaseToken())
				}
				return kept
			}
			c.expired = true
		})
		pass(20 * time.Second)
		if list, n = heard(n); len(list) != 1 || list[0].GetProgress().GetShare() != 0.75 {
			t.Fatalf("another session heard %v", list)
		}
		close(said)
		pass(10 * time.Second)
		if list, _ = heard(n); len(list) > 0 {
			t.Fatalf("heard %v of an attempt that has ended", list)
		}
		w.stop(t)
	})
}

func TestProgressIsChecked(t *testing.T) {
	t.Parallel()
	if err := fray.ReportProgress(t.Context(), 0.5, "x"); err == nil {
		t.Error("a context of no task has progress")
	}
	jc, err := fray.NewJobContext(t.Context(), fray.KindSync)
	if err != nil {
		t.Fatal(err)
	}
	defer jc.Close()
	nan := 0.0
	task := fray.Define("says", func(ctx context.Context, _ int) (int, error) {
		var errs []error
		for _, bad := range []error{
			fray.ReportProgress(ctx, 1.01, ""), fray.ReportProgress(ctx, -0.5, ""), fray.ReportProgress(ctx, nan/nan, ""),
			fray.ReportProgress(ctx, 1, string(make([]byte, 1025))), fray.ReportProgress(ctx, 1, "\xff"),
		} {
			if bad == nil {
				errs = append(errs, errors.New("it was taken"))
			}
		}
		return 0, errors.Join(append(errs, fray.ReportProgress(ctx, 0, ""), fray.ReportProgress(ctx, fray.UnknownShare, string(make([]byte, 1024))))...)
	})
	if _, err := task.Call(fray.NewContext(t.Context(), jc), 0); err != nil {
		t.Error(err)
	}
}
