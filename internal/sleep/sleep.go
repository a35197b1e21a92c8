// Package sleep waits as one can be told not to.
package sleep

import (
	"context"
	"time"
)

// For waits for d, or until ctx is done, and returns the cause of that then. It goes by the time of
// its bubble, if it is in one.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
