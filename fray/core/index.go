package core

import (
	"hash/maphash"

	"github.com/frayrpc/fray/fray/core/internal/refs"
)

// index finds known tasks by their ids. What the hashes are shows nowhere, and who chooses ids does
// not know them, as with Go's maps.
type index struct {
	seed  maphash.Seed
	table refs.Table
}

func newIndex() index { return index{seed: maphash.MakeSeed()} }

func (x *index) hash(l *taskLog, s spot) uint32 {
	var b unpacked
	packed, named := l.nameAt(s, &b)
	if packed != nil {
		return half(maphash.Bytes(x.seed, packed))
	}
	return half(maphash.String(x.seed, named))
}

func half(hash uint64) uint32 { return uint32(hash >> 32) }

// vacancy is where a task is to be added that is not known.
type vacancy struct{ hash, free uint32 }

// find returns the task with this id, or nil if none is known, and where it is to be added then.
func (x *index) find(l *taskLog, id string) (*task, vacancy) {
	hash := half(maphash.String(x.seed, id))
	r, free, ok := x.table.Find(hash, func(r refs.Ref) bool {
		var b unpacked
		packed, named := l.nameAt(spot(r), &b)
		if packed != nil {
			return string(packed) == id
		}
		return named == id
	})
	if !ok {
		return nil, vacancy{hash, free}
	}
	return l.at(spot(r)), vacancy{}
}

func (x *index) add(v vacancy, t *task) { x.table.Add(v.hash, v.free, refs.Ref(t.spot)) }

func (x *index) remove(l *taskLog, t *task) {
	x.table.Remove(x.hash(l, t.spot), refs.Ref(t.spot), func(r refs.Ref) uint32 { return x.hash(l, spot(r)) })
}

// find returns the task with this id, or nil if none is known.
func (c *Scheduler) find(id string) *task {
	t, _ := c.byID.find(&c.log, id)
	return t
}
