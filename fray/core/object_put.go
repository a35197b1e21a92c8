package core

import "github.com/frayrpc/fray/fray/core/share"

func (e *PutPiece) apply(c *Scheduler) {
	if j := c.jobs[e.Job]; !j.admits(e.Owner) {
		c.notOwner(e.Call)
		return
	}
	j := c.job(e.Job)
	defer c.dropJob(j)
	o := c.objects.uploads[uploadKey{j, e.Upload}]
	if e.Last && e.ID != (ObjectID{}) && c.putBefore(e, e.ID, j, o) {
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
	var id ObjectID
	if e.Last {
		id = NameObject(e.Encoding, size, chain.Add(e.Sum))
		switch e.ID {
		case id: // It is not there, as was seen above.
		case ObjectID{}:
			if c.putBefore(e, id, j, o) {
				return
			}
		default:
			if o != nil {
				c.deleteObject(o)
			}
			c.fail(e.Call, ErrOtherObject)
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

// putBefore answers the last piece of an object that is there, and says whether it is. What came of it
// again is not kept.
func (c *Scheduler) putBefore(e *PutPiece, id ObjectID, j *job, o *object) bool {
	known := c.known(j, e.By, id)
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

// known returns an object that a job holds, or may hold: its owner has it. The job is nil if it is not known.
func (c *Scheduler) known(j *job, by string, id ObjectID) *object {
	if j != nil {
		if o := j.objects.of(id); o != nil {
			return o
		}
	}
	o := c.objects.byID[objectKey{c.ownerToBe(j, by).name, id}]
	if o != nil && len(o.holders) < maxHolders {
		return o
	}
	return nil
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

// uploadPast gives an upload up of which nothing was heard.
func (c *Scheduler) uploadPast(o *object) {
	j := o.upload
	c.deleteObject(o)
	c.dropJob(j)
}
