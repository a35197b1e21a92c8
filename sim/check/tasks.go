package check

import (
	"maps"
	"slices"
)

// tasks is what an oracle knows of each task. Where a controller's crash loses everything, it forgets with it: what was
// asked before the crash, and attempts of before, say nothing of what came after.
type tasks[T any] struct {
	lossy bool
	of    map[string]*T
	// Replies to calls made before this event are of no use.
	floor uint64
	// Of the controller, the newest that has shown and the newest that is over.
	newest, over incarnation
}

// incarnation counts the starts of a controller. Its tokens carry it in their upper 24 bits.
type incarnation uint64

const incarnationShift = 40

// incarnationOf returns the incarnation that gave an event's lease or session; 0 if it has none. A worker opens a session
// before it is granted anything, so that no incarnation shows in a lease first.
func incarnationOf(e *Event) incarnation {
	if e.Token != 0 {
		return incarnation(e.Token >> incarnationShift)
	}
	return incarnation(e.Session >> incarnationShift)
}

func newTasks[T any](cfg *Config) tasks[T] {
	return tasks[T]{lossy: cfg.AllowLossAfterRestart, of: make(map[string]*T)}
}

// get returns what is known of the task that e is about. It is nil if e is of no task or of no use. A ControllerCrash it
// takes note of.
func (t *tasks[T]) get(e *Event) *T {
	if e.Kind == ControllerCrash && t.lossy {
		clear(t.of)
		t.floor, t.over = e.Seq, t.newest
	}
	from := incarnationOf(e)
	t.newest = max(t.newest, from)
	if e.Task == "" || e.Kind.isReply() && e.Invoked < t.floor {
		return nil
	}
	if t.floor > 0 && e.Token != 0 && from <= t.over {
		return nil
	}
	s := t.of[e.Task]
	if s == nil {
		s = new(T)
		t.of[e.Task] = s
	}
	return s
}

// ids returns the tasks' ids, sorted.
func (t *tasks[T]) ids() []string { return sortedKeys(t.of) }

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
