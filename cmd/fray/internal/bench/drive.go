package bench

import (
	"context"
	"errors"
	"sync"
	"time"
)

// driven is what goroutines came to that did one thing after the other.
type driven struct {
	count int
	took  time.Duration
	*timings
}

// errNothingLeft ends a goroutine that has nothing left to do.
var errNothingLeft = errors.New("nothing is left to do")

// drive has goroutines call what each makes of its number: once, and again until the duration is over. It
// ends before that when ctx does, or with a call that fails, whose error it returns. A call that ctx
// ended does not count. One that returns errNothingLeft ends its goroutine alone.
func (m *meter) drive(ctx context.Context, callers int, newCall func(caller int) func(context.Context) error) (driven, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		mu    sync.Mutex
		first error
		all   = driven{timings: newTimings()}
		wg    sync.WaitGroup
	)
	begun := time.Now()
	for caller := range callers {
		call := newCall(caller)
		wg.Go(func() {
			took, count := newTimings(), 0
			for ctx.Err() == nil && (count == 0 || time.Since(begun) < m.Duration) {
				start := time.Now()
				err := call(ctx)
				if errors.Is(err, errNothingLeft) {
					break
				}
				if err != nil {
					mu.Lock()
					if ctx.Err() == nil {
						first = err
						stop()
					}
					mu.Unlock()
					break
				}
				took.note(time.Since(start))
				count++
				m.came.Add(1)
			}
			mu.Lock()
			defer mu.Unlock()
			all.merge(took)
			all.count += count
		})
	}
	wg.Wait()
	all.took = time.Since(begun)
	return all, first
}
