package core

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
)

// An object is a value that is put once, in pieces, and read by whoever may read the tasks of a job that
// holds it. It is named by what it is: equal values of one owner are one object.
//
// A job holds its objects as long as it is known for anything else, and for Config.ObjectGrace after
// that, or after the last call about one of them. An object that no job holds is deleted, some pieces at
// a time.

const (
	// PieceBytes is how many bytes each piece of an object has, but for the last, which has fewer or as
	// many.
	PieceBytes = 512 << 10
	// MaxPieces is how many pieces an object has at most.
	MaxPieces = 1 << 20
	// maxHolders is how many jobs hold one copy of an object; for others it is another object.
	maxHolders = 64
	// maxDeletes is how many pieces one step deletes at most, and of how many objects it ends holds.
	maxDeletes = 1024
)

// Errors of calls about objects.
var (
	// ErrUnknownObject: the job holds no such object.
	ErrUnknownObject = errors.New("unknown object")
	// ErrObjectsFull: there is no room for more, as far as the job or its owner have a share in it.
	ErrObjectsFull = errors.New("no room for more objects")
	// ErrOtherObject: the pieces that came are of another object than was said.
	ErrOtherObject = errors.New("what was put is another object than was named")
)

// ObjectNum numbers objects from 1, also over restarts.
type ObjectNum uint64

// ObjectID names an object by what it is: see NameObject.
type ObjectID [sha256.Size]byte

// NameObject returns the name of what has an encoding and so many bytes, in pieces that Chain was
// made of.
func NameObject(encoding string, size int64, c Chain) ObjectID {
	b := append([]byte("fray object\x00"), encoding...)
	b = binary.BigEndian.AppendUint64(append(b, 0), uint64(size)) //nolint:gosec // Not negative.
	return sha256.Sum256(append(b, c[:]...))
}

// Chain stands for the pieces of an object up to one. The zero value stands for none.
type Chain [sha256.Size]byte

// Add returns what stands for one more piece, of which it is given the SHA-256.
func (c Chain) Add(piece [sha256.Size]byte) Chain {
	return sha256.Sum256(slices.Concat(c[:], piece[:]))
}

// object is one that is there, or comes, or goes.
type object struct {
	num      ObjectNum
	id       ObjectID // Zero while it comes.
	owner    *owner
	encoding string
	size     int64
	pieces   uint32
	// Who holds it; nobody while it comes, or goes.
	holders []*job
	// Calls that read a piece of it.
	readers int
	// While it comes: for which job under which id, what stands for its pieces, and when it is given up.
	upload   *job
	uploadID string
	chain    Chain
	timer    *timer
	// Of one that goes, which is in objects.going: so many pieces are deleted.
	deleted uint32
}

// objects is what a Scheduler knows of them.
type objects struct {
	byNum map[ObjectNum]*object
	// The last copy of each that came whole.
	byID    map[objectKey]*object
	uploads map[uploadKey]*object
	last    ObjectNum
	bytes   int64
	// Those that are deleted, in the order in which that began.
	going []*object
	// By the calls that read a piece.
	reading map[CallID]*object
}

type objectKey struct {
	owner string
	id    ObjectID
}

type uploadKey struct {
	job *job
	id  string
}

func newObjects() objects {
	return objects{
		byNum: make(map[ObjectNum]*object), byID: make(map[objectKey]*object), uploads: make(map[uploadKey]*object),
		reading: make(map[CallID]*object),
	}
}

// cost is what an object counts: its bytes, and what is known of it besides.
func (c *Scheduler) cost(o *object) int64 { return o.size + c.cfg.ObjectOverhead }

// countObject counts bytes of an object.
func (c *Scheduler) countObject(o *object, n int64) {
	o.owner.objectBytes += n
	c.objects.bytes += n
	c.dropOwner(o.owner)
}

// deleteObject begins to delete an object.
func (c *Scheduler) deleteObject(o *object) {
	if o.upload != nil {
		c.endUpload(o)
	} else if key := (objectKey{o.owner.name, o.id}); c.objects.byID[key] == o {
		delete(c.objects.byID, key)
	}
	c.recordObject(o, true)
	c.objects.going = append(c.objects.going, o)
}

// goes says whether the object is being deleted: it neither comes, nor does a job hold it.
func (o *object) goes() bool { return o.upload == nil && len(o.holders) == 0 }

// mayDelete says whether there are pieces to delete.
func (c *Scheduler) mayDelete() bool {
	return len(c.objects.going) > 0 && c.objects.going[0].readers == 0
}

// deletePieces goes on with the objects that go.
func (c *Scheduler) deletePieces() {
	left := uint32(maxDeletes)
	for left > 0 && c.mayDelete() {
		o := c.objects.going[0]
		n := min(left, o.pieces-o.deleted)
		if n > 0 {
			c.out.Records = append(c.out.Records, Record{
				Kind: RecordForgetPieces, Object: &ObjectRecord{Num: o.num, From: o.deleted, To: o.deleted + n}, Lazy: true,
			})
			o.deleted += n
			left -= n
		}
		if o.deleted < o.pieces {
			return
		}
		c.objects.going[0] = nil
		c.objects.going = c.objects.going[1:]
		delete(c.objects.byNum, o.num)
		c.countObject(o, -c.cost(o))
		c.out.Records = append(c.out.Records, Record{Kind: RecordForgetObject, Object: &ObjectRecord{Num: o.num}, Lazy: true})
	}
}

func (o *object) view() ObjectView {
	return ObjectView{Num: o.num, ID: o.id, Encoding: o.encoding, Size: o.size, Pieces: o.pieces}
}

// recordObject has an object's record written.
func (c *Scheduler) recordObject(o *object, lazy bool) {
	r := ObjectRecord{Num: o.num, View: o.view(), Owner: o.owner.name}
	if o.upload != nil {
		r.Jobs, r.Upload, r.Chain = []string{o.upload.id}, o.uploadID, o.chain
	}
	for _, j := range o.holders {
		r.Jobs = append(r.Jobs, j.id)
		if j.objects.forTasks[o.id] {
			r.ForTasks = append(r.ForTasks, j.id)
		}
	}
	c.out.Records = append(c.out.Records, Record{Kind: RecordObject, Object: &r, Lazy: lazy})
}

func (e *ReadObject) apply(c *Scheduler) {
	j := c.jobs[e.Job]
	if !j.admits(e.Owner) {
		c.notOwner(e.Call)
		return
	}
	var o *object
	if j != nil {
		o = j.objects.of(e.ID)
	}
	if o == nil { // Not settled: it may go in a step that is not durable yet.
		c.out.Replies = append(c.out.Replies, Reply{Call: e.Call, Err: ErrUnknownObject})
		return
	}
	c.touchObjects(j)
	o.readers++
	c.objects.reading[e.Call] = o
	c.reply(e.Call, o.view())
}

// haveReadObject ends what ReadObject began.
func (c *Scheduler) haveReadObject(call CallID) {
	if o := c.objects.reading[call]; o != nil {
		o.readers--
		delete(c.objects.reading, call)
	}
}
