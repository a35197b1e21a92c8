//go:build unix

package execfn_test

import (
	"context"
	"sync"
	"testing"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

// A program that was just being started held, until it was another program, all pipes of this
// process, and so was taken for what a cancelled command had left behind, and killed.
func TestCancelledCommandSparesThoseThatStart(t *testing.T) {
	t.Parallel()
	const commands, cancelled = 4, 40
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var starting sync.WaitGroup
	for range commands {
		starting.Go(func() {
			for ctx.Err() == nil {
				if _, err := invoke(context.Background(), t, execfn.Command{Argv: []string{"true"}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range cancelled {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = invoke(ctx, t, execfn.Command{Argv: []string{"sleep", "1000"}}) // it is cancelled
	}
	stop()
	starting.Wait()
}
