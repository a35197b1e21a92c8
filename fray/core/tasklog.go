package core

import (
	"cmp"
	"iter"
	"slices"
)

// chunkTasks is how many tasks with consecutive numbers lie side by side in memory.
const chunkTasks = 64

// taskLog holds every known task, in the order of their numbers. Tasks live in chunks, which costs
// less than an allocation for each and keeps neighbours in the queue neighbours in memory. A chunk
// goes when all of its tasks are forgotten; what still refers to one of them keeps it.
type taskLog struct {
	// In the order of their numbers. All tasks of those without a chunk are forgotten.
	chunks []numberedChunk
	// How many there are with a chunk.
	used int
	last TaskNum
}

// numberedChunk is the chunk whose first task has the number number*chunkTasks+1.
type numberedChunk struct {
	number int
	*taskChunk
}

type taskChunk struct {
	tasks [chunkTasks]task
	known int
	// Ready tasks that never started; and whether it stands in ages.chunks.
	waiting int
	listed  bool
}

// spareChunks is how many entries without a chunk the log keeps, besides as many as have one.
const spareChunks = 1024

func chunkNumber(n TaskNum) int { return int((n - 1) / chunkTasks) } //nolint:gosec // Numbers rise from 1.

// add returns a new task, with its number.
func (l *taskLog) add() *task { return l.addAt(l.last + 1) }

// addAt returns a new task with a number that is greater than all before.
func (l *taskLog) addAt(n TaskNum) *task {
	number := chunkNumber(n)
	if i := len(l.chunks) - 1; i < 0 || l.chunks[i].number != number {
		l.chunks = append(l.chunks, numberedChunk{number, &taskChunk{}})
		l.used++
	}
	l.last = n
	chunk := l.chunks[len(l.chunks)-1]
	chunk.known++
	t := &chunk.tasks[(n-1)%chunkTasks]
	t.num = n
	return t
}

// remove forgets a task.
func (l *taskLog) remove(t *task) {
	t.forgotten = true
	i := l.find(chunkNumber(t.num))
	chunk := l.chunks[i]
	chunk.known--
	filling := i == len(l.chunks)-1 && l.last%chunkTasks != 0
	if chunk.known > 0 || filling {
		return
	}
	l.chunks[i].taskChunk = nil
	l.used--
	for len(l.chunks) > 0 && l.chunks[0].taskChunk == nil {
		l.chunks = l.chunks[1:]
	}
	if len(l.chunks) >= 2*l.used+spareChunks {
		// An old task outlives all that came after it: what is left must not cost what once was.
		l.chunks = keep(l.chunks, func(c numberedChunk) bool { return c.taskChunk != nil })
	}
}

// find returns the place of the chunk with this number, or of the next. Mostly no number is missing
// behind it, or before.
func (l *taskLog) find(number int) int {
	last := len(l.chunks) - 1
	if last < 0 {
		return 0
	}
	for _, i := range [...]int{last - (l.chunks[last].number - number), number - l.chunks[0].number} {
		if i >= 0 && i <= last && l.chunks[i].number == number {
			return i
		}
	}
	i, _ := slices.BinarySearchFunc(l.chunks, number, func(c numberedChunk, number int) int { return cmp.Compare(c.number, number) })
	return i
}

// chunk returns the chunk with this number, or nil.
func (l *taskLog) chunk(number int) *taskChunk {
	if i := l.find(number); i < len(l.chunks) && l.chunks[i].number == number {
		return l.chunks[i].taskChunk
	}
	return nil
}

// after yields the known tasks whose number is greater than n.
func (l *taskLog) after(n TaskNum) iter.Seq[*task] {
	return func(yield func(*task) bool) {
		for i := l.find(chunkNumber(n + 1)); i < len(l.chunks); i++ {
			if l.chunks[i].taskChunk == nil {
				continue
			}
			for k := range l.chunks[i].tasks {
				t := &l.chunks[i].tasks[k]
				if t.num > n && !t.forgotten && !yield(t) {
					return
				}
			}
		}
	}
}

// all yields every known task.
func (l *taskLog) all() iter.Seq[*task] { return l.after(0) }
