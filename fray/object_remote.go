package fray

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray/internal/object"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/sleep"
)

const (
	// maxUploads is how often a value is put from the beginning before that is given up.
	maxUploads = 5
	// keepShare is which part of the grace passes, 1 in so many, until a job context says again that its
	// job's objects are needed, and keepRetry when it does so that does not know the grace.
	keepShare = 3
	keepRetry = 10 * time.Second
)

// errUploadLost says that a controller knows an upload no longer, or only its beginning.
var errUploadLost = errors.New("the controller has lost what it was sent of the value")

// remoteObjects keeps objects at a controller.
type remoteObjects struct {
	link

	cache *objectCache // nil: nothing is cached

	mu     sync.Mutex
	closed bool
	keeps  bool // hold runs
}

func newRemoteObjects(l link, cacheBytes int64) *remoteObjects {
	o := &remoteObjects{link: l}
	if cacheBytes > 0 {
		o.cache = newObjectCache(cacheBytes)
	}
	return o
}

// begin has a context end with the backend, too; end must be called once it is not needed any longer.
func (o *remoteObjects) begin(ctx context.Context) (bound context.Context, end func(), err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, nil, ErrClosed
	}
	bound, end = o.bind(ctx)
	return bound, end, nil
}

func (o *remoteObjects) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

// keep begins to hold the job's objects, unless that was done.
func (o *remoteObjects) keep() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.keeps && !o.closed {
		o.keeps = true
		o.spawn(o.hold)
	}
}

func (o *remoteObjects) put(ctx context.Context, job, encoding string, src *objectSource) (string, int64, error) {
	ctx, end, err := o.begin(ctx)
	if err != nil {
		return "", 0, err
	}
	defer end()
	if job == o.jc.jobID {
		o.keep()
	}
	if n := len(src.data); src.reader == nil && n > object.PieceBytes {
		id := object.NameOf(encoding, src.data)
		var res *frayv1.HoldObjectsResponse
		err := o.do(ctx, "HoldObjects", 0, func(ctx context.Context) (err error) {
			res, err = o.client.HoldObjects(ctx, &frayv1.HoldObjectsRequest{JobId: job, ObjectIds: []string{id}})
			return err
		})
		if err != nil || len(res.GetHeld()) == 1 && res.GetHeld()[0] {
			return id, int64(n), err
		}
	}
	for try := 1; ; try++ {
		id, size, err := o.upload(ctx, job, encoding, src)
		if !errors.Is(err, errUploadLost) || try == maxUploads || !src.rewind() {
			return id, size, err
		}
	}
}

// upload sends all pieces, one after the other.
func (o *remoteObjects) upload(ctx context.Context, job, encoding string, src *objectSource) (string, int64, error) {
	var namer object.Namer
	req := &frayv1.PutObjectRequest{JobId: job, UploadId: newID(o.jc.rand), Encoding: encoding}
	for {
		var err error
		if req.Data, req.Last, err = src.next(); err != nil {
			return "", 0, err
		}
		req.Piece = namer.Pieces()
		namer.Add(req.GetData())
		if req.GetLast() {
			req.ObjectId = namer.Name(encoding)
		}
		var res *frayv1.PutObjectResponse
		err = o.do(ctx, "PutObject", int64(len(req.GetData())), func(ctx context.Context) (err error) {
			res, err = o.client.PutObject(ctx, req)
			return err
		})
		switch {
		case err != nil:
			return "", 0, err
		case res.GetObject().GetObjectId() == req.GetObjectId() && req.GetLast():
			return req.GetObjectId(), namer.Size(), nil
		case res.GetPieceCount() != namer.Pieces() || req.GetLast():
			return "", 0, fmt.Errorf("%w: %d pieces of %d", errUploadLost, res.GetPieceCount(), namer.Pieces())
		}
		src.advance()
	}
}

// hold has the job go on holding its objects, until ctx is done.
func (o *remoteObjects) hold(ctx context.Context) {
	for {
		var res *frayv1.HoldObjectsResponse
		err := o.do(ctx, "HoldObjects", 0, func(ctx context.Context) (err error) {
			res, err = o.client.HoldObjects(ctx, &frayv1.HoldObjectsRequest{JobId: o.jc.jobID})
			return err
		})
		pause := keepRetry
		if err == nil {
			pause = max(number.FromMillis(res.GetGraceMs())/keepShare, time.Second)
		}
		if sleep.For(ctx, pause) != nil {
			return
		}
	}
}

func (o *remoteObjects) piece(ctx context.Context, job, id string, n uint32) ([]byte, error) {
	if data, ok := o.cache.get(id, n); ok {
		return data, nil
	}
	ctx, end, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	var res *frayv1.GetObjectResponse
	err = o.do(ctx, "GetObject", object.PieceBytes, func(ctx context.Context) (err error) {
		res, err = o.client.GetObject(ctx, &frayv1.GetObjectRequest{JobId: job, ObjectId: id, Piece: n})
		return err
	})
	if reason, _ := wire.Info(err); reason == wire.ReasonUnknownObject {
		return nil, ErrObjectLost
	}
	if err != nil {
		return nil, err
	}
	o.cache.add(id, n, res.GetObject().GetSizeBytes(), res.GetData())
	return res.GetData(), nil
}

func (o *remoteObjects) release(ctx context.Context, job, id string) error {
	ctx, end, err := o.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return o.do(ctx, "ReleaseObjects", 0, func(ctx context.Context) error {
		_, err := o.client.ReleaseObjects(ctx, &frayv1.ReleaseObjectsRequest{JobId: job, ObjectIds: []string{id}})
		return err
	})
}

// objectCache keeps pieces that were fetched, up to a number of bytes. Those that were asked for longest
// ago go first.
type objectCache struct {
	most int64

	mu    sync.Mutex
	bytes int64
	known map[cachedKey]*list.Element
	order *list.List // of *cached, the last asked for first
}

type cachedKey struct {
	id string
	n  uint32
}

type cached struct {
	key  cachedKey
	data []byte
}

func newObjectCache(most int64) *objectCache {
	return &objectCache{most: most, known: make(map[cachedKey]*list.Element), order: list.New()}
}

func (c *objectCache) get(id string, n uint32) ([]byte, bool) {
	if c == nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.known[cachedKey{id, n}]
	if e == nil {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).data, true //nolint:errcheck // There is nothing else in it.
}

// add takes a piece in, unless it is of an object that is much of what there is room for: such a one is
// likely to be read from one end to the other, and would leave nothing else.
func (c *objectCache) add(id string, n uint32, size int64, data []byte) {
	if c == nil || size > c.most/2 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cachedKey{id, n}
	if c.known[key] != nil {
		return
	}
	c.known[key] = c.order.PushFront(&cached{key, data})
	for c.bytes += int64(len(data)); c.bytes > c.most; {
		old := c.order.Remove(c.order.Back()).(*cached) //nolint:errcheck // As above.
		delete(c.known, old.key)
		c.bytes -= int64(len(old.data))
	}
}
