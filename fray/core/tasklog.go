package core

import "iter"

// chunkTasks is how many tasks with consecutive numbers lie side by side in memory.
const chunkTasks = 64

// taskLog holds every known task, in the order of their numbers. Tasks live in chunks, which costs less than an
// allocation for each and keeps neighbours in the queue neighbours in memory. A chunk goes when all of its tasks are
// forgotten; whoever still refers to one of them keeps it.
type taskLog struct {
	// The first holds the task number first*chunkTasks+1. Nil: all are forgotten.
	chunks []*taskChunk
	first  int
	last   TaskNum
}

type taskChunk struct {
	tasks [chunkTasks]task
	known int
}

// add returns a new task, with its number.
func (l *taskLog) add() *task {
	i := int(l.last % chunkTasks) //nolint:gosec // Less than chunkTasks.
	if i == 0 {
		l.chunks = append(l.chunks, &taskChunk{})
	}
	l.last++
	chunk := l.chunks[len(l.chunks)-1]
	chunk.known++
	t := &chunk.tasks[i]
	t.num = l.last
	return t
}

// addAt returns a new task with a number that is greater than all before.
func (l *taskLog) addAt(n TaskNum) *task {
	i := int((n - 1) / chunkTasks) //nolint:gosec // Bounded by the tasks of a store.
	if len(l.chunks) == 0 {
		l.first = i
	}
	for l.first+len(l.chunks) < i { // Of these none is known any longer.
		l.chunks = append(l.chunks, nil)
	}
	if l.first+len(l.chunks) == i {
		l.chunks = append(l.chunks, &taskChunk{})
	}
	l.last = n
	chunk := l.chunks[i-l.first]
	chunk.known++
	t := &chunk.tasks[int((n-1)%chunkTasks)] //nolint:gosec // Less than chunkTasks.
	t.num = n
	return t
}

// remove forgets a task.
func (l *taskLog) remove(t *task) {
	t.forgotten = true
	i := l.chunkOf(t.num)
	chunk := l.chunks[i]
	chunk.known--
	filling := i == len(l.chunks)-1 && l.last%chunkTasks != 0
	if chunk.known > 0 || filling {
		return
	}
	l.chunks[i] = nil
	for len(l.chunks) > 0 && l.chunks[0] == nil {
		l.chunks = l.chunks[1:]
		l.first++
	}
}

func (l *taskLog) chunkOf(n TaskNum) int { return int((n-1)/chunkTasks) - l.first } //nolint:gosec // Numbers rise from 1.

// after yields the known tasks whose number is greater than n.
func (l *taskLog) after(n TaskNum) iter.Seq[*task] {
	return func(yield func(*task) bool) {
		for i := max(l.chunkOf(n+1), 0); i < len(l.chunks); i++ {
			chunk := l.chunks[i]
			if chunk == nil {
				continue
			}
			for k := range chunk.tasks {
				t := &chunk.tasks[k]
				if t.num > n && !t.forgotten && !yield(t) {
					return
				}
			}
		}
	}
}

// all yields every known task.
func (l *taskLog) all() iter.Seq[*task] { return l.after(0) }
