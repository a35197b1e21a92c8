package core

import (
	"cmp"
	"iter"
	"slices"
)

// chunkTasks is how many tasks with consecutive numbers lie side by side in memory.
const (
	chunkTasks = 1 << chunkBits
	chunkBits  = 6
)

// taskLog holds every known task, in the order of their numbers. Tasks live in chunks, which costs
// less than an allocation for each and keeps neighbours in the queue neighbours in memory. A chunk
// goes when all of its tasks are forgotten; what still refers to one of them keeps it.
type taskLog struct {
	// In the order of their numbers. All tasks of those without a chunk are forgotten.
	chunks []numberedChunk
	// How many there are with a chunk.
	used int
	last TaskNum
	// The chunks by their seats, which go to others when they are vacant. No chunk has the first.
	seats  []*taskChunk
	vacant []uint32
}

// numberedChunk is the chunk whose first task has the number number*chunkTasks+1.
type numberedChunk struct {
	number int
	*taskChunk
}

// taskChunk fills a size class of Go's allocator, but for a few bytes a task.
type taskChunk struct {
	tasks [chunkTasks]task
	// The ids: those that can be packed, with their bits set in isPacked, and the others, if any.
	packed   [chunkTasks]packedID
	isPacked uint64
	named    []string
	seat     uint32
	known    uint8
	// Ready tasks that never started; and whether it stands in ages.chunks.
	waiting uint8
	listed  bool
	// A worker has, or had, one of its tasks.
	leased bool
}

// spot says where a known task lies in the log: its chunk's seat, and which of its tasks it is. 0 is
// none.
type spot uint32

// at returns the task that lies there; nil at none.
func (l *taskLog) at(s spot) *task {
	if s == 0 {
		return nil
	}
	return &l.seats[s>>chunkBits].tasks[s%chunkTasks]
}

// chunkOf returns the chunk of a known task.
func (l *taskLog) chunkOf(t *task) *taskChunk { return l.seats[t.spot>>chunkBits] }

// spareChunks is how many entries without a chunk the log keeps, besides as many as have one.
const spareChunks = 1024

func chunkNumber(n TaskNum) int { return int((n - 1) / chunkTasks) } //nolint:gosec // Numbers rise from 1.

// add returns a new task, with its number.
func (l *taskLog) add(id string) *task { return l.addAt(l.last+1, id) }

// addAt returns a new task with a number that is greater than all before.
func (l *taskLog) addAt(n TaskNum, id string) *task {
	number := chunkNumber(n)
	if i := len(l.chunks) - 1; i < 0 || l.chunks[i].number != number {
		chunk := &taskChunk{}
		l.seat(chunk)
		l.chunks = append(l.chunks, numberedChunk{number, chunk})
		l.used++
	}
	l.last = n
	chunk := l.chunks[len(l.chunks)-1].taskChunk
	chunk.known++
	i := (n - 1) % chunkTasks
	t := &chunk.tasks[i]
	t.num, t.spot = n, spot(chunk.seat)<<chunkBits|spot(i)
	if p, ok := packID(id); ok {
		chunk.packed[i] = p
		chunk.isPacked |= 1 << i
		return t
	}
	if chunk.named == nil {
		chunk.named = make([]string, chunkTasks)
	}
	chunk.named[i] = id
	return t
}

// seat gives a chunk a seat.
func (l *taskLog) seat(chunk *taskChunk) {
	if last := len(l.vacant) - 1; last >= 0 {
		chunk.seat = l.vacant[last]
		l.vacant = l.vacant[:last]
		l.seats[chunk.seat] = chunk
		return
	}
	if len(l.seats) == 0 {
		l.seats = append(l.seats, nil)
	}
	chunk.seat = uint32(len(l.seats)) //nolint:gosec // Bounded by the known tasks.
	l.seats = append(l.seats, chunk)
}

// unpacked is room for an id that is compared and not kept.
type unpacked [ulidBytes]byte

// nameAt returns the id of the task that lies there, in b if it is packed.
func (l *taskLog) nameAt(s spot, b *unpacked) (packed []byte, named string) {
	chunk, i := l.seats[s>>chunkBits], s%chunkTasks
	if chunk.isPacked>>i&1 == 0 {
		return nil, chunk.named[i]
	}
	return chunk.packed[i].unpack(b[:0]), ""
}

// idOf returns the id of a known task. The memory of most is the caller's.
func (l *taskLog) idOf(t *task) string {
	var b unpacked
	packed, named := l.nameAt(t.spot, &b)
	if packed != nil {
		return string(packed)
	}
	return named
}

// remove forgets a task.
func (l *taskLog) remove(t *task) {
	i := l.find(chunkNumber(t.num))
	chunk := l.chunks[i]
	if chunk.named != nil {
		chunk.named[t.spot%chunkTasks] = ""
	}
	t.spot = 0
	chunk.known--
	filling := i == len(l.chunks)-1 && l.last%chunkTasks != 0
	if chunk.known > 0 || filling {
		return
	}
	l.seats[chunk.seat] = nil
	l.vacant = append(l.vacant, chunk.seat)
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
				if t.num > n && t.spot != 0 && !yield(t) {
					return
				}
			}
		}
	}
}

// all yields every known task.
func (l *taskLog) all() iter.Seq[*task] { return l.after(0) }
