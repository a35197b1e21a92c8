package fray

import (
	"context"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/internal/limit"
)

// UnknownShare is the share of a task that does not know how far it is.
const UnknownShare = -1

// ReportProgress says how far the task is that ctx belongs to: the share of its work that is done, from 0 to 1,
// or [UnknownShare], and a message for people, of up to 1,024 bytes. "fray get" and the dashboard show what
// the current attempt said last. It goes with the worker's next heartbeat, so that a few seconds pass
// until it is seen, and what is said in between is not; it may be called as often as one likes. Nothing
// depends on it, and it is gone with the attempt. On local backends nobody is there to see it.
//
// ReportProgress returns an error if ctx belongs to no task, or the share or the message is not as said.
// It may be called by several goroutines, and does not wait.
func ReportProgress(ctx context.Context, share float64, message string) error {
	switch _, ok := InTask(ctx); {
	case !ok:
		return errors.New("report progress: the context belongs to no task")
	case share != UnknownShare && (math.IsNaN(share) || share < 0 || share > 1):
		return fmt.Errorf("report progress: share %v is neither from 0 to 1 nor UnknownShare", share)
	case len(message) > limit.ProgressMessage:
		return fmt.Errorf("report progress: the message has %d bytes, at most %d are allowed", len(message), limit.ProgressMessage)
	case !utf8.ValidString(message):
		return fmt.Errorf("report progress: message %.40q is not UTF-8", message)
	}
	to, ok := attempt.Info[attempt.ProgressTo](ctx)
	if !ok {
		return nil
	}
	p := attempt.Progress{Message: message}
	if share != UnknownShare {
		p.Share, p.Known = share, true
	}
	to(p)
	return nil
}
