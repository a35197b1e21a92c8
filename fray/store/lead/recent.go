package lead

import (
	"sync"

	"github.com/frayrpc/fray/fray/store"
)

// recentOverhead is about what the memory of a value takes besides its bytes.
const recentOverhead = 128

// recent keeps the values that were committed last, so that what is read soon after it was written,
// as a task is by the worker that executes it and a result by who waits for it, costs the database
// nothing. The oldest go first. It is right for as long as nobody else writes, which is what a term
// is. Its methods may be called concurrently.
type recent struct {
	mu     sync.RWMutex
	values map[store.Key][]byte
	order  []store.Key // as they came, from head on; one that was deleted stands there still
	head   int
	bytes  int
	most   int // of bytes
}

func newRecent(most int) *recent { return &recent{values: make(map[store.Key][]byte), most: most} }

// remembered says whether records of a kind are read by their key soon after they were written.
func remembered(kind store.RecordKind) bool { return kind == store.Spec || kind == store.Result }

// note learns what a commit has changed.
func (r *recent) note(ops []store.Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range ops {
		if op := &ops[i]; remembered(op.Key.Kind) {
			r.drop(op.Key)
			if !op.Delete {
				r.values[op.Key] = op.Value
				r.order = append(r.order, op.Key)
				r.bytes += len(op.Value) + recentOverhead
			}
		}
	}
	for r.bytes > r.most && r.head < len(r.order) {
		r.drop(r.order[r.head])
		r.bytes -= recentOverhead
		r.head++
	}
	if r.head > len(r.order)/2 {
		r.order = append(r.order[:0], r.order[r.head:]...)
		r.head = 0
	}
}

// drop forgets a value, but for its place in the order.
func (r *recent) drop(k store.Key) {
	if old, ok := r.values[k]; ok {
		r.bytes -= len(old)
		delete(r.values, k)
	}
}

// get returns the value under a key, if it is remembered.
func (r *recent) get(k store.Key) ([]byte, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	v, ok := r.values[k]
	return v, ok
}
