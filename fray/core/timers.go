package core

import (
	"container/heap"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

type timerKind uint8

const (
	timerTask     timerKind = iota + 1 // a backoff ends, or the scheduling timeout strikes
	timerLease                         // the execution timeout's second line, or the end of a stop's grace
	timerSession                       // the session's TTL
	timerDelivery                      // nobody confirmed the session's last grant
	timerPenalty                       // a session's back-off ends
	timerWait                          // a parked call has waited long enough; in Scheduler.waking
	timerFollower                      // a watcher that was not heard of is taken for gone
	timerAwaited                       // who waited for an end has had the time to ask for it again
	timerObjects                       // nobody has asked about a job's objects
	timerUpload                        // nothing was heard of an upload
	timerBucket                        // a limit has a token
)

// timer is an alarm for one of its owners. Timers of one instant fire in the order in which they
// were set.
type timer struct {
	at      Time
	seq     uint64
	index   int
	kind    timerKind
	task    *task
	lease   *lease
	session *session
	wait    *wait

	follower *follower
	job      *job
	object   *object
	bucket   *bucket
}

// timers is a heap by time.
type timers struct {
	heap []*timer
	// The number of the timer that was set last, here or in another heap whose timers fire among
	// these.
	seq *uint64
}

func (h *timers) Len() int { return len(h.heap) }

func (h *timers) Less(i, j int) bool {
	return h.heap[i].before(h.heap[j])
}

func (t *timer) before(u *timer) bool { return t.at < u.at || t.at == u.at && t.seq < u.seq }

func (h *timers) Swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].index, h.heap[j].index = i, j
}

// Push is for container/heap.
func (h *timers) Push(x any) {
	t := x.(*timer) //nolint:errcheck // Only timers are pushed.
	t.index = len(h.heap)
	h.heap = append(h.heap, t)
}

// Pop is for container/heap.
func (h *timers) Pop() any {
	n := len(h.heap) - 1
	t := h.heap[n]
	h.heap[n] = nil
	h.heap = reuse.Trimmed(h.heap[:n])
	t.index = -1
	return t
}

func (h *timers) add(t *timer) *timer {
	*h.seq++
	t.seq = *h.seq
	heap.Push(h, t)
	return t
}

func (h *timers) reset(t *timer, at Time) {
	*h.seq++
	t.at, t.seq = at, *h.seq
	heap.Fix(h, t.index)
}

// order mends the order after timers were set otherwise.
func (h *timers) order() { heap.Init(h) }

// cancel takes t out; a nil or fired timer is left alone.
func (h *timers) cancel(t *timer) {
	if t != nil && t.index >= 0 {
		heap.Remove(h, t.index)
	}
}

// due takes out the first timer at or before now, or returns nil.
func (h *timers) due(now Time) *timer {
	if len(h.heap) == 0 || h.heap[0].at > now {
		return nil
	}
	return heap.Pop(h).(*timer) //nolint:errcheck // Only timers are pushed.
}

// dueOf takes out the first timer of either heap at or before now, or returns nil.
func dueOf(a, b *timers, now Time) *timer {
	if len(a.heap) == 0 || len(b.heap) > 0 && b.heap[0].before(a.heap[0]) {
		a = b
	}
	return a.due(now)
}
