package maprun

import (
	"context"
	"sync"
)

const (
	// Commands that are submitted and not yet printed, at most, unless the cluster runs more at
	// once.
	minWindow = 4096
	// maxWindow bounds it whatever the cluster.
	maxWindow = 65_536
	// estimateDecay is how many outputs it takes for a long one to count no more for those to come.
	estimateDecay = 16
)

// A window says how many commands may be submitted now, so that what they print and is not read yet
// stays in bounds. What is submitted already cannot be held back. So it goes by how long outputs
// have been of late, and begins with what the cluster can be busy with.
type window struct {
	limit int64 // bytes of outputs that wait to be printed
	most  int   // commands that are submitted and not printed
	floor int   // commands that keep the cluster busy
	exact bool  // no more than those are open, however short outputs are

	mu        sync.Mutex
	changed   chan struct{} // closed and made anew when there may be more room
	open      int           // submitted and not ended
	unprinted int           // submitted and not printed
	held      int64         // bytes of those that have ended and are not printed
	known     bool          // one has ended
	estimate  int64         // bytes of the next output
}

// newWindow returns the window of a cluster with slots for that many commands at once. An exact one lets in
// no more than these.
func newWindow(limit int64, slots int, exact bool) *window {
	ahead := 2 // one runs while the next is on its way
	if exact {
		ahead = 1
	}
	floor := min(max(ahead*slots, 1), maxWindow)
	return &window{limit: limit, most: max(minWindow, floor), floor: floor, exact: exact, changed: make(chan struct{})}
}

// admit waits until a command may be submitted, and takes a place for it. It reports false when ctx
// is done first.
func (w *window) admit(ctx context.Context) bool {
	for {
		w.mu.Lock()
		if w.room() > 0 {
			w.open++
			w.unprinted++
			w.mu.Unlock()
			return ctx.Err() == nil
		}
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// tryAdmit is admit without the wait.
func (w *window) tryAdmit() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.room() <= 0 {
		return false
	}
	w.open++
	w.unprinted++
	return true
}

// room is how many more may be submitted.
func (w *window) room() int {
	if w.held >= w.limit {
		return 0 // The first of those that are not printed is on its way to that.
	}
	open := w.floor
	if w.known && !w.exact {
		open = max(open, int(min((w.limit-w.held)/max(w.estimate, 1), int64(w.most))))
	}
	return min(open-w.open, w.most-w.unprinted)
}

// ended says that a command has, with that many bytes to print.
func (w *window) ended(bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
	w.held += bytes
	w.known = true
	w.estimate = max(bytes, w.estimate-w.estimate/estimateDecay-1)
	w.wake()
}

// printed says that what an ended command had printed is so.
func (w *window) printed(bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held -= bytes
	w.unprinted--
	w.wake()
}

// withdrawn takes back a place that no command was submitted for.
func (w *window) withdrawn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
	w.unprinted--
	w.wake()
}

func (w *window) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}
