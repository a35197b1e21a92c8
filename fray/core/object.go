package core

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/frayrpc/fray/fray/core/share"
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
	// It goes: it is in objects.going, and so many pieces are deleted.
	goes    bool
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

// PutPiece brings a piece of an object. Replied with PieceReply, ErrNotOwner, ErrObjectsFull or
// ErrOtherObject, after which the upload begins anew.
type PutPiece struct {
	Call CallID
	Job  string
	// As in Submit.
	Owner, By string
	// The upload's own id in its job. The first piece begins it.
	Upload string
	// Which piece it is, from 0. One that has come is told to have come.
	Piece uint32
	// The piece, not looked at, and its SHA-256.
	Data []byte
	Sum  [sha256.Size]byte
	// It is the last; then the object has this encoding, and this name unless it is zero.
	Last     bool
	Encoding string
	ID       ObjectID
}

// PieceReply answers PutPiece.
type PieceReply struct {
	// How many pieces have come.
	Pieces uint32
	// Once all have.
	Object ObjectView
	Done   bool
}

// ObjectView is an object as callers see it.
type ObjectView struct {
	Num      ObjectNum
	ID       ObjectID
	Encoding string
	Size     int64
	Pieces   uint32
}

// ReadObject asks where an object is, of which a piece is read until a Forsake of the call. Replied with
// ObjectView, ErrUnknownObject or ErrNotOwner.
type ReadObject struct {
	Call  CallID
	Job   string
	Owner string
	ID    ObjectID
}

// HoldObjects has a job hold objects that its owner has, and those that it holds already for
// Config.ObjectGrace from now on. Replied with HoldReply or ErrNotOwner.
type HoldObjects struct {
	Call CallID
	Job  string
	// As in Submit.
	Owner, By string
	IDs       []ObjectID
}

// HoldReply answers HoldObjects: which of the objects there are, in their order; and Config.ObjectGrace.
type HoldReply struct {
	Held  []bool
	Grace time.Duration
}

// ReleaseObjects ends a job's holds. Replied with Done or ErrNotOwner.
type ReleaseObjects struct {
	Call  CallID
	Job   string
	Owner string
	IDs   []ObjectID
}

func (e *PutPiece) apply(c *Scheduler) {
	if j := c.jobs[e.Job]; !j.admits(e.Owner) {
		c.notOwner(e.Call)
		return
	}
	j := c.job(e.Job)
	defer c.dropJob(j)
	o := c.objects.uploads[uploadKey{j, e.Upload}]
	if e.Last && e.ID != (ObjectID{}) && c.putBefore(e, j, o) {
		return
	}
	came, chain, size := uint32(0), Chain{}, int64(len(e.Data))
	if o != nil {
		came, chain, size = o.pieces, o.chain, o.size+size
		c.hearUpload(o)
	}
	if e.Piece != came { // It came before, or one before it did not.
		c.reply(e.Call, PieceReply{Pieces: came})
		return
	}
	id := NameObject(e.Encoding, size, chain.Add(e.Sum))
	if e.Last && e.ID != (ObjectID{}) && e.ID != id {
		if o != nil {
			c.deleteObject(o)
		}
		c.fail(e.Call, ErrOtherObject)
		return
	}
	if e.Last {
		if named := *e; c.putBefore(named.as(id), j, o) {
			return
		}
	}
	if !c.roomForPiece(j, o, e) {
		c.fail(e.Call, ErrObjectsFull)
		return
	}
	c.own(j, e.By)
	if o == nil {
		o = c.beginObject(j, e.Upload)
	}
	c.addPiece(o, e)
	r := PieceReply{Pieces: o.pieces}
	if e.Last {
		c.complete(o, id, e.Encoding)
		r.Object, r.Done = o.view(), true
	} else {
		c.recordObject(o, false) // Its sender need not begin anew after a crash.
	}
	c.reply(e.Call, r)
}

func (e *PutPiece) as(id ObjectID) *PutPiece {
	e.ID = id
	return e
}

// putBefore answers the last piece of an object that is there, and says whether it is. What came of it
// again is not kept.
func (c *Scheduler) putBefore(e *PutPiece, j *job, o *object) bool {
	known := c.known(j, e.By, e.ID)
	if known == nil {
		return false
	}
	c.own(j, e.By)
	c.holdObject(known, j)
	if o != nil {
		c.deleteObject(o)
	}
	c.reply(e.Call, PieceReply{Pieces: known.pieces, Object: known.view(), Done: true})
	return true
}

// known returns an object that a job holds, or may hold: its owner has it.
func (c *Scheduler) known(j *job, by string, id ObjectID) *object {
	if o := j.objects.of(id); o != nil {
		return o
	}
	o := c.objects.byID[objectKey{c.ownerToBe(j, by).name, id}]
	if o != nil && len(o.holders) < maxHolders {
		return o
	}
	return nil
}

func (c *Scheduler) notOwner(call CallID) {
	// Not settled: the job's first submission may not be durable yet.
	c.out.Replies = append(c.out.Replies, Reply{Call: call, Err: ErrNotOwner})
}

// roomForPiece says whether a piece fits into what its job and its owner may have. The first one begins an
// object.
func (c *Scheduler) roomForPiece(j *job, o *object, e *PutPiece) bool {
	n, most := int64(len(e.Data)), c.cfg.MaxObjectBytes
	if o == nil {
		n += c.cfg.ObjectOverhead
	}
	all, of := share.All(most), c.ownerToBe(j, e.By)
	return e.Piece < MaxPieces && c.objects.bytes+n <= share.All(all) &&
		share.Fits(most, of.objectBytes, j.objectBytes, n) && share.Fits(all, c.objects.bytes, of.objectBytes, n)
}

func (c *Scheduler) beginObject(j *job, upload string) *object {
	c.objects.last++
	o := &object{num: c.objects.last, owner: j.owner}
	c.objects.byNum[o.num] = o
	j.objectBytes += c.cost(o)
	c.countObject(o, c.cost(o))
	c.comes(o, j, upload)
	return o
}

// cost is what an object counts: its bytes, and what is known of it besides.
func (c *Scheduler) cost(o *object) int64 { return o.size + c.cfg.ObjectOverhead }

// comes notes that an object is being put for a job.
func (c *Scheduler) comes(o *object, j *job, upload string) {
	o.upload, o.uploadID = j, upload
	c.objects.uploads[uploadKey{j, upload}] = o
	j.uploads++
	o.timer = c.timers.add(&timer{at: c.now.Add(c.cfg.UploadGrace), kind: timerUpload, object: o})
}

// addPiece takes a piece in.
func (c *Scheduler) addPiece(o *object, e *PutPiece) {
	c.out.Records = append(c.out.Records, Record{Kind: RecordPiece, Object: &ObjectRecord{Num: o.num, From: o.pieces}, Data: e.Data})
	o.pieces++
	o.chain = o.chain.Add(e.Sum)
	n := int64(len(e.Data))
	o.size += n
	o.upload.objectBytes += n
	c.countObject(o, n)
}

// countObject counts bytes of an object.
func (c *Scheduler) countObject(o *object, n int64) {
	o.owner.objectBytes += n
	c.objects.bytes += n
	c.dropOwner(o.owner)
}

// hearUpload gives an upload its time anew.
func (c *Scheduler) hearUpload(o *object) {
	c.timers.reset(o.timer, c.now.Add(c.cfg.UploadGrace))
}

// complete ends an upload: the object is there, and the job that it was put for holds it.
func (c *Scheduler) complete(o *object, id ObjectID, encoding string) {
	j := o.upload
	c.endUpload(o)
	o.id, o.encoding = id, encoding
	c.objects.byID[objectKey{o.owner.name, id}] = o
	c.holdObject(o, j)
}

// endUpload takes an object out of those that come.
func (c *Scheduler) endUpload(o *object) {
	j := o.upload
	delete(c.objects.uploads, uploadKey{j, o.uploadID})
	c.timers.cancel(o.timer)
	j.uploads--
	j.objectBytes -= c.cost(o)
	o.timer, o.upload, o.uploadID = nil, nil, ""
}

// holdObject has a job hold an object.
func (c *Scheduler) holdObject(o *object, j *job) {
	c.touchObjects(j)
	if j.objects.of(o.id) == nil {
		c.holds(o, j)
		c.recordObject(o, false)
	}
}

func (c *Scheduler) holds(o *object, j *job) {
	j.objects.add(o)
	j.objectBytes += c.cost(o)
	o.holders = append(o.holders, j)
}

// releaseObject ends a job's hold.
func (c *Scheduler) releaseObject(o *object, j *job) {
	j.objects.remove(o)
	j.objectBytes -= c.cost(o)
	o.holders = slices.DeleteFunc(o.holders, func(h *job) bool { return h == j })
	if len(o.holders) == 0 {
		c.deleteObject(o)
	} else {
		c.recordObject(o, true)
	}
}

// heldObjects is what a job holds, in the order in which that began.
type heldObjects struct {
	at   map[ObjectID]int
	list []*object // nil where it is held no longer
	gone int       // from the first on
}

func (h *heldObjects) size() int { return len(h.at) }

func (h *heldObjects) of(id ObjectID) *object {
	if i, ok := h.at[id]; ok {
		return h.list[i]
	}
	return nil
}

func (h *heldObjects) add(o *object) {
	if h.at == nil {
		h.at = make(map[ObjectID]int)
	}
	h.at[o.id] = len(h.list)
	h.list = append(h.list, o)
}

func (h *heldObjects) remove(o *object) {
	h.list[h.at[o.id]] = nil
	delete(h.at, o.id)
	if len(h.list) < 2*len(h.at)+16 {
		return
	}
	h.list = slices.DeleteFunc(h.list, func(o *object) bool { return o == nil })
	for i, o := range h.list {
		h.at[o.id] = i
	}
	h.gone = 0
}

// first returns what has been held for the longest.
func (h *heldObjects) first() *object {
	for h.list[h.gone] == nil {
		h.gone++
	}
	return h.list[h.gone]
}

// touchObjects begins the grace of a job's objects anew.
func (c *Scheduler) touchObjects(j *job) {
	j.objectsUntil = c.now.Add(c.cfg.ObjectGrace)
}

// keepsObjects says whether a job that is known for nothing else still holds objects, and sees to it
// that this ends.
func (c *Scheduler) keepsObjects(j *job) bool {
	if j.objects.size() == 0 {
		c.timers.cancel(j.objectsTimer)
		j.objectsTimer = nil
		return j.uploads > 0
	}
	if j.objectsTimer == nil {
		c.touchObjects(j)
		j.objectsTimer = c.timers.add(&timer{at: j.objectsUntil, kind: timerObjects, job: j})
	}
	return true
}

// objectsPast ends the holds of a job that nobody has asked about, some at a time.
func (c *Scheduler) objectsPast(j *job) {
	j.objectsTimer = nil
	if j.knownOtherwise() {
		return
	}
	again := j.objectsUntil
	if again <= c.now {
		for n := 0; n < maxDeletes && j.objects.size() > 0; n++ {
			c.releaseObject(j.objects.first(), j)
		}
		again = c.now.Add(1) // In a step of its own.
	}
	if j.objects.size() > 0 {
		j.objectsTimer = c.timers.add(&timer{at: again, kind: timerObjects, job: j})
	}
	c.dropJob(j)
}

// uploadPast gives an upload up of which nothing was heard.
func (c *Scheduler) uploadPast(o *object) {
	j := o.upload
	c.deleteObject(o)
	c.dropJob(j)
}

// deleteObject begins to delete an object.
func (c *Scheduler) deleteObject(o *object) {
	if o.upload != nil {
		c.endUpload(o)
	} else if key := (objectKey{o.owner.name, o.id}); c.objects.byID[key] == o {
		delete(c.objects.byID, key)
	}
	c.recordObject(o, true)
	c.letGoObject(o)
}

func (c *Scheduler) letGoObject(o *object) {
	o.goes = true
	c.objects.going = append(c.objects.going, o)
}

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

// ObjectRecord is what Records of objects are about.
type ObjectRecord struct {
	Num ObjectNum
	// With RecordPiece: which piece. With RecordForgetPieces: the first, and that after the last.
	From, To uint32
	// With RecordObject. Jobs are those that hold it; nobody where it goes.
	View  ObjectView
	Jobs  []string
	Owner string
	// Of one that comes, for the first of Jobs: the upload's id, and what stands for its pieces.
	Upload string
	Chain  Chain
}

// recordObject has an object's record written.
func (c *Scheduler) recordObject(o *object, lazy bool) {
	r := ObjectRecord{Num: o.num, View: o.view(), Owner: o.owner.name}
	if o.upload != nil {
		r.Jobs, r.Upload, r.Chain = []string{o.upload.id}, o.uploadID, o.chain
	}
	for _, j := range o.holders {
		r.Jobs = append(r.Jobs, j.id)
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

func (e *HoldObjects) apply(c *Scheduler) {
	if j := c.jobs[e.Job]; !j.admits(e.Owner) {
		c.notOwner(e.Call)
		return
	}
	j := c.job(e.Job)
	defer c.dropJob(j)
	c.touchObjects(j)
	r := HoldReply{Held: make([]bool, len(e.IDs)), Grace: c.cfg.ObjectGrace}
	for i, id := range e.IDs {
		if o := c.known(j, e.By, id); o != nil {
			c.own(j, e.By)
			c.holdObject(o, j)
			r.Held[i] = true
		}
	}
	c.reply(e.Call, r)
}

func (e *ReleaseObjects) apply(c *Scheduler) {
	j := c.jobs[e.Job]
	if !j.admits(e.Owner) {
		c.notOwner(e.Call)
		return
	}
	if j != nil {
		for _, id := range e.IDs {
			if o := j.objects.of(id); o != nil {
				c.releaseObject(o, j)
			}
		}
		c.dropJob(j)
	}
	c.reply(e.Call, Done{})
}

// RestoreObjects takes in the objects that an earlier scheduler had recorded, after Restore and before the
// first Step, in the order of their numbers. Uploads go on, and those that were going go. Jobs hold the
// others for Config.ObjectGrace at least.
func (c *Scheduler) RestoreObjects(records iter.Seq2[*ObjectRecord, error]) error {
	for r, err := range records {
		if err == nil {
			err = c.restoreObject(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Scheduler) restoreObject(r *ObjectRecord) error {
	v, o := &r.View, c.ownerOf(r.Owner)
	defer c.dropOwner(o)
	switch {
	case r.Num <= c.objects.last:
		return badObject(r, "it follows number %d", c.objects.last)
	case v.Size < 0 || v.Pieces > MaxPieces || v.Size > int64(v.Pieces)*PieceBytes:
		return badObject(r, "it has %d bytes in %d pieces", v.Size, v.Pieces)
	case len(r.Jobs) > maxHolders || r.Upload != "" && len(r.Jobs) != 1:
		return badObject(r, "%d jobs have it", len(r.Jobs))
	}
	x := &object{num: r.Num, id: v.ID, owner: o, encoding: v.Encoding, size: v.Size, pieces: v.Pieces}
	c.objects.last = x.num
	c.objects.byNum[x.num] = x
	c.countObject(x, c.cost(x))
	if len(r.Jobs) == 0 {
		c.letGoObject(x)
		return nil
	}
	for _, id := range r.Jobs {
		j := c.job(id)
		if j.owner != o && j.ownable(o.name) {
			c.give(j, o.name)
			c.changedJob(j)
		}
		if j.owner != o {
			return badObject(r, "job %q is another's", id)
		}
		if err := c.restoreHold(x, j, r); err != nil {
			return err
		}
	}
	if r.Upload == "" {
		c.objects.byID[objectKey{o.name, x.id}] = x
	}
	return nil
}

// restoreHold gives a job what it held, or an upload of it.
func (c *Scheduler) restoreHold(x *object, j *job, r *ObjectRecord) error {
	if r.Upload != "" {
		if c.objects.uploads[uploadKey{j, r.Upload}] != nil {
			return badObject(r, "upload %q of job %q is there twice", r.Upload, j.id)
		}
		x.chain = r.Chain
		j.objectBytes += c.cost(x)
		c.comes(x, j, r.Upload)
		return nil
	}
	if j.objects.of(x.id) != nil {
		return badObject(r, "job %q holds two of the same", j.id)
	}
	c.holds(x, j)
	c.touchObjects(j)
	c.dropJob(j) // Which begins the grace of one that is known for nothing else.
	return nil
}

func badObject(r *ObjectRecord, format string, args ...any) error {
	return fmt.Errorf("%w: object number %d: %s", ErrBadRecord, r.Num, fmt.Sprintf(format, args...))
}
