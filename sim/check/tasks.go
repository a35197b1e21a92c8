package check

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// A roster numbers tasks in the order in which they are first seen. Oracles share it, so that the
// id of an event's task is looked up once and not by each of them.
type roster struct {
	numbers map[string]int
	ids     []string
	// The event that was asked about last, and the answer.
	last   *Event
	number int
}

// numberOf returns the number of an event's task, from 0.
func (r *roster) numberOf(e *Event) int {
	if r.last == e {
		return r.number
	}
	n, known := r.numbers[e.Task]
	if !known {
		n = len(r.ids)
		r.numbers[e.Task] = n
		r.ids = append(r.ids, e.Task)
	}
	r.last, r.number = e, n
	return n
}

// tasks is what an oracle knows of each task. Where a controller's crash loses everything, it
// forgets with it: what was asked before the crash, and attempts of before, say nothing of what
// came after.
type tasks[T any] struct {
	lossy  bool
	roster *roster
	of     []*T // by their numbers; nil: nothing is known
	// Replies to calls made before this event are of no use.
	floor uint64
	// Of the controller, the newest that has shown and the newest that is over.
	newest, over incarnation
}

// incarnation counts the starts of a controller, as Event.Incarnation does. A worker opens a session
// before it is granted anything, so that none shows in a lease first.
type incarnation uint64

func newTasks[T any](cfg *Config) tasks[T] {
	return tasks[T]{lossy: cfg.AllowLossAfterRestart, roster: cfg.roster}
}

// get returns what is known of the task that e is about. It is nil if e is of no task or of no use.
// A ControllerCrash it takes note of.
func (t *tasks[T]) get(e *Event) *T {
	if e.Kind == ControllerCrash && t.lossy {
		clear(t.of)
		t.floor, t.over = e.Seq, t.newest
	}
	from := incarnation(e.Incarnation)
	t.newest = max(t.newest, from)
	if e.Task == "" || e.Kind.Reply() && e.Invoked < t.floor {
		return nil
	}
	if t.floor > 0 && e.Token != 0 && from <= t.over {
		return nil
	}
	n := t.roster.numberOf(e)
	if n >= len(t.of) {
		t.of = slices.Grow(t.of, n+1-len(t.of))[:n+1]
	}
	if t.of[n] == nil {
		t.of[n] = new(T)
	}
	return t.of[n]
}

// peek returns what is known of the task of an id, or nil.
func (t *tasks[T]) peek(id string) *T {
	n, known := t.roster.numbers[id]
	if !known || n >= len(t.of) {
		return nil
	}
	return t.of[n]
}

// all iterates over the ids of tasks, sorted, and what is known of each.
func (t *tasks[T]) all() iter.Seq2[string, *T] {
	numbers := make([]int, 0, len(t.of))
	for n, s := range t.of {
		if s != nil {
			numbers = append(numbers, n)
		}
	}
	ids := t.roster.ids
	slices.SortFunc(numbers, func(a, b int) int { return strings.Compare(ids[a], ids[b]) })
	return func(yield func(string, *T) bool) {
		for _, n := range numbers {
			if !yield(ids[n], t.of[n]) {
				return
			}
		}
	}
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// of returns what a map has under a key, which is made if there is nothing.
func of[K comparable, V any](m map[K]*V, key K) *V {
	v := m[key]
	if v == nil {
		v = new(V)
		m[key] = v
	}
	return v
}
